//! What does a person read when something could not be done?
//!
//! A [`Failure`] passes unchanged from the place of the failure to the log, the page, the CLI or another process. It is a sentence
//! that says what was being done to what, a hint with the command that helps, and a cause that programs can act on.

use std::{fmt, fs, io, os::unix::fs::MetadataExt, path::Path};

use serde::{Deserialize, Serialize};

/// A failure as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure it is, for programs.
    pub cause: Cause,
    /// What happened, to which file or setting: a full sentence without its full stop, starting in lower case.
    pub message: String,
    /// What to do about it: the command that helps, or the state things are in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// The kinds of failure that something acts on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// A setting or argument that cannot be used.
    Configuration,
    /// Too little space on the file system. Passes by itself when space is back.
    NoSpace,
    /// This uid may not do it. Passes when the operator has mended the ownership.
    Permission,
    /// The file system cannot do what Hearth needs (links, locks, shared memory maps, unix sockets).
    FileSystem,
    /// The lock, or the database, is in the hands of another process.
    Busy,
    /// A program could not be started.
    Launch,
    /// The database was last upgraded by a newer version.
    Newer,
    /// The file is an SQLite database of some other program.
    Foreign,
    /// The file is no SQLite database.
    NotADatabase,
    /// The database is damaged.
    Damaged,
    /// The schema is not what the ledger says.
    Drift,
    /// `live` is missing, dangling or not a link although there is, or was, data.
    Live,
    /// A migration failed, or the checks before its commit did.
    Migration,
    /// The app did not prove itself on the new generation.
    Unproven,
    /// The app ended or hung too often in a short time.
    CrashLoop,
    /// A document of a format that this version does not know.
    UnknownFormat,
    /// An interrupted step: it was killed, or the supervisor was told to stop.
    Interrupted,
    /// Any other failed operation of the operating system.
    Io,
}

impl Cause {
    /// Whether it comes of an attempt (of an upgrade, of an app that was started), and not of looking.
    pub fn is_attempt_failure(self) -> bool {
        matches!(self, Self::Migration | Self::Unproven | Self::CrashLoop | Self::Launch | Self::Interrupted | Self::Io)
    }

    /// Whether the cause may have passed by itself, so that another try is made at the next start.
    pub fn passes(self) -> bool {
        matches!(self, Self::NoSpace | Self::Permission | Self::Busy)
    }
}

impl Failure {
    /// Makes a failure without a hint.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self { cause, message: message.into(), hint: None }
    }

    /// Adds the hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Returns what went wrong and what helps, in a line.
    pub fn with_hint(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{} ({hint})", self.message),
            None => self.message.clone(),
        }
    }

    /// Makes a failure of an I/O error: `doing` says what was being done to what ("cannot create /data/live").
    /// A full disk, a read-only file system and a missing permission get a cause and a hint of their own.
    pub fn io(doing: impl fmt::Display, error: &io::Error) -> Self {
        use nix::errno::Errno;
        let errno = error.raw_os_error().map(Errno::from_raw);
        let message = match errno {
            Some(errno) => format!("{doing}: {}", errno.desc().to_lowercase()),
            None => format!("{doing}: {error}"),
        };
        match errno {
            Some(Errno::ENOSPC | Errno::EDQUOT) => Self::new(Cause::NoSpace, message)
                .hint("free some space on that file system (df -h and df -i show what it lacks), then try again"),
            Some(Errno::EACCES | Errno::EPERM) => Self::new(Cause::Permission, message).hint(format!(
                "this process runs as uid {} gid {}, and may not do that; ls -ldn shows whose it is",
                nix::unistd::geteuid(),
                nix::unistd::getegid(),
            )),
            Some(Errno::EMFILE) => Self::new(Cause::Io, message).hint(
                "this process may have no more files open: raise the limit (nofile; docker run --ulimit nofile=4096, \
                 LimitNOFILE= under systemd, ulimit -n in a shell)",
            ),
            Some(Errno::EROFS) => Self::new(Cause::Permission, message)
                .hint("the file system is mounted read-only; mount it read-write, then try again"),
            _ => Self::new(Cause::Io, message),
        }
    }
}

impl Failure {
    /// As [`Failure::io`], of a file or directory that was to be read: where that is not permitted, it says whose it is, and which
    /// command gives it to this user.
    pub fn reading(path: &Path, doing: impl fmt::Display, error: &io::Error) -> Self {
        use nix::errno::Errno;
        let failure = Self::io(doing, error);
        if !matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EACCES | Errno::EPERM)) {
            return failure;
        }
        // The next one upwards that this user can see.
        let seen = path.ancestors().find_map(|place| Some((place, fs::metadata(place).ok()?)));
        let Some((place, stat)) = seen else { return failure };
        let (uid, gid) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        let (owner, group, mode) = (stat.uid(), stat.gid(), stat.mode() & 0o7777);
        let place = place.display();
        let hint = match owner == uid {
            true => format!("open it to its owner with: chmod u+rX {place}"),
            false => format!(
                "give it to this user, as root: chown {uid}:{gid} {place} (for a container on the host, where it has another path)"
            ),
        };
        let message = format!(
            "{}; {place} belongs to uid {owner} gid {group} (mode {mode:03o}), and this process runs as uid {uid} gid {gid}",
            failure.message
        );
        Self::new(failure.cause, message).hint(hint)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use nix::errno::Errno;

    use super::*;

    #[test]
    fn the_hint_of_an_io_error_fits_whoever_met_it() {
        for (errno, cause, words) in [
            (Errno::ENOSPC, Cause::NoSpace, ", then try again"),
            (Errno::EROFS, Cause::Permission, "mount it read-write, then try again"),
            (Errno::EACCES, Cause::Permission, ", and may not do that"),
        ] {
            let failure = Failure::io("cannot read /data/supervisor/token", &errno.into());
            assert_eq!(failure.cause, cause);
            let hint = failure.hint.unwrap();
            assert!(hint.contains(words), "{hint}");
            // A start, a restore and a command meet the same errors; and what is not known is not told to be changed.
            for wrong in ["resume", "restore", "chown", "<", "the supervisor runs"] {
                assert!(!hint.contains(wrong), "{hint}");
            }
        }
    }
}
