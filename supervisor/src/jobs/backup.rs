//! Which jobs create, verify, prune, copy and list backups?

use std::{collections::BTreeMap, fmt, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use crate::{
    config::{Backup as Settings, destination},
    data::backup::{About, BackupId, Description, Reason},
    failure::Failure,
    status::Backups,
};

/// The longest time until the next look, whatever the schedule says: clocks are put right meanwhile.
pub const LOOK_AGAIN: Duration = Duration::from_secs(10 * 60);

/// The jobs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BackupJob {
    /// Make a backup, verified. Result: [`Made`].
    Create(Box<Create>),
    /// Verify one. Result: [`Verified`].
    Verify(Box<Verify>),
    /// Write down what a drill found. Result: null.
    Drilled {
        /// Of which backup.
        id: BackupId,
        /// Where it lies.
        dir: PathBuf,
        /// What it found.
        found: DrillResult,
    },
    /// Remove what the policy does not keep. Result: [`Pruned`].
    Prune {
        /// The settings.
        settings: Box<Settings>,
        /// Only say what would go.
        dry_run: bool,
    },
    /// Remove these from `backup.dir`. Result: the ids of those that were there.
    Remove {
        /// The settings.
        settings: Box<Settings>,
        /// Which ones.
        ids: Vec<BackupId>,
    },
    /// Bring one destination up to date. Result: [`Copied`].
    Copy {
        /// The settings.
        settings: Box<Settings>,
        /// Which one.
        destination: String,
        /// What is to be removed there, whatever the policy says.
        remove: Vec<BackupId>,
    },
    /// Write a small file where backups are kept, and remove it again. Result: null.
    Try {
        /// The settings.
        settings: Box<Settings>,
        /// Which destination; `None`: `backup.dir`.
        destination: Option<String>,
    },
    /// When is the next one due, and is any overdue? Result: [`BackupStatus`].
    Status(Box<StatusRequest>),
    /// List the backups there are. Result: [`Listing`].
    List {
        /// The settings.
        settings: Box<Settings>,
        /// Whether those at the destinations, too.
        elsewhere: bool,
    },
    /// Look into an archive, and at what is in use. Result: [`Preview`].
    Preview {
        /// The archive.
        archive: Box<Archive>,
        /// The settings.
        settings: Box<Settings>,
        /// Whether the rows of the database in use are counted.
        rows_now: bool,
    },
    /// Write down that something did not work. That it does again, each job writes down itself. Result: null.
    Note {
        /// What was being done: `backup`, `drill`, `copy to …`.
        what: String,
        /// What is wrong.
        trouble: String,
    },
    /// Remove what killed jobs left. Result: sentences of what could not be removed.
    CleanUp {
        /// The settings.
        settings: Box<Settings>,
    },
}

impl BackupJob {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Create(_) => "backup create",
            Self::Verify(_) => "backup verify",
            Self::Drilled { .. } => "backup drilled",
            Self::Prune { .. } => "backup prune",
            Self::Remove { .. } => "backup remove",
            Self::Copy { .. } => "backup copy",
            Self::Try { .. } => "backup try",
            Self::Status(_) => "backup status",
            Self::List { .. } => "backup list",
            Self::Preview { .. } => "backup preview",
            Self::Note { .. } => "backup note",
            Self::CleanUp { .. } => "backup clean-up",
        }
    }
}

/// What is to be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Create {
    /// The settings.
    pub settings: Settings,
    /// Why.
    pub reason: Reason,
    /// What the person calls it.
    pub label: Option<String>,
    /// Leave the restored copy in [`crate::data::DataDir::scratch`], for a drill.
    pub keep: bool,
    /// The version whose app serves what is backed up.
    pub version: String,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Made {
    /// The backup.
    pub description: Description,
    /// The archive.
    pub archive: PathBuf,
    /// What is not as it should be, as sentences.
    pub notes: Vec<String>,
}

/// What is to be verified.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verify {
    /// The settings.
    pub settings: Settings,
    /// Which backup of `backup.dir`.
    pub id: BackupId,
    /// What opens it, if it is encrypted. A secret.
    pub identities: Option<String>,
    /// Leave the restored copy in [`crate::data::DataDir::scratch`], for a drill.
    pub keep: bool,
}

/// How a backup was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum How {
    /// It was restored, and what was restored was checked.
    Restored,
    /// Its file is, byte for byte, the one that was checked when it was made.
    Hash,
}

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Of which backup.
    pub id: BackupId,
    /// How it was verified.
    pub how: How,
    /// What is wrong with the backup itself, as a sentence.
    pub damage: Option<String>,
    /// Why it was not drilled, though that was asked for. It says nothing of the backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_drilled: Option<String>,
    /// When it was last booted from.
    pub drilled_at: Option<String>,
}

/// What a drill found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DrillResult {
    /// The app started and was healthy.
    Healthy,
    /// It could not be started from the backup: why.
    Unfit(String),
    /// Something else was in the way, so that it says nothing of the backup.
    Nothing,
}

/// What the policy keeps and what went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pruned {
    /// Each backup with why it is kept, the newest first; without a reason it went, or would go.
    pub backups: Vec<RetentionVerdict>,
    /// Whether nothing was removed, but only said.
    pub dry_run: bool,
}

/// What becomes of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetentionVerdict {
    /// Its name.
    pub id: BackupId,
    /// Why it is kept (`last backup`, `daily backup`, ...); empty: it goes.
    pub kept: Vec<String>,
}

/// What became of a copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Copied {
    /// What was copied.
    pub copied: Vec<BackupId>,
    /// What was removed there.
    pub removed: Vec<BackupId>,
}

/// What is to be looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusRequest {
    /// The settings.
    pub settings: Settings,
    /// Since when this supervisor runs, in seconds since the epoch by the clock of now: while the clock is behind what is
    /// written down, it is the only time that can be counted from.
    pub running_since: i64,
}

/// When the next backup is due, and how the last ones are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackupStatus {
    /// How the backups are.
    pub status: Backups,
    /// In how many seconds the next scheduled one is due.
    pub next_in: Option<u64>,
    /// Whether it is due now.
    pub due: bool,
    /// Whether it is to be a drill as well.
    pub drill: bool,
}

/// A backup and where it lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listed {
    /// What is known of it.
    pub description: Description,
    /// Where its archive is.
    pub place: ArchiveSource,
}

/// The backups there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listing {
    /// This instance's name, if it has one yet.
    pub own: Option<String>,
    /// Those in `backup.dir`, the newest first.
    pub here: Vec<Listed>,
    /// Those at the destinations, one after the other, each with the newest of each instance first.
    pub there: Vec<Listed>,
    /// What could not be listed.
    pub failures: Vec<Failure>,
}

/// What an archive says of itself, and what is in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// What it says of itself.
    pub about: About,
    /// How many attachments it has.
    pub files: u64,
    /// The rows of each table in use, where that could be told.
    pub rows_now: Option<BTreeMap<String, u64>>,
}

/// Where an archive lies.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ArchiveSource {
    /// A file, by its absolute path.
    File(PathBuf),
    /// A backup at one of `backup.destinations`.
    Destination {
        /// The destination, as it is configured.
        destination: String,
        /// Which instance's.
        instance: String,
        /// Which backup.
        id: BackupId,
        /// Whether it is encrypted.
        encrypted: bool,
    },
}

impl fmt::Display for ArchiveSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Destination { destination, id, .. } => {
                write!(f, "{id} at {}", destination::named(destination))
            }
        }
    }
}

impl ArchiveSource {
    /// Returns what must be within reach for it to be read: these files and directories, and whether the network.
    pub fn reach(&self) -> (Vec<PathBuf>, bool) {
        match self {
            Self::File(path) => (vec![path.clone()], false),
            Self::Destination { destination, .. } => destination::reach(destination),
        }
    }
}

/// An archive, and what opens it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Archive {
    /// Where it lies.
    pub place: ArchiveSource,
    /// The content of the operator's age identity file. A secret.
    pub identities: Option<String>,
}

impl fmt::Debug for Archive {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the secret.
        f.debug_struct("Archive").field("place", &self.place).finish_non_exhaustive()
    }
}
