//! Which upgrades were tried and failed, while the last good version serves on?
//!
//! `supervisor/tries.json`. An image that failed by itself is not tried again with the same settings; one that failed for a cause that
//! passes is.

use serde::{Deserialize, Serialize};

use super::{
    DataDir,
    state::{self, Step},
};
use crate::failure::Failure;

/// How many tries are remembered.
const MOST: usize = 20;

/// The document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tries {
    /// [`state::FORMAT`].
    pub format: u32,
    /// The tries, oldest first.
    pub tries: Vec<Try>,
    /// The findings that the operator has accepted: an upgrade goes on in spite of each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accepted: Vec<String>,
}

/// An upgrade that was tried and failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Try {
    /// The identity of the image, as in held.json.
    pub image: String,
    /// The fingerprint of the settings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<String>,
    /// The version of the image.
    pub version: String,
    /// The step that was reached.
    pub step: Step,
    /// Why it failed.
    pub failure: Failure,
    /// Whether the cause may pass by itself, so that it is tried again.
    pub passes: bool,
    /// When.
    pub at: String,
}

impl Default for Tries {
    fn default() -> Self {
        Self { format: state::FORMAT, tries: Vec::new(), accepted: Vec::new() }
    }
}

impl Tries {
    /// Returns the last try of this image with these settings. What is not known counts as the same.
    pub fn of(&self, image: &str, settings: Option<&str>) -> Option<&Try> {
        self.tries.iter().rev().find(|tried| {
            let same_settings = match (tried.settings.as_deref(), settings) {
                (Some(then), Some(now)) => then == now,
                _ => true,
            };
            tried.image == image && same_settings
        })
    }

    /// Adds a try; the oldest ones go.
    pub fn add(&mut self, tried: Try) {
        self.tries.push(tried);
        let surplus = self.tries.len().saturating_sub(MOST);
        self.tries.drain(..surplus);
    }
}

/// Reads `supervisor/tries.json`; none when there is none.
///
/// # Errors
/// As [`state::read`]: of another format, or damaged.
pub fn read(data: &DataDir) -> Result<Tries, Failure> {
    Ok(state::read(&data.tries())?.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Cause;

    #[test]
    fn an_image_is_known_by_its_programs_and_settings_and_the_oldest_tries_go() {
        let tried = |image: &str, settings: Option<&str>| Try {
            image: image.into(),
            settings: settings.map(Into::into),
            version: "0.9.0".into(),
            step: Step::Migrating,
            failure: Failure::new(Cause::Migration, "it failed"),
            passes: false,
            at: String::new(),
        };
        let mut tries = Tries::default();
        tries.add(tried("a", Some("one")));
        tries.add(tried("b", None));
        assert!(tries.of("a", Some("one")).is_some() && tries.of("a", None).is_some());
        assert!(tries.of("a", Some("two")).is_none() && tries.of("c", Some("one")).is_none());
        assert!(tries.of("b", Some("two")).is_some());
        (0..MOST).for_each(|number| tries.add(tried(&number.to_string(), None)));
        assert_eq!((tries.tries.len(), tries.of("a", None)), (MOST, None));
    }

    #[test]
    fn the_golden_document_is_read_and_written_back() {
        let golden = include_str!("../../../docs/contracts/tries.json");
        let read: Tries = serde_json::from_str(golden).unwrap();
        let back: serde_json::Value = serde_json::to_value(&read).unwrap();
        assert_eq!(back, serde_json::from_str::<serde_json::Value>(golden).unwrap());
    }
}
