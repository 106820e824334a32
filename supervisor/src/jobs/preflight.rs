//! Can a household's data be kept here?
//!
//! Tried out by doing, in a directory of its own: names of file systems tell little about what a mount can do. Only
//! network file systems are refused by name, since what they get wrong (locks and shared memory between machines)
//! does not show in a trial on one machine.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    num::NonZeroUsize,
    os::unix::{
        fs::{DirBuilderExt, FileExt, symlink},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, Flock, FlockArg, fcntl},
    libc,
    sys::{
        mman::{MapFlags, ProtFlags, mmap, munmap},
        statvfs::statvfs,
    },
};
use serde::{Deserialize, Serialize};

use super::filesystem::{self, Verdict};
use crate::{
    data::{DataDir, access, durable::Explain, size::Size},
    failure::{Cause, Failure},
    fault,
};

/// Below this not even a start is tried: the app could write nothing.
const NEEDED: u64 = 16 << 20;
/// Below this the operator is told.
const LOW: u64 = 256 << 20;
/// The length of a map as SQLite makes it of its -shm.
const MAP: usize = 32 * 1024;

/// What was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Findings {
    /// The name of the file system, such as `ext4`; a number in hexadecimal for one that is not known by name.
    pub filesystem: String,
    /// Free bytes for this uid; the greatest number where the file system does not know.
    pub free_bytes: u64,
    /// What is not as it should be, and yet works: sentences.
    pub notes: Vec<String>,
}

/// Probes the data directory.
///
/// # Errors
/// [`Cause::FileSystem`] for what the file system cannot do, [`Cause::Permission`] with the command that mends the
/// ownership, [`Cause::NoSpace`].
pub fn preflight(data: &DataDir) -> Result<Findings, Failure> {
    let (filesystem, verdict) = filesystem::of(data.path())?;
    let mut notes = match verdict {
        Verdict::Refuse(why) => return Err(cannot(data, &format!("is {filesystem}, {why}"))),
        Verdict::Note(note) => vec![format!("the data directory {} is on {filesystem}: {note}", data.path().display())],
        Verdict::Fine => Vec::new(),
    };
    let probe = Probe::make(data)?;
    access::check(data)?;
    let free_bytes = space(data, &mut notes)?;
    let trials: [(&str, &str, Trial); 4] = [
        ("preflight.links", "cannot replace a symbolic link by a rename", links),
        ("preflight.locks", "cannot lock files", locks),
        ("preflight.maps", "cannot share memory maps of files between processes", maps),
        ("preflight.sockets", "cannot hold unix sockets", sockets),
    ];
    for (point, cannot_do, trial) in trials {
        fault::point(point).and_then(|()| trial(&probe.0)).map_err(|error| {
            match error.raw_os_error().map(Errno::from_raw) {
                // Of the disk and its mount, not of what its file system can do.
                Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EROFS | Errno::EACCES) => {
                    Failure::io(format!("cannot try out the data directory in {}", probe.0.display()), &error)
                }
                Some(errno) => {
                    cannot(data, &format!("is {filesystem}, which {cannot_do} ({})", errno.desc().to_lowercase()))
                }
                None => cannot(data, &format!("is {filesystem}, which {cannot_do} ({error})")),
            }
        })?;
    }
    Ok(Findings { filesystem, free_bytes, notes })
}

type Trial = fn(&Path) -> io::Result<()>;

fn cannot(data: &DataDir, what: &str) -> Failure {
    Failure::new(Cause::FileSystem, format!("the file system of the data directory {} {what}", data.path().display()))
        .hint("Hearth needs symbolic links, locks, shared memory maps and unix sockets; put the data directory on a local file system of this machine (ext4, xfs, btrfs, zfs), or a volume that Docker makes; nothing was touched")
}

/// The directory that is tried out in; gone when dropped.
struct Probe(PathBuf);

impl Probe {
    /// Makes it, after those of killed ones are removed. The data directory may be missing; it is made.
    fn make(data: &DataDir) -> Result<Self, Failure> {
        let supervisor = data.supervisor();
        let unwritable = |path: &Path, error: &io::Error| {
            access::unwritable(data, path, &format!("cannot write in {}", path.display()), error)
        };
        match DirBuilder::new().mode(0o700).recursive(true).create(&supervisor) {
            Err(error) if !supervisor.is_dir() => return Err(unwritable(&supervisor, &error)),
            _ => {}
        }
        let entries = fs::read_dir(&supervisor).map_err(|error| unwritable(&supervisor, &error))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with("probe-") {
                // One that cannot be removed is in nobody's way.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let path = supervisor.join(format!("probe-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| unwritable(&supervisor, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn space(data: &DataDir, notes: &mut Vec<String>) -> Result<u64, Failure> {
    let path = data.path();
    let space = statvfs(path).explain(|| format!("cannot ask for the free space of {}", path.display()))?;
    if space.blocks() == 0 {
        notes.push(format!("the file system of {} does not say how much space is free", path.display()));
        return Ok(u64::MAX);
    }
    let free = space.blocks_available() * space.fragment_size();
    let hint = "free some space there (docker system df shows what Docker holds), then: supervisor resume; nothing was touched";
    if free < NEEDED {
        return Err(Failure::new(
            Cause::NoSpace,
            format!("only {} are free in {}, and a start needs {}", Size(free), path.display(), Size(NEEDED)),
        )
        .hint(hint));
    }
    // Some file systems (btrfs) have no fixed number of inodes and say 0 of 0.
    if space.files() > 0 && space.files_available() == 0 {
        return Err(Failure::new(
            Cause::NoSpace,
            format!("the file system of {} has no room for further files (no free inodes)", path.display()),
        )
        .hint(hint));
    }
    if free < LOW {
        notes.push(format!(
            "only {} are free in {}: an upgrade, and in time the app, will need more",
            Size(free),
            path.display()
        ));
    }
    Ok(free)
}

fn wrong<T>(what: &str) -> io::Result<T> {
    Err(io::Error::other(what.to_owned()))
}

/// `live` is a link that is replaced by a rename.
fn links(probe: &Path) -> io::Result<()> {
    let (link, beside) = (probe.join("link"), probe.join("beside"));
    symlink("one", &link)?;
    symlink("two", &beside)?;
    fs::rename(&beside, &link)?;
    if fs::read_link(&link)? != Path::new("two") {
        wrong("the link is not the new one after the rename")
    } else {
        Ok(())
    }
}

/// The one lock is an flock, and SQLite's are POSIX ones.
fn locks(probe: &Path) -> io::Result<()> {
    let path = probe.join("lock");
    let open = || File::options().read(true).write(true).create(true).truncate(false).open(&path);
    let first = Flock::lock(open()?, FlockArg::LockExclusiveNonblock).map_err(|(_, errno)| errno)?;
    match Flock::lock(open()?, FlockArg::LockExclusiveNonblock) {
        Err((_, Errno::EWOULDBLOCK)) => {}
        Err((_, errno)) => return Err(errno.into()),
        Ok(_) => return wrong("two could hold the same lock"),
    }
    let write =
        libc::flock { l_type: libc::F_WRLCK as _, l_whence: libc::SEEK_SET as _, l_start: 0, l_len: 1, l_pid: 0 };
    fcntl(&*first, FcntlArg::F_SETLK(&write))?;
    Ok(())
}

/// SQLite's processes share the index of the WAL in a map.
fn maps(probe: &Path) -> io::Result<()> {
    let path = probe.join("map");
    let mut file = File::options().read(true).write(true).create_new(true).open(&path)?;
    // Written, not only made longer: a page of a hole that finds the disk full is a SIGBUS.
    file.write_all(&[0; MAP])?;
    let other = File::options().read(true).write(true).open(&path)?;
    let Some(length) = NonZeroUsize::new(MAP) else { return Ok(()) };
    let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
    // SAFETY: a new map at an address that the kernel chooses; it lies over no memory that is in use.
    let map = unsafe { mmap(None, length, protection, MapFlags::MAP_SHARED, &file, 0) }?;
    let mut seen = [0];
    // SAFETY: the map is `MAP` bytes long and writable, and the file has a written byte under each of them. Nothing
    // else in this process refers to it.
    unsafe { map.cast::<u8>().as_ptr().add(MAP - 1).write_volatile(7) };
    let read = other.read_exact_at(&mut seen, MAP as u64 - 1);
    // SAFETY: it is the map from above, whole, and nothing refers to it.
    unsafe { munmap(map, MAP) }?;
    read?;
    if seen == [7] { Ok(()) } else { wrong("what one process writes another does not see") }
}

/// The control socket, and the app's private one.
fn sockets(probe: &Path) -> io::Result<()> {
    // By the descriptor of the directory: a unix socket's address has room for 107 bytes (unix(7)).
    let directory = File::open(probe)?;
    let path = format!("/proc/self/fd/{}/socket", std::os::fd::AsRawFd::as_raw_fd(&directory));
    let _listener = UnixListener::bind(&path)?;
    UnixStream::connect(&path)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use nix::mount::{MsFlags, mount};

    use super::*;
    use crate::jobs::testing::{data, tmpfs};

    #[test]
    fn a_local_file_system_will_do_and_nothing_is_left_on_it() {
        let (_directory, data) = data();
        fs::create_dir(data.supervisor().join("probe-1")).unwrap();
        fs::write(data.supervisor().join("probe-1/link"), "of a killed one").unwrap();
        let findings = preflight(&data).unwrap();
        assert!(findings.free_bytes > NEEDED);
        assert_eq!(fs::read_dir(data.supervisor()).unwrap().count(), 0);
    }

    #[test]
    fn a_directory_that_is_not_there_is_made() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().join("new/data"));
        preflight(&data).unwrap();
        assert!(data.supervisor().is_dir());
    }

    #[test]
    fn memory_is_noted_and_too_little_of_it_refused() {
        let Some((_mount, data)) = tmpfs(100) else { return };
        let findings = preflight(&data).unwrap();
        assert_eq!(findings.filesystem, "tmpfs");
        assert!(findings.notes[0].contains("all data is lost when the machine"), "{findings:?}");
        assert!(findings.notes[1].starts_with("only 100.0 MiB are free"), "{findings:?}");
        let Some((_mount, data)) = tmpfs(4) else { return };
        let failure = preflight(&data).unwrap_err();
        assert_eq!(failure.cause, Cause::NoSpace);
        assert!(failure.message.contains("and a start needs 16.0 MiB"), "{failure}");
    }

    #[test]
    fn a_read_only_mount_is_called_that() {
        let Some((_mount, data)) = tmpfs(100) else { return };
        let flags = MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(None::<&str>, data.path(), None::<&str>, flags, None::<&str>).unwrap();
        let failure = preflight(&data).unwrap_err();
        assert_eq!(failure.cause, Cause::Permission);
        assert!(failure.message.contains("supervisor: read-only file system"), "{failure}");
        assert!(failure.hint.unwrap().contains("mounted read-only"));
    }
}
