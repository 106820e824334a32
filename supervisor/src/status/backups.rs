//! How are the backups, and can they be written to where they are kept?

use serde::{Deserialize, Serialize};

use super::now;
use crate::data::backup::BackupId;

/// What a copy's trouble is called, before the destination's name.
pub const COPY: &str = "copy to ";

/// How the backups are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backups {
    /// The newest one that was verified.
    pub last: Option<LastBackup>,
    /// When the next scheduled one is due, RFC 3339; `None` without a schedule.
    pub next_at: Option<String>,
    /// Since when one is overdue, RFC 3339.
    pub overdue_since: Option<String>,
    /// What is wrong, as sentences: the last backup, drill or copy failed; a place for backups cannot be written to.
    pub trouble: Vec<String>,
    /// Where backups are kept: `backup.dir`, then the destinations.
    #[serde(default)]
    pub storage: Vec<Storage>,
}

/// The newest backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBackup {
    /// Its id.
    pub id: BackupId,
    /// When it was begun, RFC 3339.
    pub created_at: String,
}

/// A place where backups are kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Which kind it is.
    pub kind: StorageKind,
    /// Its name for people, without credentials.
    pub name: String,
    /// When it was last tried, RFC 3339.
    pub tried_at: Option<String>,
    /// Why it could not be written to, in a sentence.
    pub trouble: Option<String>,
    /// Since when that is known, RFC 3339.
    pub since: Option<String>,
}

/// The kinds of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StorageKind {
    /// `backup.dir`.
    Local,
    /// One of `backup.destinations`.
    Destination,
}

impl Backups {
    /// Says in a word how they are, for the app's health document: `ok`, `overdue` or `failing`.
    pub fn word(&self) -> &'static str {
        match (self.overdue_since.is_some(), self.trouble.is_empty()) {
            (true, _) => "overdue",
            (false, false) => "failing",
            (false, true) => "ok",
        }
    }

    /// Says in a sentence what is wrong, if anything is.
    pub fn warning(&self) -> Option<String> {
        let overdue = self.overdue_since.as_ref().map(|since| match &self.last {
            Some(last) => format!("a backup is overdue since {since}; the last one is of {}", last.created_at),
            None => format!("a backup is overdue since {since}; there is none yet"),
        });
        overdue.or_else(|| self.trouble.first().cloned())
    }

    /// Adds the places, and what is wrong with them, unless that is known already: from a copy that failed there, or by a look at
    /// `backup.dir`.
    #[must_use]
    pub(super) fn with(mut self, storage: Vec<Storage>) -> Self {
        for storage in &storage {
            let Some(trouble) = &storage.trouble else { continue };
            let name = &storage.name;
            let (what, is_known) = match storage.kind {
                StorageKind::Local => {
                    let dir = format!("{name} (backup.dir)");
                    (format!("backups in {name}: "), self.trouble.iter().any(|known| known.contains(&dir)))
                }
                StorageKind::Destination => {
                    let what = format!("{COPY}{name}: ");
                    let is_known = self.trouble.iter().any(|known| known.starts_with(&what));
                    (what, is_known)
                }
            };
            if !is_known {
                self.trouble.push(what + trouble);
            }
        }
        self.storage = storage;
        self
    }
}

impl Storage {
    /// Describes a place that was not tried yet.
    pub fn new(kind: StorageKind, name: String) -> Self {
        Self { kind, name, tried_at: None, trouble: None, since: None }
    }

    /// Takes in what a trial found. Where the same is wrong as before but for its numbers, the sentence stays.
    pub(super) fn tried(&mut self, trouble: Option<String>) {
        let words = |text: &str| text.chars().filter(|letter| !letter.is_ascii_digit()).collect::<String>();
        let at = Some(now());
        let is_known = matches!((&self.trouble, &trouble), (Some(before), Some(now)) if words(before) == words(now));
        if !is_known {
            self.since = at.clone().filter(|_| trouble.is_some());
            self.trouble = trouble;
        }
        self.tried_at = at;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn storage(kind: StorageKind, name: &str, trouble: Option<&str>) -> Storage {
        Storage { trouble: trouble.map(str::to_owned), ..Storage::new(kind, name.to_owned()) }
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_trouble_and_is_told_once() {
        let failed = Backups { trouble: vec!["copy to /nas 1: no space left".into()], ..Backups::default() };
        let with = failed.with(vec![
            storage(StorageKind::Local, "/backups", Some("the disk is full")),
            storage(StorageKind::Destination, "/nas 1", Some("it is not there")),
            storage(StorageKind::Destination, "/nas", Some("it is read-only")),
            storage(StorageKind::Destination, "/other", None),
        ]);
        let told =
            ["copy to /nas 1: no space left", "backups in /backups: the disk is full", "copy to /nas: it is read-only"];
        assert_eq!(with.trouble, told);
        assert_eq!((with.word(), with.storage.len()), ("failing", 4));
        let closed = "backups cannot be written to /b (backup.dir): permission denied";
        let known = Backups { trouble: vec![closed.into()], ..Backups::default() };
        assert_eq!(known.with(vec![storage(StorageKind::Local, "/b", Some(closed))]).trouble, [closed]);
        let well = Backups::default().with(vec![storage(StorageKind::Destination, "/nas", None)]);
        assert_eq!((well.word(), well.warning()), ("ok", None));
    }

    #[test]
    fn the_same_trouble_with_other_numbers_is_the_same_trouble() {
        let mut storage = storage(StorageKind::Destination, "/nas", None);
        storage.tried(Some("the clock here (10:00) differs".into()));
        assert!(storage.since.is_some());
        storage.since = Some("long ago".into());
        storage.tried(Some("the clock here (11:30) differs".into()));
        assert_eq!(storage.trouble.as_deref(), Some("the clock here (10:00) differs"));
        assert_eq!(storage.since.as_deref(), Some("long ago"));
        storage.tried(Some("it is full".into()));
        assert_ne!(storage.since.as_deref(), Some("long ago"));
        storage.tried(None);
        assert_eq!((storage.trouble, storage.since), (None, None));
        assert!(storage.tried_at.is_some());
    }
}
