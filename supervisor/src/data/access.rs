//! Who may write in the data directory, and which command gives this user the right to?

use std::{
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    unistd::{AccessFlags, Gid, Uid, access, getegid, geteuid, setgid, setgroups, setuid},
};

use super::DataDir;
use crate::failure::{Cause, Failure};

/// Makes the failure of something that could not be written at `path` in the data directory. Where the cause is the
/// ownership, it names the owner, this uid, and the exact commands that help; else it is [`Failure::io`].
pub fn unwritable(data: &DataDir, path: &Path, doing: &str, error: &io::Error) -> Failure {
    if !matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::EACCES | Errno::EPERM)) {
        return Failure::io(doing, error);
    }
    // The next one upwards that is there tells whose it is.
    match path.ancestors().find_map(|place| Some((place, fs::metadata(place).ok()?))) {
        Some((place, stat)) => {
            let owner = Owner { uid: stat.uid(), gid: stat.gid(), mode: stat.mode() & 0o7777 };
            denied(data, place, doing, owner, (geteuid().as_raw(), getegid().as_raw()), in_container())
        }
        None => Failure::io(doing, error),
    }
}

/// Whose a file is.
#[derive(Clone, Copy)]
struct Owner {
    uid: u32,
    gid: u32,
    mode: u32,
}

/// Whether this runs in a container: the image says so, as Podman and systemd's container interface do.
pub fn in_container() -> bool {
    std::env::var_os("container").is_some()
}

/// Says whose `place` is, who we are (uid and gid), and what mends it: in a container, on the host, where the directory has
/// another path.
fn denied(data: &DataDir, place: &Path, doing: &str, owner: Owner, (uid, gid): (u32, u32), container: bool) -> Failure {
    let Owner { uid: owner, gid: group, mode } = owner;
    let message = format!(
        "{doing}: permission denied; {} belongs to uid {owner} gid {group} (mode {mode:03o}), and the supervisor runs as uid {uid} gid {gid}",
        place.display(),
    );
    let chown = match chown(data, (uid, gid), container) {
        (command, Some(explained)) => format!("{command} ({explained})"),
        (command, None) => command,
    };
    let hint = match uid {
        0 => format!(
            "not even root may write there: the container has no CAP_DAC_OVERRIDE (cap_drop: ALL), or the file system maps \
             root to another user (NFS with root_squash, an unprivileged LXC); run the container with user: \
             \"{owner}:{group}\", or on the machine that has the files: {chown}"
        ),
        _ if uid == owner => {
            format!("the directory is this user's own, yet closed to it; open it with: {}", chmod(data))
        }
        _ => {
            // Nobody is told to run as root.
            let or_user = match owner {
                0 => String::new(),
                _ => format!("; or run the container with user: \"{owner}:{group}\""),
            };
            format!("give the data directory to this user with: {chown}{or_user}")
        }
    };
    Failure::new(Cause::Permission, message).hint(hint)
}

/// Returns the command that makes the data directory this user's, and what to put for a word of it: in a container, the
/// directory has another path on the host.
fn chown(data: &DataDir, (uid, gid): (u32, u32), container: bool) -> (String, Option<String>) {
    let root = data.path().display();
    if container {
        let explained = format!("on the host; DIRECTORY is what the compose file or docker run mounts at {root}");
        (format!("sudo chown -R {uid}:{gid} DIRECTORY"), Some(explained))
    } else {
        (format!("chown -R {uid}:{gid} {root}"), None)
    }
}

fn chmod(data: &DataDir) -> String {
    format!("chmod -R u+rwX {}", data.path().display())
}

/// Returns the command that opens the data directory to this user, with what it does; nothing, where ownership and mode are not what
/// keeps it out.
pub fn way_in(data: &DataDir) -> Option<(String, String)> {
    let (closed, errno) = first_closed(data)?;
    let denied = matches!(errno, Errno::EACCES | Errno::EPERM);
    let stat = closed.ancestors().filter(|_| denied).find_map(|place| fs::metadata(place).ok())?;
    if stat.uid() == geteuid().as_raw() {
        return Some((chmod(data), "opens the data directory to the user that Hearth runs as".to_owned()));
    }
    let (command, explained) = chown(data, (geteuid().as_raw(), getegid().as_raw()), in_container());
    let explained = explained.map(|explained| format!(": {explained}")).unwrap_or_default();
    Some((command, format!("gives the data directory to the user that Hearth runs as{explained}")))
}

/// Makes root the user whom the data directory belongs to, for the rest of this process: what root made there, nobody else could
/// use afterwards. Whoever is not root, or whose own it is, stays who they are.
///
/// # Errors
/// [`Cause::Permission`] where root may not do that.
pub fn become_owner(data: &DataDir) -> Result<(), Failure> {
    let Ok(stat) = fs::metadata(data.path()) else { return Ok(()) };
    let (uid, gid) = (stat.uid(), stat.gid());
    if !geteuid().is_root() || uid == 0 {
        return Ok(());
    }
    let become_it = || {
        setgroups(&[])?;
        setgid(Gid::from_raw(gid))?;
        setuid(Uid::from_raw(uid))
    };
    become_it().map_err(|errno| {
        Failure::new(
            Cause::Permission,
            format!("cannot go on as uid {uid} gid {gid}, whom {} belongs to: {}", data.path().display(), errno.desc()),
        )
        .hint(format!("run the command as that user: docker run --user {uid}:{gid}, or setpriv --reuid={uid} --regid={gid} --clear-groups"))
    })
}

/// Checks by asking the system that this uid may read and write each thing that a start needs: the directories, and
/// the live generation with its database. A `chown` that was not recursive is found here.
///
/// # Errors
/// [`unwritable`] of the first one that it may not.
pub fn check(data: &DataDir) -> Result<(), Failure> {
    match first_closed(data) {
        Some((path, errno)) => {
            Err(unwritable(data, &path, &format!("cannot read and write {}", path.display()), &errno.into()))
        }
        None => Ok(()),
    }
}

/// Returns the first thing that a start needs and that this uid may not read and write, with what the system answered.
fn first_closed(data: &DataDir) -> Option<(PathBuf, Errno)> {
    let directories = [data.path().to_owned(), data.supervisor(), data.generations(), data.live()];
    let live = data.live();
    let files = ["app.db", "app.db-wal", "app.db-shm"].map(|name| live.join(name));
    let all = AccessFlags::R_OK | AccessFlags::W_OK;
    let checks = directories
        .into_iter()
        .chain(data.kept_by_the_app())
        .map(|path| (path, all | AccessFlags::X_OK))
        .chain(files.into_iter().map(|path| (path, all)));
    checks.into_iter().find_map(|(path, how)| {
        let errno = refusal(&path, how)?;
        Some((path, errno))
    })
}

fn refusal(path: &Path, how: AccessFlags) -> Option<Errno> {
    // By the real ids, which are the effective ones: no program of Hearth's is setuid. To be asked about the effective
    // ones, the C library uses faccessat2, and an old seccomp profile's EPERM to that would be taken for the answer.
    match access(path, how) {
        // What is not there is not this check's matter; nor is a system that cannot answer.
        Ok(()) | Err(Errno::ENOENT | Errno::ENOTDIR | Errno::ENOSYS | Errno::EINVAL | Errno::ELOOP) => None,
        Err(errno) => Some(errno),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_that_mends_it_is_exact() {
        let data = DataDir::new("/app/data".into());
        let denied = |uid, gid, own| {
            let owner = Owner { uid, gid, mode: 0o755 };
            denied(&data, Path::new("/app/data"), "cannot write in /app/data/supervisor", owner, own, false)
        };
        let failure = denied(1000, 100, (1001, 1001));
        assert_eq!(failure.cause, Cause::Permission);
        assert_eq!(
            failure.message,
            "cannot write in /app/data/supervisor: permission denied; /app/data belongs to uid 1000 gid 100 (mode 755), \
             and the supervisor runs as uid 1001 gid 1001"
        );
        assert_eq!(
            failure.hint.unwrap(),
            "give the data directory to this user with: chown -R 1001:1001 /app/data; or run the container with user: \
             \"1000:100\""
        );
        let owner = Owner { uid: 99, gid: 100, mode: 0o755 };
        let place = Path::new("/app/data");
        let hint = super::denied(&data, place, "cannot write", owner, (1001, 1001), true).hint.unwrap();
        assert_eq!(
            hint,
            "give the data directory to this user with: sudo chown -R 1001:1001 DIRECTORY (on the host; DIRECTORY is what \
             the compose file or docker run mounts at /app/data); or run the container with user: \"99:100\""
        );
        assert!(!denied(0, 0, (1001, 1001)).hint.unwrap().contains("user:"), "nobody is told to run as root");
        assert!(denied(1001, 1, (1001, 1001)).hint.unwrap().contains("chmod -R u+rwX /app/data"));
        let squashed = denied(1000, 100, (0, 0)).hint.unwrap();
        assert!(squashed.contains("root_squash") && squashed.contains("user: \"1000:100\""), "{squashed}");
    }

    #[test]
    fn other_errors_keep_their_own_words() {
        let data = DataDir::new("/app/data".into());
        let full = unwritable(&data, data.path(), "cannot write", &Errno::ENOSPC.into());
        assert_eq!(full.cause, Cause::NoSpace);
        let read_only = unwritable(&data, data.path(), "cannot write", &Errno::EROFS.into());
        assert!(read_only.hint.unwrap().contains("mounted read-only"));
    }
}
