//! Which earlier version serves, and what are people told of it?

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{data::state::FORMAT, failure::Failure};

/// The longest reason that people are told, in characters.
const LONGEST: usize = 600;

/// An earlier version serves in place of the image's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fallback {
    /// The version that serves.
    pub version: String,
    /// The version of the image.
    pub upgrade: String,
    /// Why the upgrade to it failed; none while it is rehearsed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<Failure>,
    /// Since when.
    pub since: String,
}

impl Fallback {
    /// Says what people have to know, if anything failed.
    pub fn sentence(&self) -> Option<String> {
        let failure = self.failure.as_ref()?;
        let reason = match failure.message.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", &failure.message[..end]),
            None => failure.message.clone(),
        };
        Some(format!(
            "Upgrade to v{} failed: {}. v{} is serving.",
            self.upgrade,
            reason.trim_end_matches('.'),
            self.version
        ))
    }

    /// Returns the same for the app, as JSON that can stand in a header: docs/contracts/app-notice.json.
    pub fn notice(&self) -> Option<String> {
        Some(as_header(&json!({"format": FORMAT, "message": self.sentence()?, "since": self.since})))
    }
}

/// Returns a document in ASCII, so that it can stand in a header.
pub fn as_header(document: &Value) -> String {
    let mut text = String::new();
    for letter in document.to_string().chars() {
        match letter.is_ascii() {
            true => text.push(letter),
            false => letter.encode_utf16(&mut [0; 2]).iter().for_each(|unit| text += &format!("\\u{unit:04x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Cause;

    #[test]
    fn people_are_told_what_failed_and_what_serves_and_nothing_while_it_is_rehearsed() {
        let failure = Failure::new(Cause::Migration, "the migration m0009_ünique failed.");
        let fallback = Fallback {
            version: "0.8.0".into(),
            upgrade: "0.9.0".into(),
            failure: Some(failure.clone()),
            since: "2026-11-30T12:00:00Z".into(),
        };
        let sentence = "Upgrade to v0.9.0 failed: the migration m0009_ünique failed. v0.8.0 is serving.";
        assert_eq!(fallback.sentence().as_deref(), Some(sentence));
        let notice = fallback.notice().unwrap();
        assert!(notice.is_ascii());
        assert_eq!(serde_json::from_str::<Value>(&notice).unwrap()["message"], sentence);
        let rehearsed = Fallback { failure: None, ..fallback.clone() };
        assert_eq!((rehearsed.sentence(), rehearsed.notice()), (None, None));
        let long = Fallback { failure: Some(Failure { message: "é".repeat(5000), ..failure }), ..fallback };
        assert!(long.notice().unwrap().len() < 8 << 10);
    }
}
