//! Where does each thing in the data directory live, and what is it called?

pub mod access;
pub mod backup;
pub mod durable;
pub mod generations;
pub mod lock;
pub mod permissions;
pub mod programs;
pub mod retention;
pub mod size;
pub mod space;
pub mod state;
pub mod text_file;
pub mod tries;
pub mod view;

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use serde::{Deserialize, Serialize};

/// The name of a generation's database file.
pub const DATABASE: &str = "app.db";
/// The name of the marker that a generation carries until it is committed.
pub const STAGING: &str = "STAGING";

/// The number of a generation; written with at least four digits, as its directory is named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GenerationId(pub u32);

impl GenerationId {
    /// The highest number there can be. A directory that is named by it is still read back as a generation.
    pub const HIGHEST: Self = Self(999_999_999);

    /// Returns the number after this one; `None` when there is none.
    pub fn next(self) -> Option<Self> {
        (self < Self::HIGHEST).then(|| Self(self.0 + 1))
    }
}

impl fmt::Display for GenerationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04}", self.0)
    }
}

impl FromStr for GenerationId {
    type Err = String;

    /// Reads `0007` or `7`; only digits, so that a directory named otherwise is never taken for a generation.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("{text} is not the number of a generation, such as 0007");
        // Nine digits, as [`Self::HIGHEST`] has: none of them overflows.
        if text.is_empty() || text.len() > 9 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(wrong());
        }
        text.parse().map(Self).map_err(|_| wrong())
    }
}

/// The data directory; knows every path in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// Takes an absolute path.
    pub fn new(path: PathBuf) -> Self {
        debug_assert!(path.is_absolute());
        Self(path)
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The directory and those in it, each of which may be a link to another disk; but for `backups/`, which may be on one
    /// that does not answer.
    pub fn places(&self) -> [PathBuf; 4] {
        [self.0.clone(), self.generations(), self.files(), self.supervisor()]
    }

    /// The directories in which the app, while it serves, keeps files beside its database. Of these, only `files/` is backed up.
    pub fn kept_by_the_app(&self) -> [PathBuf; 3] {
        [self.files(), self.uploads(), self.cache()]
    }

    /// `generations/0007`.
    pub fn generation(&self, id: GenerationId) -> PathBuf {
        self.generations().join(id.to_string())
    }

    /// `generations/0007/app.db`.
    pub fn database(&self, id: GenerationId) -> PathBuf {
        self.generation(id).join(DATABASE)
    }

    /// `generations/0007/STAGING`.
    pub fn marker(&self, id: GenerationId) -> PathBuf {
        self.generation(id).join(STAGING)
    }

    /// Whether this generation carries the marker: a regular file, and nothing else that an app may have called so.
    pub fn is_marked(&self, id: GenerationId) -> bool {
        self.marker(id).symlink_metadata().is_ok_and(|stat| stat.is_file())
    }

    /// `generations/0007/generation.json`.
    pub fn description(&self, id: GenerationId) -> PathBuf {
        self.generation(id).join("generation.json")
    }

    /// What `live` points to when this generation is in use; relative, so that the directory can be moved.
    pub fn link_target(id: GenerationId) -> PathBuf {
        Path::new("generations").join(id.to_string())
    }
}

/// Makes a method of each name that returns its path in the data directory.
macro_rules! paths {
    ($($(#[$about:meta])* $name:ident = $path:literal;)*) => {
        impl DataDir {
            $($(#[$about])* pub fn $name(&self) -> PathBuf { self.0.join($path) })*
        }
    };
}

paths! {
    /// The link to the generation in use.
    live = "live";
    /// One directory a generation.
    generations = "generations";
    /// The attachments.
    files = "files";
    /// What the app has received of files that are being uploaded.
    uploads = "uploads";
    /// What the app can make again: smaller pictures of attachments.
    cache = "cache";
    /// Where backups lie unless `backup.dir` says otherwise.
    backups = "backups";
    /// The operator's settings.
    config = "config.toml";
    /// The supervisor's own.
    supervisor = "supervisor";
    /// The one lock.
    lock = "supervisor/lock";
    /// The control socket.
    control_socket = "supervisor/control.sock";
    /// What shows the control socket that its bearer is the operator.
    token = "supervisor/token";
    /// [`state::State`].
    state = "supervisor/state.json";
    /// [`state::Held`], while the supervisor is held.
    held = "supervisor/held.json";
    /// The name of this instance among others at an off-site destination.
    instance = "supervisor/instance";
    /// Where that name was given.
    identity = "supervisor/instance.json";
    /// What became of the last backups.
    backup_history = "supervisor/backups.json";
    /// What is known of newer versions.
    update = "supervisor/update.json";
    /// The programs that are kept to serve on when a newer one fails.
    programs = "programs";
    /// [`programs::KeptPrograms`].
    kept_programs = "supervisor/programs.json";
    /// [`tries::Tries`].
    tries = "supervisor/tries.json";
    /// Where an upgrade is rehearsed, on a copy; removed after it.
    rehearsal = "rehearsal";
    /// The lock of the one rehearsal.
    rehearsal_lock = "supervisor/rehearsal.lock";
    /// Where a backup is copied to and restored for a check; removed after each job and at start.
    scratch = "supervisor/scratch";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_written_with_four_digits_and_read_back() {
        assert_eq!(GenerationId(7).to_string(), "0007");
        assert_eq!(GenerationId(12345).to_string(), "12345");
        assert_eq!("0007".parse(), Ok(GenerationId(7)));
        for wrong in ["", "7a", "+7", "-1", ".removing-7", "4294967295"] {
            assert!(wrong.parse::<GenerationId>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_number_that_can_come_next_can_be_read_back() {
        let next = |number| GenerationId(number).next();
        assert_eq!(next(7), Some(GenerationId(8)));
        assert_eq!(next(999_999_998), Some(GenerationId::HIGHEST));
        assert_eq!(GenerationId::HIGHEST.to_string().parse(), Ok(GenerationId::HIGHEST));
        assert_eq!(next(999_999_999), None);
        assert_eq!(next(u32::MAX), None);
    }
}
