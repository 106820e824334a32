//! How does something written survive a power cut?
//!
//! The content is fsynced before its name appears, and the directory that holds the name is fsynced after. A file
//! is replaced by a rename, so that a reader, or the next start, finds the old one or the new one, complete. A failure is
//! what the file system said, with the path.

use std::{
    fmt::Display,
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use nix::{errno::Errno, fcntl::OFlag};

use crate::failure::Failure;

/// The mode of what only the supervisor's own uid may read: the household's data and the supervisor's state.
const OWN_FILE: u32 = 0o600;
/// The mode of a directory of such files.
const OWN_DIRECTORY: u32 = 0o700;
/// What the name of a file that is not yet in its place ends with; [`is_unfinished`] tells them.
pub(crate) const UNFINISHED: &str = ".new";

/// Says what was being done when an error came.
pub(crate) trait Explain<T> {
    /// Makes a [`Failure`] of the error: "cannot create /data/live: permission denied".
    fn explain<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T, Failure>;
}

impl<T> Explain<T> for io::Result<T> {
    fn explain<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T, Failure> {
        self.map_err(|error| Failure::io(doing(), &error))
    }
}

impl<T> Explain<T> for nix::Result<T> {
    fn explain<D: Display>(self, doing: impl FnOnce() -> D) -> Result<T, Failure> {
        self.map_err(|errno| Failure::io(doing(), &errno.into()))
    }
}

/// A file that is not yet in its place, but under a hidden name beside it. Dropped before [`Unfinished::put`], it goes.
#[derive(Debug)]
pub struct Unfinished {
    beside: PathBuf,
    target: PathBuf,
    done: bool,
}

impl Unfinished {
    /// Begins a file for `target`, in place of one that this owner began before, in a directory that several write to: what
    /// others have begun there stays. The caller writes it and fsyncs it.
    pub fn begin_of(owner: &str, target: &Path) -> Result<(Self, File), Failure> {
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        Self::begin(beside(&target.with_file_name(format!("{name}.{owner}"))), target)
    }

    fn begin(beside: PathBuf, target: &Path) -> Result<(Self, File), Failure> {
        remove_if_there(&beside)?;
        let file = create_file(&beside)?;
        Ok((Self { beside, target: target.to_owned(), done: false }, file))
    }

    /// Writes `bytes` for `target` and fsyncs them.
    pub fn write(target: &Path, bytes: &[u8]) -> Result<Self, Failure> {
        Self::fill(Self::begin(beside(target), target)?, bytes)
    }

    fn fill((unfinished, mut file): (Self, File), bytes: &[u8]) -> Result<Self, Failure> {
        file.write_all(bytes)
            .and_then(|()| file.sync_all())
            .explain(|| format!("cannot write {}", unfinished.path().display()))?;
        Ok(unfinished)
    }

    /// Returns where it lies until it is in its place.
    pub fn path(&self) -> &Path {
        &self.beside
    }

    /// Returns its place.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Renames it over its target.
    pub fn put(mut self) -> Result<(), Failure> {
        rename(&self.beside, &self.target)?;
        self.done = true;
        Ok(())
    }

    /// Gives it the name `target` where nothing has it yet: of several at once, one is the first. What has no hard links
    /// (FAT) gets a rename.
    pub fn put_if_missing(self, target: &Path) -> Result<(), Failure> {
        match fs::hard_link(&self.beside, target) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(_) => rename(&self.beside, target),
        }
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done {
            let _ = fs::remove_file(&self.beside);
        }
    }
}

/// Writes a file that is there complete and for good, or not at all.
pub fn write(target: &Path, bytes: &[u8]) -> Result<(), Failure> {
    Unfinished::write(target, bytes)?.put()?;
    sync_parent(target)
}

/// As [`write()`], in a directory that several write to.
pub fn write_of(owner: &str, target: &Path, bytes: &[u8]) -> Result<(), Failure> {
    Unfinished::fill(Unfinished::begin_of(owner, target)?, bytes)?.put()?;
    sync_parent(target)
}

/// Renames `from` to `to`.
pub fn rename(from: &Path, to: &Path) -> Result<(), Failure> {
    fs::rename(from, to).explain(|| format!("cannot rename {} to {}", from.display(), to.display()))
}

/// Removes a file or link, if there is one; returns whether there was.
pub fn remove_if_there(path: &Path) -> Result<bool, Failure> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failure::io(format!("cannot remove {}", path.display()), &error)),
    }
}

/// Creates a directory for this uid alone, if it is not there; returns whether it was created.
pub fn create_directory_if_missing(path: &Path) -> Result<bool, Failure> {
    match DirBuilder::new().mode(OWN_DIRECTORY).create(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(false),
        Err(error) => Err(Failure::io(format!("cannot create the directory {}", path.display()), &error)),
    }
}

/// Creates a directory for this uid alone, which must not be there.
pub fn create_directory(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .mode(OWN_DIRECTORY)
        .create(path)
        .explain(|| format!("cannot create the directory {}", path.display()))
}

/// Creates a file for this uid alone, which must not be there, neither as a link.
pub fn create_file(path: &Path) -> Result<File, Failure> {
    File::options()
        .write(true)
        .create_new(true)
        .mode(OWN_FILE)
        .open(path)
        .explain(|| format!("cannot create {}", path.display()))
}

/// Opens a regular file for reading: a link is not followed, and a FIFO or a device is refused without waiting
/// for it, since what lies in the data directory may have been planted.
///
/// # Errors
/// What the file system said; `InvalidInput` for what is no regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits()).open(path)?;
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
    }
}

/// Reads a small regular file, without following a link.
///
/// # Errors
/// What the file system said; `InvalidData` when it is longer than `limit` bytes.
pub fn read_small(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open_regular(path)?.take(limit + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it is longer than {limit} bytes")));
    }
    Ok(bytes)
}

/// Makes a file's content durable.
pub fn sync_file(path: &Path) -> Result<(), Failure> {
    open_regular(path).and_then(|file| file.sync_all()).explain(|| format!("cannot make {} durable", path.display()))
}

/// Makes the names in a directory durable. A file system that has no such call (EINVAL, as some FUSE ones
/// answer) orders names by itself or not at all; nothing more can be done there.
pub fn sync_directory(path: &Path) -> Result<(), Failure> {
    let synced = File::options().read(true).custom_flags(OFlag::O_DIRECTORY.bits()).open(path).and_then(|directory| {
        match nix::unistd::fsync(&directory) {
            Err(Errno::EINVAL | Errno::EOPNOTSUPP) => Ok(()),
            other => other.map_err(io::Error::from),
        }
    });
    synced.explain(|| format!("cannot make the directory {} durable", path.display()))
}

/// Makes the name of `path` in its directory durable.
pub fn sync_parent(path: &Path) -> Result<(), Failure> {
    path.parent().map_or(Ok(()), sync_directory)
}

/// Returns the hidden name that `target` has until it is in its place: `.state.json.new`. One fixed name: a pid
/// would not make it unique, since in a container the same pids come again, and a killed job's is simply replaced.
pub fn beside(target: &Path) -> PathBuf {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    target.with_file_name(format!(".{name}{UNFINISHED}"))
}

/// Whether this is the name of a file that was not put in its place, which its writer was killed before.
pub fn is_unfinished(name: &str) -> bool {
    name.starts_with('.') && name.ends_with(UNFINISHED)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_is_replaced_whole_or_stays_and_nothing_is_left_beside_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        drop(Unfinished::write(&path, b"three").unwrap());
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_link_planted_at_the_hidden_name_is_not_written_through() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state.json");
        let victim = directory.path().join("victim");
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, beside(&path)).unwrap();
        write(&path, b"one").unwrap();
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert_eq!(fs::read(&path).unwrap(), b"one");
    }

    #[test]
    fn links_fifos_and_long_files_are_not_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("file"), "12345").unwrap();
        symlink(path("file"), path("link")).unwrap();
        nix::unistd::mkfifo(&path("fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(read_small(&path("file"), 5).unwrap(), b"12345");
        assert!(read_small(&path("file"), 4).is_err());
        assert!(read_small(&path("link"), 9).is_err());
        assert!(read_small(&path("fifo"), 9).is_err());
    }

    #[test]
    fn a_failure_names_the_path() {
        let failure = write(Path::new("/nowhere/at/all"), b"").unwrap_err();
        assert_eq!(failure.message, "cannot create /nowhere/at/.all.new: no such file or directory");
    }
}
