//! What does the supervisor know that the app tells?
//!
//! It says so when it asks how the app is: whether there is a newer version, which the app tells everybody, how the backups are, and
//! whether this version serves because an upgrade failed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::BackupReport;
use crate::html::{Newer, Notice};

/// The longest version and the longest address that are taken, in bytes.
const LONGEST: usize = 512;

/// What the supervisor said last.
#[derive(Debug, Clone, Default)]
pub(crate) struct News(Arc<Mutex<Heard>>);

#[derive(Debug, Default)]
struct Heard {
    newer: Option<Newer>,
    backups: Option<BackupReport>,
    notice: Option<Notice>,
}

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
    /// Takes in what the supervisor says: a newer version, if there is one, how the backups are, if it said so, and that an upgrade
    /// failed, while this version serves for that.
    pub(crate) fn remember(&self, newer: Option<Newer>, backups: Option<BackupReport>, notice: Option<Notice>) {
        *self.heard() = Heard { newer, backups, notice };
    }

    /// Returns that an upgrade failed, as it said last.
    pub(crate) fn notice(&self) -> Option<Notice> {
        self.heard().notice.clone()
    }

    /// Returns the newer version that it said last.
    pub(crate) fn newer(&self) -> Option<Newer> {
        self.heard().newer.clone()
    }

    /// Returns what it said last of the backups.
    pub(crate) fn backups(&self) -> Option<BackupReport> {
        self.heard().backups.clone()
    }

    /// Whether something is wrong with the backups.
    pub(crate) fn backups_need_attention(&self) -> bool {
        self.heard().backups.as_ref().is_some_and(BackupReport::needs_attention)
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
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
