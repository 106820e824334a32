//! Is there a newer version?
//!
//! The supervisor knows, and says so when it asks how the app is; the app tells everybody.

use crate::html::Newer;
use std::sync::{Arc, Mutex, PoisonError};

/// The longest version and the longest address that are taken, in bytes.
const LONGEST: usize = 512;

/// What the supervisor said last.
#[derive(Debug, Clone, Default)]
pub(crate) struct News(Arc<Mutex<Option<Newer>>>);

impl Newer {
    /// Reads the supervisor's words. What cannot be a version is none, and what is no address is left out.
    pub(crate) fn read(version: &[u8], notes: Option<&[u8]>) -> Option<Self> {
        let printable = |text: &[u8]| {
            let text = std::str::from_utf8(text).ok()?;
            (text.len() <= LONGEST && text.bytes().all(|byte| byte.is_ascii_graphic())).then(|| text.to_owned())
        };
        let is_version = |version: &String| {
            version.starts_with(|letter: char| letter.is_ascii_digit())
                && version.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-'))
        };
        let version = printable(version).filter(is_version)?;
        let notes = notes.and_then(printable).filter(|notes| notes.starts_with("https://"));
        Some(Self { version, notes })
    }
}

impl News {
    /// Takes in what the supervisor says; `None`: that there is none.
    pub(crate) fn remember(&self, newer: Option<Newer>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = newer;
    }

    /// Returns what it said last.
    pub(crate) fn newer(&self) -> Option<Newer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_version_and_a_safe_address_are_believed() {
        let read = |version: &str, notes: Option<&str>| Newer::read(version.as_bytes(), notes.map(str::as_bytes));
        let newer = |version: &str, notes: Option<&str>| {
            Some(Newer { version: version.to_owned(), notes: notes.map(str::to_owned) })
        };
        let there = Some("https://github.com/owner/name/releases/tag/v1.2.0");
        assert_eq!(read("1.2.0", there), newer("1.2.0", there));
        assert_eq!(read("1.2.0-rc.1", None), newer("1.2.0-rc.1", None));
        for wrong in ["javascript:alert(1)", "http://example.org", "https://a b", ""] {
            assert_eq!(read("1.2.0", Some(wrong)), newer("1.2.0", None), "{wrong}");
        }
        for wrong in ["", "latest", "1.2.0 <b>", "1.2.0/..", &"1".repeat(LONGEST + 1)] {
            assert_eq!(read(wrong, there), None, "{wrong}");
        }
        assert_eq!(Newer::read(b"1\xff", None), None);
    }
}
