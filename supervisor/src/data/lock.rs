//! Who may touch the data?
//!
//! The process that holds the one lock: `flock` on `supervisor/lock`, and on the data directory itself, which nobody deletes to
//! get rid of a lock. Every child inherits both descriptors, so it stays held as long as any of them lives, and an
//! orphaned app can never become a second writer.

use std::{
    fs::{self, File},
    io::{self, Read, Seek},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    path::Path,
    time::{Duration, SystemTime},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    unistd::Pid,
};

use super::{DataDir, access};
use crate::failure::{Cause, Failure};

/// How often a held lock is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// The lock, held.
#[derive(Debug)]
pub struct Lock {
    file: Flock<File>,
    /// `None` on a file system that locks files only.
    directory: Option<Flock<File>>,
}

impl Lock {
    /// Returns the descriptors that a child inherits.
    pub fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        [Some(&self.file), self.directory.as_ref()].into_iter().flatten().map(|locked| File::as_fd(locked)).collect()
    }

    /// Whether a process has it open.
    pub fn is_open_in(&self, process: Pid) -> bool {
        self.file.metadata().is_ok_and(|own| has_open(process.as_raw(), &own).unwrap_or(false))
    }

    /// Takes the lock, and waits for it up to `wait`; `waiting` is called once with the holder's description
    /// when it has to.
    ///
    /// # Errors
    /// [`Cause::Busy`] naming the holder; [`Cause::FileSystem`] where there are no locks; what opening the file met.
    pub async fn take(data: &DataDir, wait: Duration, waiting: impl FnOnce(&str)) -> Result<Self, Failure> {
        let path = data.lock();
        let open = || {
            // Never truncated on opening: the words in it belong to whoever holds it.
            File::options().write(true).create(true).truncate(false).mode(0o600).open(&path)?;
            // The descriptor that children inherit writes nothing.
            File::open(&path)
        };
        let mut file = open()
            .map_err(|error| access::unwritable(data, &path, &format!("cannot open {}", path.display()), &error))?;
        let until = tokio::time::Instant::now() + wait;
        let mut waiting = Some(waiting);
        loop {
            match try_both(file, data.path()) {
                Ok(lock) => {
                    sign(&path);
                    return Ok(lock);
                }
                Err((back, Errno::EWOULDBLOCK | Errno::EINTR)) => file = back,
                Err((_, errno)) => {
                    return Err(Failure::new(
                        Cause::FileSystem,
                        format!("cannot lock {}: {}", path.display(), errno.desc().to_lowercase()),
                    )
                    .hint("the data directory must lie on a file system with locks (ext4, xfs, btrfs, zfs); nothing was touched"));
                }
            }
            if tokio::time::Instant::now() >= until {
                return Err(Failure::new(
                    Cause::Busy,
                    format!(
                        "the data directory {} is in use by {}",
                        data.path().display(),
                        holder(&mut file, data.path())
                    ),
                )
                .hint(
                    "stop that one first; two on one data directory would be two writers, so this one touched nothing",
                ));
            }
            if let Some(waiting) = waiting.take() {
                waiting(&holder(&mut file, data.path()));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Takes both locks or none; gives the file back for another try.
fn try_both(file: File, directory: &Path) -> Result<Lock, (File, Errno)> {
    let directory = match File::open(directory).map(|open| Flock::lock(open, FlockArg::LockExclusiveNonblock)) {
        Ok(Ok(directory)) => Some(directory),
        Ok(Err((_, errno @ (Errno::EWOULDBLOCK | Errno::EINTR)))) => return Err((file, errno)),
        // Some file systems lock files only.
        Ok(Err(_)) | Err(_) => None,
    };
    let file = Flock::lock(file, FlockArg::LockExclusiveNonblock)?;
    Ok(Lock { file, directory })
}

/// Writes who holds the lock into it, for the next one to read. Information only, so a failure is none.
fn sign(path: &Path) {
    let host = host();
    let since = humantime::format_rfc3339_seconds(SystemTime::now());
    let words = format!("supervisor {} on host {host} since {since}", std::process::id());
    let _ = fs::write(path, words);
}

/// Returns this machine's name, or the container's.
pub fn host() -> String {
    nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default()
}

/// Describes the holders: the processes that have the lock file open, as far as they can be seen from here,
/// else the words that the holder left in it.
fn holder(file: &mut File, directory: &Path) -> String {
    let mut words = String::new();
    let _ = file.rewind().and_then(|()| file.take(200).read_to_string(&mut words));
    let mut processes = file.metadata().map(|own| openers(&own)).unwrap_or_default();
    if processes.is_empty() {
        processes = fs::metadata(directory).map(|own| openers(&own)).unwrap_or_default();
    }
    match (processes.is_empty(), words.trim()) {
        (false, _) => processes.join(", "),
        (true, "") => "another process, which cannot be seen from here".to_owned(),
        // A supervisor does not show what it has open to others of its uid.
        (true, words) => format!("{words}, by what it wrote down"),
    }
}

/// Names the other processes that have this file open.
fn openers(file: &fs::Metadata) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let own = Pid::this().as_raw();
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok())
        .filter(|pid| *pid != own && has_open(*pid, file).unwrap_or(false))
        .map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("process {pid} ({})", name.trim())
        })
        .collect();
    found.sort();
    found
}

fn has_open(pid: i32, file: &fs::Metadata) -> io::Result<bool> {
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        if fs::metadata(entry.path()).is_ok_and(|open| open.dev() == file.dev() && open.ino() == file.ino()) {
            return Ok(true);
        }
    }
    Ok(false)
}
