//! Has an upgrade failed, so that this version serves in place of a newer one?
//!
//! The supervisor knows, and says so when it asks how the app is. Owners and admins read the reason on every page; everybody else learns
//! only that it is so. The document is described by docs/contracts/app-notice.json.

use serde::Deserialize;

use crate::{datetime::Timestamp, html::Notice};

/// The longest document that is taken, in bytes; the supervisor's other headers have no longer one.
const LONGEST: usize = 8 << 10;
/// More characters of a reason are not read.
const LONGEST_MESSAGE: usize = 1000;
/// The format that this version knows.
const FORMAT: u32 = 1;

#[derive(Deserialize)]
struct Document {
    format: u32,
    message: String,
    since: Option<String>,
}

/// Reads the supervisor's document. One that this version does not know is none.
pub(super) fn read(document: &[u8]) -> Option<Notice> {
    let document: Document = serde_json::from_slice(document.get(..LONGEST.min(document.len()))?).ok()?;
    let words = |letter: char| if letter.is_control() { ' ' } else { letter };
    let message: String = document.message.trim().chars().take(LONGEST_MESSAGE).map(words).collect();
    let since = document.since.and_then(|since| since.parse::<Timestamp>().ok());
    (document.format == FORMAT && !message.is_empty()).then_some(Notice { message, since })
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The document of the contract.
    pub(in super::super) fn golden() -> Notice {
        read(include_bytes!("../../../docs/contracts/app-notice.json")).unwrap()
    }

    #[test]
    fn the_document_of_the_contract_is_read() {
        let notice = golden();
        assert!(notice.message.starts_with("Upgrade to v0.9.0 failed: "), "{}", notice.message);
        assert_eq!(notice.since.map(|since| since.to_string()).as_deref(), Some("2026-11-30T12:00:00.000Z"));
    }

    #[test]
    fn what_is_no_such_document_is_no_notice() {
        for wrong in ["", "{}", "null", r#"{"format":2,"message":"a"}"#, r#"{"format":1}"#, "\u{e9}"] {
            assert_eq!(read(wrong.as_bytes()), None, "{wrong}");
        }
        for empty in [r#"{"format":1,"message":" "}"#, r#"{"format":1,"message":7}"#] {
            assert_eq!(read(empty.as_bytes()), None, "{empty}");
        }
        let long = format!(r#"{{"format":1,"message":"{}"}}"#, "a".repeat(LONGEST_MESSAGE + 1));
        assert_eq!(read(long.as_bytes()).unwrap().message.len(), LONGEST_MESSAGE);
        assert_eq!(read(format!(r#"{{"format":1,"message":"{}"}}"#, "a".repeat(LONGEST)).as_bytes()), None);
        // A moment that is none is left out, and what a later supervisor adds is ignored.
        let least = read(br#"{"format":1,"message":"a\nb\u0007","since":"soon","more":7}"#).unwrap();
        assert_eq!((least.message.as_str(), least.since), ("a b ", None));
    }
}
