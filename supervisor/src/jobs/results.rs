//! What do jobs answer with?

use std::fmt;

use serde::{Deserialize, Serialize};

use super::backup::Archive;
use crate::{
    config::Backup as Settings,
    data::{GenerationId, backup::BackupId},
    process::sandbox::SandboxSupport,
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
    /// What children can be confined by, if that was asked.
    pub means: SandboxSupport,
}

/// A database at rest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpointed {
    /// When the household last wrote to it since it was sealed (RFC 3339), or `None` if it did not. One whose
    /// sealing is not known counts as written to.
    pub written_at: Option<String>,
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
    #[must_use]
    pub fn generation(&self) -> Option<GenerationId> {
        match self {
            Self::Generation(generation) => Some(*generation),
            Self::Nothing | Self::Backup(_) => None,
        }
    }

    /// Returns the backup.
    #[must_use]
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
