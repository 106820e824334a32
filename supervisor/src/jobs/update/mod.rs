//! How is a newer version found, and what is remembered of it?
//!
//! A job ([`crate::work::update`]) requests the image's tags from the registry that it comes from. [`versions`] chooses among the
//! tags; [`known`] holds what is remembered, and when the next check is due. It is a notice and nothing more: whatever goes wrong
//! is a sentence in `status`.

pub mod known;
pub mod versions;

use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use self::known::Known;
use crate::{
    config::image::Reference,
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
