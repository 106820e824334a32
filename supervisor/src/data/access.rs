//! Who may write in the data directory, and which command mends it?

use std::{
    fs,
    io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::AT_FDCWD,
    unistd::{AccessFlags, faccessat, getegid, geteuid},
};

use super::DataDir;
use crate::failure::{Cause, Failure};

/// Makes the failure of something that could not be written at `path` in the data directory. Where the cause is the
/// ownership, it names the owner, this uid, and the exact commands that help; else it is [`Failure::io`].
pub fn unwritable(data: &DataDir, path: &Path, doing: &str, error: &io::Error) -> Failure {
    if !matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EACCES | Errno::EPERM)) {
        return Failure::io(doing, error);
    }
    let (uid, gid) = (geteuid(), getegid());
    // The next one upwards that is there tells whose it is.
    let Some((place, stat)) = path.ancestors().find_map(|place| Some((place, fs::metadata(place).ok()?))) else {
        return Failure::io(doing, error);
    };
    let (owner, group, mode) = (stat.uid(), stat.gid(), stat.mode() & 0o7777);
    let message = format!(
        "{doing}: permission denied; {} belongs to uid {owner} gid {group} (mode {mode:03o}), and the supervisor runs as uid {uid} gid {gid}",
        place.display(),
    );
    let failure = Failure::new(Cause::Permission, message);
    let chown = format!("chown -R {uid}:{gid} {}", data.path().display());
    if uid.is_root() {
        return failure.hint(format!(
            "not even root may write there: the container has no CAP_DAC_OVERRIDE (cap_drop: ALL), or the file system \
             maps root to another user (NFS with root_squash, an unprivileged LXC); run the container with user: \
             \"{owner}:{group}\", or on the machine that has the files: {chown}"
        ));
    }
    if owner == uid.as_raw() {
        return failure.hint(format!(
            "the directory is this user's own, yet closed to it; open it with: chmod -R u+rwX {}",
            data.path().display()
        ));
    }
    let or_user = if owner == 0 { String::new() } else { format!(", or run the container with user: \"{owner}:{group}\"") };
    failure.hint(format!("give the data directory to this user with: {chown} (on the host: the directory that is mounted there){or_user}"))
}

/// Checks by asking the system that this uid may read and write each thing that a start needs: the directories, and
/// the live generation with its database. A `chown` that was not recursive is found here.
///
/// # Errors
/// [`unwritable`] of the first one that it may not.
pub fn check(data: &DataDir) -> Result<(), Failure> {
    let directories = [data.path().to_owned(), data.supervisor(), data.generations(), data.files(), data.live()];
    let live = data.live();
    let files = ["app.db", "app.db-wal", "app.db-shm"].map(|name| live.join(name));
    let all = AccessFlags::R_OK | AccessFlags::W_OK;
    let checks = directories
        .into_iter()
        .map(|path| (path, all | AccessFlags::X_OK))
        .chain(files.into_iter().map(|path| (path, all)));
    for (path, how) in checks {
        may(data, &path, how)?;
    }
    Ok(())
}

fn may(data: &DataDir, path: &PathBuf, how: AccessFlags) -> Result<(), Failure> {
    // By the effective ids, where the C library can; without the flag the kernel judges by the real ones.
    let asked = faccessat(AT_FDCWD, path, how, nix::fcntl::AtFlags::AT_EACCESS);
    match asked {
        // What is not there is not this check's matter; nor is a system that cannot answer.
        Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENOSYS | Errno::EINVAL | Errno::ELOOP) => Ok(()),
        Err(errno) => Err(unwritable(data, path, &format!("cannot read and write {}", path.display()), &errno.into())),
    }
}
