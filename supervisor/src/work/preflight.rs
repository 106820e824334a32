//! Can a household's data be kept here?
//!
//! The job tries it out, in a directory made for the purpose, on each file system that the data lies on (a directory in it may
//! be a link, or a mount of another one). Names of file systems tell little about what a mount can do. Only network file systems
//! are refused by name, since their faults (locks and shared memory between machines) do not show on one machine.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, Write},
    num::NonZeroUsize,
    os::unix::{
        fs::{DirBuilderExt, FileExt, MetadataExt, symlink},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, Flock, FlockArg, fcntl},
    libc,
    sys::mman::{MapFlags, ProtFlags, mmap, munmap},
};

use super::filesystem::{self, Verdict};
use crate::{
    data::{DataDir, access, size::Size, space},
    failure::{Cause, Failure},
    fault,
    jobs::Findings,
};

/// Below this not even a start is tried: the app could write nothing.
const NEEDED: u64 = 16 << 20;
/// Below this the operator is told.
const LOW: u64 = 256 << 20;
/// The length of a map as SQLite makes it of its -shm.
const MAP: usize = 32 * 1024;
/// What the name of a directory that is tried out in begins with.
const PROBE: &str = ".probe-";

/// Probes the data directory, and each directory in it that lies on another file system.
///
/// # Errors
/// [`Cause::FileSystem`] for what a file system cannot do, [`Cause::Permission`] with the command that mends the
/// ownership, [`Cause::NoSpace`].
pub fn preflight(data: &DataDir) -> Result<Findings, Failure> {
    let mut notes = Vec::new();
    let root = Place::new("the data directory", data.path().to_owned())?;
    root.judge(&mut notes)?;
    let free_bytes = probe(data, &root, &mut notes)?;
    Ok(Findings { filesystem: root.filesystem, free_bytes, notes })
}

/// Tries each file system out; returns the free bytes of the fullest.
fn probe(data: &DataDir, root: &Place, notes: &mut Vec<String>) -> Result<u64, Failure> {
    // Without a free inode not even the directory to try things out in can be made.
    space::no_inodes(data.path()).map_or(Ok(()), Err)?;
    let supervisor = Probe::make(data, &data.supervisor())?;
    access::check(data)?;
    let mut free_bytes = space(data.path(), notes)?;
    root.try_out(&supervisor, &[LINKS, LOCKS, MAPS, SOCKETS])?;
    for (place, trials) in elsewhere(data)? {
        place.judge(notes)?;
        if !trials.is_empty() {
            free_bytes = free_bytes.min(space(&place.path, notes)?);
            place.try_out(&Probe::make(data, &place.path)?, trials)?;
        }
    }
    Ok(free_bytes)
}

/// Returns the directories in the data directory that lie on another file system than it does, by a link or a mount,
/// each with what it must be able to do; of `files/` nothing is asked that every file system that is not refused by
/// name cannot do.
fn elsewhere(data: &DataDir) -> Result<Vec<(Place, &'static [Trial])>, Failure> {
    // Links are followed. What is not there yet will be made in the data directory itself.
    let device = |path: &Path| fs::metadata(path).map(|stat| stat.dev()).ok();
    let own = device(data.path());
    let directories: [(&str, PathBuf, &[Trial]); 3] = [
        ("the supervisor's directory", data.supervisor(), &[]),
        ("the databases' directory", data.generations(), &[LINKS, LOCKS, MAPS]),
        ("the attachments' directory", data.files(), &[]),
    ];
    directories
        .into_iter()
        .filter(|(_, path, _)| device(path).is_some_and(|device| Some(device) != own))
        .map(|(name, path, trials)| Ok((Place::new(name, path)?, trials)))
        .collect()
}

/// A directory on a file system.
struct Place {
    /// What it is, for people.
    name: &'static str,
    path: PathBuf,
    /// The name of its file system.
    filesystem: String,
    verdict: Verdict,
}

impl Place {
    fn new(name: &'static str, path: PathBuf) -> Result<Self, Failure> {
        let (filesystem, verdict) = filesystem::of(&path)?;
        Ok(Self { name, path, filesystem, verdict })
    }

    /// Judges it by the name of its file system.
    fn judge(&self, notes: &mut Vec<String>) -> Result<(), Failure> {
        match self.verdict {
            Verdict::Refuse(why) => return Err(self.cannot(&format!(", {why}"))),
            Verdict::Note(note) => {
                notes.push(format!("{} {} is on {}: {note}", self.name, self.path.display(), self.filesystem));
            }
            Verdict::Fine => {}
        }
        Ok(())
    }

    /// Tries it out in a directory on it.
    fn try_out(&self, probe: &Probe, trials: &[Trial]) -> Result<(), Failure> {
        for Trial { point, cannot_do, run } in trials {
            fault::point(point).and_then(|()| run(&probe.0)).map_err(|error| {
                match error.raw_os_error().map(Errno::from_raw) {
                    // Of the disk and its mount, not of what its file system can do.
                    Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EROFS | Errno::EACCES) => {
                        Failure::io(format!("cannot try out {} in {}", self.name, probe.0.display()), &error)
                    }
                    Some(errno) => self.cannot(&format!(", which {cannot_do} ({})", errno.desc().to_lowercase())),
                    None => self.cannot(&format!(", which {cannot_do} ({error})")),
                }
            })?;
        }
        Ok(())
    }

    fn cannot(&self, what: &str) -> Failure {
        let Self { name, path, filesystem, .. } = self;
        cannot(&format!("the file system of {name} {} is {filesystem}{what}", path.display()))
    }
}

/// Something that a file system must be able to do.
struct Trial {
    point: &'static str,
    cannot_do: &'static str,
    run: fn(&Path) -> io::Result<()>,
}

const LINKS: Trial =
    Trial { point: "preflight.links", cannot_do: "cannot replace a symbolic link by a rename", run: links };
const LOCKS: Trial = Trial { point: "preflight.locks", cannot_do: "cannot lock files", run: locks };
const MAPS: Trial =
    Trial { point: "preflight.maps", cannot_do: "cannot share memory maps of files between processes", run: maps };
const SOCKETS: Trial = Trial { point: "preflight.sockets", cannot_do: "cannot hold unix sockets", run: sockets };

fn cannot(message: &str) -> Failure {
    Failure::new(Cause::FileSystem, message)
        .hint("Hearth needs symbolic links, locks, shared memory maps and unix sockets; put the data on a local file system of this machine (ext4, xfs, btrfs, zfs), or a volume that Docker makes; nothing was touched")
}

/// The directory that is tried out in; gone when dropped.
struct Probe(PathBuf);

impl Probe {
    /// Makes it in a directory, after those of killed ones are removed. That directory may be missing; it is made.
    fn make(data: &DataDir, directory: &Path) -> Result<Self, Failure> {
        let unwritable = |path: &Path, error: &io::Error| {
            access::unwritable(data, path, &format!("cannot write in {}", path.display()), error)
        };
        match DirBuilder::new().mode(0o700).recursive(true).create(directory) {
            Err(error) if !directory.is_dir() => return Err(unwritable(directory, &error)),
            _ => {}
        }
        let entries = fs::read_dir(directory).map_err(|error| unwritable(directory, &error))?;
        for entry in entries.flatten() {
            if entry.file_name().to_string_lossy().starts_with(PROBE) {
                // One that cannot be removed is in nobody's way.
                let _ = fs::remove_dir_all(entry.path());
            }
        }
        let path = directory.join(format!("{PROBE}{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&path).map_err(|error| unwritable(directory, &error))?;
        Ok(Self(path))
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn space(path: &Path, notes: &mut Vec<String>) -> Result<u64, Failure> {
    let Some(free) = space::free(path)? else {
        notes.push(format!("the file system of {} does not say how much space is free", path.display()));
        return Ok(u64::MAX);
    };
    let is_free = format!("only {} are free in {}", Size(free), path.display());
    if free < NEEDED {
        let hint =
            "free some space there (docker system df shows what Docker holds), then try again; nothing was touched";
        let message = format!("{is_free}, and a start needs {}", Size(NEEDED));
        return Err(Failure::new(Cause::NoSpace, message).hint(hint));
    }
    space::no_inodes(path).map_or(Ok(()), Err)?;
    if free < LOW {
        notes.push(format!("{is_free}: an upgrade, and in time the app, will need more"));
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
    use super::*;
    use crate::work::testing::{data, tmpfs};

    #[test]
    fn a_local_file_system_will_do_and_nothing_is_left_on_it() {
        let (_directory, data) = data();
        fs::create_dir(data.supervisor().join(".probe-1")).unwrap();
        fs::write(data.supervisor().join(".probe-1/link"), "of a killed one").unwrap();
        let findings = preflight(&data).unwrap();
        assert!(findings.free_bytes > NEEDED);
        assert_eq!(fs::read_dir(data.supervisor()).unwrap().count(), 0);
    }

    #[test]
    #[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
    fn memory_is_noted_and_too_little_of_it_refused() {
        let (_mount, data) = tmpfs(100);
        let findings = preflight(&data).unwrap();
        assert_eq!(findings.filesystem, "tmpfs");
        assert!(findings.notes[0].contains("all data is lost when the machine"), "{findings:?}");
        assert!(findings.notes[1].starts_with("only 100.0 MiB are free"), "{findings:?}");
        let (_mount, data) = tmpfs(4);
        let failure = preflight(&data).unwrap_err();
        assert_eq!(failure.cause, Cause::NoSpace);
        assert!(failure.message.contains("and a start needs 16.0 MiB"), "{failure}");
    }

    #[test]
    #[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
    fn where_a_link_leads_the_databases_or_attachments_is_judged_too() {
        let (_mount, elsewhere) = tmpfs(100);
        let (_directory, data) = data();
        for path in [data.generations(), data.files()] {
            fs::remove_dir_all(&path).unwrap();
            symlink(elsewhere.path().join(path.file_name().unwrap()), &path).unwrap();
        }
        let findings = preflight(&data).unwrap();
        let generations = format!("the databases' directory {} is on tmpfs: ", data.generations().display());
        let files = format!("the attachments' directory {} is on tmpfs: ", data.files().display());
        for note in [generations, files] {
            assert!(findings.notes.iter().any(|found| found.starts_with(&note)), "{note}: {findings:?}");
        }
        assert!(findings.free_bytes <= 100 << 20, "the least of both: {findings:?}");
        assert_eq!(fs::read_dir(data.generations()).unwrap().count(), 0, "nothing is left there");

        let (_mount, small) = tmpfs(4);
        fs::remove_file(data.generations()).unwrap();
        symlink(small.generations(), data.generations()).unwrap();
        let failure = preflight(&data).unwrap_err();
        assert_eq!(failure.cause, Cause::NoSpace);
        assert!(failure.message.contains(&data.generations().display().to_string()), "{failure}");
    }

    #[test]
    fn a_database_on_a_network_file_system_is_refused_by_name_wherever_it_is() {
        let place = Place {
            name: "the databases' directory",
            path: "/data/generations".into(),
            filesystem: "NFS".into(),
            verdict: Verdict::Refuse("a network file system"),
        };
        let failure = place.judge(&mut Vec::new()).unwrap_err();
        assert_eq!(failure.cause, Cause::FileSystem);
        assert_eq!(
            failure.message,
            "the file system of the databases' directory /data/generations is NFS, a network file system"
        );
    }

    #[test]
    fn what_lies_on_the_same_file_system_is_tried_out_once() {
        let (directory, data) = data();
        fs::remove_dir(data.files()).unwrap();
        fs::create_dir(directory.path().join("elsewhere")).unwrap();
        symlink(directory.path().join("elsewhere"), data.files()).unwrap();
        assert!(elsewhere(&data).unwrap().is_empty());
    }
}
