//! What is a backup, and what is it called?
//!
//! One file that opens without Hearth, `<id>.tar.zst` or `<id>.tar.zst.age` (see `work::backup::archive`), and beside it its
//! description, `<id>.json`: for lists, and for what is only known afterwards (that it was verified, when it was
//! booted). The archive counts, and is there from the rename on that gives it its name; a description without an
//! archive is nothing, and an archive without a description is still a backup.

use std::{collections::BTreeMap, fmt, mem, ops::Deref, str::FromStr, time::SystemTime};

use serde::{Deserialize, Serialize};

use super::GenerationId;

/// What the name of a plain archive ends with.
pub const PLAIN: &str = ".tar.zst";
/// What the name of an encrypted archive ends with.
pub const ENCRYPTED: &str = ".tar.zst.age";

/// Whether this can be the name of an instance: lower-case letters, digits and hyphens, 64 at most. At destinations it is
/// the name of a directory.
pub fn is_instance(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

/// Why a backup was made. Each reason is a class of its own for retention: what is made by itself never pushes out what
/// a person made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// By `backup.schedule`.
    Scheduled,
    /// By `supervisor backup`.
    Manual,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scheduled => "scheduled",
            Self::Manual => "manual",
        })
    }
}

/// The name of a backup: when it was begun, in UTC, and why: `2026-11-24T03-30-00Z-scheduled`. It sorts by time, and is
/// a file name on every file system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct BackupId(String);

impl BackupId {
    /// Returns the id of a backup that is begun at this time, in whole seconds.
    pub fn new(at: SystemTime, reason: Reason) -> Self {
        let at = humantime::format_rfc3339_seconds(at).to_string().replace(':', "-");
        Self(format!("{at}-{reason}"))
    }

    /// Returns the id's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the file name of its archive.
    pub fn archive(&self, encrypted: bool) -> String {
        format!("{}{}", self.0, if encrypted { ENCRYPTED } else { PLAIN })
    }

    /// Returns the file name of its description.
    pub fn description(&self) -> String {
        format!("{}.json", self.0)
    }

    /// Reads the id, and whether it is encrypted, from the file name of an archive.
    pub fn of_archive(name: &str) -> Option<(Self, bool)> {
        let (id, encrypted) = match name.strip_suffix(ENCRYPTED) {
            Some(id) => (id, true),
            None => (name.strip_suffix(PLAIN)?, false),
        };
        Some((id.parse().ok()?, encrypted))
    }

    /// Returns why the backup was made.
    pub fn reason(&self) -> Reason {
        if self.0.ends_with("-scheduled") { Reason::Scheduled } else { Reason::Manual }
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for BackupId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl FromStr for BackupId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is not the id of a backup, such as 2026-11-24T03-30-00Z-manual");
        let (at, reason) = text.split_at_checked("2026-11-24T03-30-00Z".len()).ok_or_else(wrong)?;
        let shape = at.bytes().zip("0000-00-00T00-00-00Z".bytes());
        let fits =
            shape.into_iter().all(|(byte, shape)| if shape == b'0' { byte.is_ascii_digit() } else { byte == shape });
        if fits && matches!(reason, "-scheduled" | "-manual") { Ok(Self(text.to_owned())) } else { Err(wrong()) }
    }
}

/// What a backup is of: its manifest and its description say the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// [`crate::data::state::FORMAT`].
    pub format: u32,
    /// Its name.
    pub id: BackupId,
    /// What orders it among this instance's backups; the clock does not.
    pub sequence: u64,
    /// Why it was made.
    pub reason: Reason,
    /// What the person who made it called it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// When it was begun, RFC 3339 in UTC.
    pub created_at: String,
    /// The instance that made it; see `work::backup::identity`.
    pub instance: String,
    /// The version that made it.
    pub version: String,
    /// The name of the database's last applied migration.
    pub schema: String,
    /// The generation that was live.
    pub generation: GenerationId,
    /// The rows of each table of the database.
    pub rows: BTreeMap<String, u64>,
    /// What was not backed up since it is no attachment, as sentences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
}

/// `<id>.json`: what is known of a backup without opening it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// What it is of.
    #[serde(flatten)]
    pub about: About,
    /// The length of app.db in it.
    pub database_bytes: u64,
    /// How many files of `files/` are in it.
    pub files: u64,
    /// Their length together.
    pub files_bytes: u64,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// The length of the archive.
    pub bytes: u64,
    /// BLAKE3 of the archive as it lies there, hexadecimal.
    pub blake3: String,
    /// When it was last verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<String>,
    /// When an app was last booted from it (a drill).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drilled_at: Option<String>,
    /// What the last verification or drill found wrong.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub damage: Option<String>,
}

impl Deref for Description {
    type Target = About;

    fn deref(&self) -> &About {
        &self.about
    }
}

impl Description {
    /// Describes an archive of this length and hash that is not verified yet. What is in it is not counted.
    pub fn new(about: About, encrypted: bool, bytes: u64, blake3: String) -> Self {
        Self {
            about,
            database_bytes: 0,
            files: 0,
            files_bytes: 0,
            encrypted,
            bytes,
            blake3,
            verified_at: None,
            drilled_at: None,
            damage: None,
        }
    }

    /// Writes down what a verification found, now.
    pub fn verified(&mut self, damage: Option<String>) {
        if damage.is_none() {
            self.verified_at = Some(humantime::format_rfc3339_seconds(SystemTime::now()).to_string());
        }
        self.damage = damage;
    }

    /// Returns it with all its texts such that a terminal and a log can show them: whoever may write beside the archive may
    /// write anything.
    pub fn printable(mut self) -> Self {
        let About { version, schema, instance, label, left_out, rows, .. } = &mut self.about;
        let shown = [version, schema, instance].into_iter().chain(label).chain(left_out).chain(&mut self.damage);
        shown.for_each(|text| *text = printable(text));
        *rows = mem::take(rows).into_iter().map(|(table, rows)| (printable(&table), rows)).collect();
        self
    }

    /// Whether it was verified, and nothing was found wrong since.
    pub fn is_sound(&self) -> bool {
        self.verified_at.is_some() && self.damage.is_none()
    }
}

/// Returns a text that somebody else has written so that it can neither end a line nor steer a terminal.
pub(crate) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        let turns = matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns { shown.extend(letter.escape_default()) } else { shown.push(letter) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_sorts_by_time_says_why_and_is_read_back() {
        let at = |seconds| SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(seconds);
        let early = BackupId::new(at(1_795_491_000), Reason::Scheduled);
        assert_eq!(early.as_str(), "2026-11-24T03-30-00Z-scheduled");
        assert!(early < BackupId::new(at(1_795_491_001), Reason::Manual));
        assert_eq!(BackupId::of_archive(&early.archive(true)), Some((early.clone(), true)));
        assert_eq!(BackupId::of_archive(&early.archive(false)), Some((early, false)));
        for wrong in [
            "",
            "latest",
            "2026-11-24T03-30-00Z",
            "2026-11-24T03-30-00Z-manual/..",
            "2026-11-24T03:30:00Z-manual",
            "é026-11-24T03-30-00Z-manual",
        ] {
            assert!(wrong.parse::<BackupId>().is_err(), "{wrong}");
        }
    }
}
