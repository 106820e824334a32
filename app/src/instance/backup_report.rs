//! How are the backups, and where are they kept?
//!
//! The supervisor knows, and says so when it asks how the app is. The page *Status* shows it to those who look after the instance, and
//! nobody else learns the names of places or what is wrong with them. The document is described by docs/contracts/app-backups.json.

use serde::Deserialize;

use crate::datetime::Timestamp;

/// The longest document that is taken, in bytes.
const LONGEST: usize = 16 << 10;
/// The format that this version knows.
const FORMAT: u32 = 1;

/// What the supervisor says of the backups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct BackupReport {
    format: u32,
    pub(super) last: Option<Last>,
    next_at: Option<String>,
    overdue_since: Option<String>,
    /// What is wrong, in sentences.
    pub(super) trouble: Vec<String>,
    pub(super) storage: Vec<Storage>,
}

/// The newest backup.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Last {
    created_at: String,
}

/// A place where backups are kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Storage {
    kind: String,
    pub(super) name: String,
    tried_at: Option<String>,
    pub(super) trouble: Option<String>,
    since: Option<String>,
}

impl BackupReport {
    /// Reads the supervisor's document. One that this version does not know is none.
    pub(crate) fn read(document: &[u8]) -> Option<Self> {
        let report: Self = serde_json::from_slice(document.get(..LONGEST.min(document.len()))?).ok()?;
        (report.format == FORMAT).then_some(report)
    }

    /// Whether those who look after the instance have something to do.
    pub(super) fn needs_attention(&self) -> bool {
        self.overdue_since.is_some() || !self.trouble.is_empty()
    }

    /// Returns when the next scheduled backup is due; `None` without a schedule.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        moment(&self.next_at)
    }

    /// Returns since when a backup is overdue.
    pub(super) fn overdue_since(&self) -> Option<Timestamp> {
        moment(&self.overdue_since)
    }

    /// Returns when the newest backup was begun.
    pub(super) fn last_at(&self) -> Option<Timestamp> {
        self.last.as_ref()?.created_at.parse().ok()
    }
}

impl Storage {
    /// Whether it is `backup.dir`, and so maybe on the disk of the data.
    pub(super) fn is_local(&self) -> bool {
        self.kind == "local"
    }

    /// Returns when it was last tried.
    pub(super) fn tried_at(&self) -> Option<Timestamp> {
        moment(&self.tried_at)
    }

    /// Returns since when nothing could be written there.
    pub(super) fn since(&self) -> Option<Timestamp> {
        moment(&self.since)
    }
}

fn moment(text: &Option<String>) -> Option<Timestamp> {
    text.as_ref()?.parse().ok()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The document of the contract.
    pub(in super::super) fn golden() -> BackupReport {
        BackupReport::read(include_bytes!("../../../docs/contracts/app-backups.json")).unwrap()
    }

    #[test]
    fn the_document_of_the_contract_is_read() {
        let report = golden();
        assert!(report.needs_attention() && report.last_at().is_some() && report.next_at().is_some());
        assert_eq!(report.storage.iter().filter(|storage| storage.is_local()).count(), 1);
        assert!(report.storage.iter().any(|storage| storage.since().is_some() && storage.trouble.is_some()));
        for wrong in ["", "{}", "null", r#"{"format":2,"trouble":[],"storage":[]}"#, "\u{e9}"] {
            assert_eq!(BackupReport::read(wrong.as_bytes()), None, "{wrong}");
        }
        let least = BackupReport::read(br#"{"format":1,"trouble":[],"storage":[],"more":7}"#).unwrap();
        assert!(!least.needs_attention() && least.last_at().is_none());
    }
}
