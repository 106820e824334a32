//! What do jobs answer with?

use std::fmt;

use serde::{Deserialize, Serialize};

use super::backup::Archive;
use crate::{
    config::Backup as Settings,
    data::{GenerationId, backup::BackupId, state::Reason, view::View},
    failure::Failure,
    process::sandbox::SandboxSupport,
    status::TimeZone,
};

/// What a preflight found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// The name of the file system, such as `ext4`; a number in hexadecimal for one that is not known by name.
    pub filesystem: String,
    /// Free bytes for this uid; the greatest number where the file system does not know.
    pub free_bytes: u64,
    /// What is not as it should be, and yet works: sentences.
    pub notes: Vec<String>,
}

/// What a start begins with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// What the file systems can do.
    pub findings: Findings,
    /// What children can be confined by.
    pub support: SandboxSupport,
    /// What the data directory holds, once what was not committed is gone.
    pub view: View,
    /// The time zone of `TZ`.
    pub time_zone: TimeZone,
}

/// A program that was kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// BLAKE3 of the program, hexadecimal.
    pub blake3: String,
    /// Its length.
    pub bytes: u64,
}

/// A copy on which an upgrade is rehearsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// The length of the database.
    pub bytes: u64,
}

/// What is to be finalized, and what its description says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finalize {
    /// Which generation.
    pub generation: GenerationId,
    /// Why it was staged.
    pub reason: Reason,
    /// What it was made from.
    pub origin: Origin,
    /// The name of its last applied migration.
    pub schema: String,
    /// The version whose app was proven on it.
    pub version: String,
}

/// What came of a commit that is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// Why state.json could not be written. Decisions come from the link.
    pub state_trouble: Option<Failure>,
}

/// A database at rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpointed {
    /// When the household last wrote to it since it was finalized (RFC 3339), or `None` if it did not. One whose
    /// finalizing is not known counts as written to.
    pub written_at: Option<String>,
    /// BLAKE3 of its content, hexadecimal, if that was asked for.
    pub blake3: Option<String>,
}

/// What a generation is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// Nothing: an empty database.
    Nothing,
    /// A clone of this one.
    Generation(GenerationId),
    /// A backup's archive.
    Archive {
        /// Which one.
        archive: Archive,
        /// The settings, for archives at a destination.
        settings: Box<Settings>,
    },
}

/// What a generation was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Nothing.
    Nothing,
    /// A clone of this one.
    Generation(GenerationId),
    /// The archive of this backup.
    Backup(BackupId),
}

impl Origin {
    /// Returns the generation.
    pub fn generation(&self) -> Option<GenerationId> {
        match self {
            Self::Generation(generation) => Some(*generation),
            Self::Nothing | Self::Backup(_) => None,
        }
    }

    /// Returns the backup.
    pub fn backup(&self) -> Option<BackupId> {
        match self {
            Self::Backup(backup) => Some(backup.clone()),
            Self::Nothing | Self::Generation(_) => None,
        }
    }
}

/// A staged generation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Staged {
    /// The length of its database with `-wal` and `-journal`.
    pub bytes: u64,
    /// How it was made.
    pub method: Method,
    /// What it was made from.
    pub origin: Origin,
    /// What was wrong with its indexes, which were built anew then.
    #[serde(default)]
    pub reindexed: Option<String>,
}

/// How a clone was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// There was nothing to clone: a first start.
    Empty,
    /// The blocks are shared.
    Reflink,
    /// The bytes were copied, since this file system cannot share blocks.
    Copy,
    /// A backup was restored.
    Archive,
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "empty",
            Self::Reflink => "reflink",
            Self::Copy => "copy",
            Self::Archive => "archive",
        })
    }
}
