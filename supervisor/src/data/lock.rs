//! Who may touch the data?
//!
//! Whoever holds the one lock: `flock` on `supervisor/lock`. Every child inherits its descriptor, so it stays
//! held as long as any of them lives, and an orphaned app can never become a second writer.

use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::{MetadataExt, OpenOptionsExt},
    },
    time::{Duration, SystemTime},
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::{DataDir, access};
use crate::failure::{Cause, Failure};

/// How often a held lock is tried again.
const AGAIN: Duration = Duration::from_millis(50);

/// The lock, held.
#[derive(Debug)]
pub struct Lock(Flock<File>);

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Lock {
    /// Takes the lock, and waits for it up to `wait`; `waiting` is called once with the holder's description
    /// when it has to.
    ///
    /// # Errors
    /// [`Cause::Busy`] naming the holder; [`Cause::FileSystem`] where there are no locks; what opening the file met.
    pub async fn take(data: &DataDir, wait: Duration, waiting: impl FnOnce(&str)) -> Result<Self, Failure> {
        let path = data.lock();
        let open = || {
            // Never truncated on opening: the words in it belong to whoever holds it.
            File::options().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path)
        };
        let mut file = open()
            .map_err(|error| access::unwritable(data, &path, &format!("cannot open {}", path.display()), &error))?;
        let until = tokio::time::Instant::now() + wait;
        let mut waiting = Some(waiting);
        loop {
            match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(mut lock) => {
                    sign(&mut lock);
                    return Ok(Self(lock));
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
                    format!("the data directory {} is in use by {}", data.path().display(), holder(&mut file)),
                )
                .hint(
                    "stop that one first; two on one data directory would be two writers, so this one touched nothing",
                ));
            }
            if let Some(waiting) = waiting.take() {
                waiting(&holder(&mut file));
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}

/// Writes who holds the lock into it, for the next one to read. Information only, so a failure is none.
fn sign(lock: &mut Flock<File>) {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    let since = humantime::format_rfc3339_seconds(SystemTime::now());
    let words = format!("supervisor {} on host {host} since {since}", std::process::id());
    let _ = lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| lock.write_all(words.as_bytes()));
}

/// Describes the holders: the processes that have the lock file open, as far as they can be seen from here,
/// else the words that the holder left in it.
fn holder(file: &mut File) -> String {
    let mut words = String::new();
    let _ = file.rewind().and_then(|()| file.take(200).read_to_string(&mut words));
    let processes = file.metadata().map(|own| openers(own.dev(), own.ino())).unwrap_or_default();
    match (processes.is_empty(), words.trim()) {
        (false, _) => processes.join(", "),
        (true, "") => "another process, which cannot be seen from here".to_owned(),
        (true, words) => format!("{words} (which cannot be seen from here; another container?)"),
    }
}

/// Names the other processes that have this file open.
fn openers(device: u64, inode: u64) -> Vec<String> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let own = std::process::id();
    let mut found: Vec<String> = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| *pid != own && has_open(*pid, device, inode).unwrap_or(false))
        .map(|pid| {
            let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            format!("process {pid} ({})", name.trim())
        })
        .collect();
    found.sort();
    found
}

fn has_open(pid: u32, device: u64, inode: u64) -> io::Result<bool> {
    for entry in fs::read_dir(format!("/proc/{pid}/fd"))?.flatten() {
        if fs::metadata(entry.path()).is_ok_and(|file| file.dev() == device && file.ino() == inode) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(flavor = "current_thread")]
    async fn a_second_one_is_told_who_has_it() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().to_owned());
        fs::create_dir(data.supervisor()).unwrap();
        let first = Lock::take(&data, Duration::ZERO, |_| ()).await.unwrap();
        let mut told = false;
        let refused = Lock::take(&data, Duration::from_millis(60), |_| told = true).await.unwrap_err();
        assert!(told);
        assert_eq!(refused.cause, Cause::Busy);
        assert!(refused.message.contains("is in use by supervisor"), "{refused}");
        drop(first);
        Lock::take(&data, Duration::ZERO, |_| ()).await.unwrap();
    }
}
