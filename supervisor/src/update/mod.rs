//! Is there a newer version of this image?
//!
//! The registry that the image comes from is asked for the image's tags, without a sign-in, and those that are versions
//! are compared with the one that runs. It is a notice and nothing more: whatever goes wrong is a sentence in `status`.
//!
//! [`mod@reference`] reads the image's name, [`registry`] asks, [`header`] reads what the answers say of themselves,
//! [`versions`] chooses, [`known`] is what is remembered and when it is asked again.

pub mod header;
pub mod known;
pub mod reference;
pub mod registry;
pub mod versions;

use std::time::Duration;

use semver::Version;
use serde::{Deserialize, Serialize};

pub use self::{
    known::{Known, Update},
    reference::Reference,
};
use crate::{
    failure::{Cause, Failure},
    status::VERSION,
};

/// How long a whole check may take, with its sign-in and all its pages. A command waits for it, 30 s at most.
pub const WITHIN: Duration = Duration::from_secs(20);

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The image, as `update.image` has it.
    pub image: String,
    /// The version that runs.
    pub running: String,
}

impl Question {
    /// Makes the question of this version about an image.
    #[must_use]
    pub fn about(image: &str) -> Self {
        Self { image: image.to_owned(), running: VERSION.to_owned() }
    }
}

/// Returns the image that a setting names.
///
/// # Errors
/// [`Cause::Configuration`] when there is none, or it cannot be one.
pub fn image(setting: &str) -> Result<Reference, Failure> {
    if setting.is_empty() {
        return Err(Failure::new(Cause::Configuration, "it is not known from which registry this Hearth comes")
            .hint("a published image knows it by itself; elsewhere set update.image, such as ghcr.io/owner/name"));
    }
    Reference::parse(setting)
        .map_err(|wrong| Failure::new(Cause::Configuration, format!("update.image cannot be used: {wrong}")))
}

/// Asks the registry; returns the newest version that is newer than the one that runs. In PID 1's case only in a job.
///
/// # Errors
/// Why it could not be told.
pub fn check(question: &Question) -> Result<Option<String>, Failure> {
    let image = image(&question.image)?;
    let running = Version::parse(&question.running).map_err(|error| {
        Failure::new(Cause::Configuration, format!("the own version {} is none: {error}", question.running))
    })?;
    let mut newest = None;
    registry::tags(&image, WITHIN, |tag| newest = versions::newer(newest.take(), tag, &running))?;
    Ok(newest.map(|newest| newest.to_string()))
}
