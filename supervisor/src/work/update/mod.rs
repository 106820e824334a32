//! Is there a newer version of this image?
//!
//! [`registry`] requests the tags without a sign-in, [`header`] reads the header fields of the responses, and the tags that are
//! versions are compared with the version that runs.

pub mod header;
pub mod registry;

use semver::Version;

use crate::{
    failure::{Cause, Failure},
    jobs::update::{Question, WITHIN, image, versions},
};

/// Asks the registry; returns the newest version that is newer than the one that runs. In PID 1's case only in a job.
pub fn check(question: &Question) -> Result<Option<String>, Failure> {
    let image = image(&question.image)?;
    let running = Version::parse(&question.running).map_err(|error| {
        Failure::new(Cause::Configuration, format!("the own version {} is none: {error}", question.running))
    })?;
    let mut newest = None;
    registry::tags(&image, WITHIN, |tag| newest = versions::newer(newest.take(), tag, &running))?;
    Ok(newest.map(|newest| newest.to_string()))
}
