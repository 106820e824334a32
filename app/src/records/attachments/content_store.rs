//! Where does the content of attachments lie?
//!
//! `files/<first two digits>/<BLAKE3 of the content>`, in 64 lower-case hexadecimal digits, as backups and restores have it
//! (`supervisor/src/work/backup/attachment.rs`). A file is whole and durable before it has its name, and has its name durably
//! before a row of the database refers to it. Nothing is removed here: a file that nobody refers to is found by
//! `app files check`. No link is followed.

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{AtFlags, OFlag, open, openat, renameat},
    sys::stat::{Mode, SFlag, fstatat, mkdirat},
    unistd::{UnlinkatFlags, fsync, linkat, unlinkat},
};

use crate::fault;

/// The digits of a hash.
const DIGITS: usize = 64;

/// What the name begins with that a file has until it gets its own.
const UNFINISHED: &str = ".adding-";

/// A file of this size that is there already is read before it is believed; of a larger one the length has to do.
const VERIFIED: u64 = 64 << 20;

/// How much is read at a time.
const PIECE: usize = 64 << 10;

/// The directory `files/`.
#[derive(Debug, Clone)]
pub(crate) struct ContentStore {
    root: PathBuf,
}

/// What lies where a file should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Found {
    /// A regular file with so many bytes.
    File(u64),
    /// Nothing, or something else.
    Nothing,
}

impl ContentStore {
    /// Returns the store in this directory, which must exist when something is added.
    pub(crate) fn new(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Puts a file of this directory, whose content has this hash and length and is on the disk, in its place as well.
    /// When this returns, it is there durably, whatever was there before.
    pub(super) fn put(&self, from: &OwnedFd, name: &str, hash: &str, bytes: u64) -> io::Result<()> {
        let root = self.open_root()?;
        let directory = self.make_directory(&root, prefix(hash))?;
        // The name at once where nothing has it: while this app serves in place of a newer one, it may remove nothing here, and so
        // rename nothing either.
        if !holds(&directory, hash, bytes)? && linkat(from, name, &directory, hash, AtFlags::empty()).is_err() {
            static NUMBER: AtomicU64 = AtomicU64::new(0);
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            let unfinished = format!("{UNFINISHED}{}-{number}", std::process::id());
            let put = link_or_copy(from, name, &directory, &unfinished)
                .and_then(|()| Ok(renameat(&directory, unfinished.as_str(), &directory, hash)?));
            // Where both names were links to the same file, the rename left both.
            let _ = unlinkat(&directory, unfinished.as_str(), UnlinkatFlags::NoRemoveDir);
            put?;
        }
        // Also where it was there already: who put it there may have been killed before its name was durable.
        fsync(&directory)?;
        fsync(&root)?;
        fault::hit("app.stored")
    }

    /// Opens a file for reading. `None`: there is none.
    pub(crate) fn open(&self, hash: &str) -> io::Result<Option<File>> {
        if !is_hash(hash) {
            return Ok(None);
        }
        match self.open_root().and_then(|root| Ok(open_directory(&root, prefix(hash))?)) {
            Ok(directory) => open_file(&directory, hash),
            Err(error) if is_nothing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Returns whether a file is there, and how long it is.
    pub(crate) fn look(&self, hash: &str) -> io::Result<Found> {
        if !is_hash(hash) {
            return Ok(Found::Nothing);
        }
        let path = self.root.join(prefix(hash)).join(hash);
        match path.symlink_metadata() {
            Ok(stat) if stat.is_file() => Ok(Found::File(stat.len())),
            Ok(_) => Ok(Found::Nothing),
            Err(error) if is_nothing(&error) => Ok(Found::Nothing),
            Err(error) => Err(error),
        }
    }

    /// Returns whether a file that is there has the content of its name.
    pub(crate) fn is_sound(&self, hash: &str) -> io::Result<bool> {
        Ok(match self.open(hash)? {
            Some(file) => hash_of(file)?.0 == hash,
            None => false,
        })
    }

    /// Calls `each` with the hash, or for what is no attachment its path within `files/`, and the length of everything in it.
    pub(super) fn walk(&self, mut each: impl FnMut(Result<&str, &Path>, u64)) -> io::Result<()> {
        let root = match self.open_root() {
            Err(error) if is_nothing(&error) => return Ok(()),
            root => root?,
        };
        for name in names(&root)? {
            let Some(prefix) = name.to_str().ok().filter(|name| is_prefix(name)) else {
                let path = PathBuf::from(name.to_string_lossy().into_owned());
                each(Err(&path), length(&root, &name));
                continue;
            };
            let directory = match open_directory(&root, prefix) {
                Ok(directory) => directory,
                Err(errno) if is_nothing(&errno.into()) => {
                    each(Err(Path::new(prefix)), 0);
                    continue;
                }
                Err(errno) => return Err(errno.into()),
            };
            for name in names(&directory)? {
                let text = name.to_string_lossy();
                let is_attachment = is_hash(&text) && text.starts_with(prefix) && is_regular(&directory, &name);
                let bytes = length(&directory, &name);
                match is_attachment {
                    true => each(Ok(&text), bytes),
                    false => each(Err(&Path::new(prefix).join(&*text)), bytes),
                }
            }
        }
        Ok(())
    }

    /// Removes what an app that was killed left of its own.
    pub(super) fn tidy(&self) -> io::Result<()> {
        let root = match self.open_root() {
            Err(error) if is_nothing(&error) => return Ok(()),
            root => root?,
        };
        for name in names(&root)? {
            let Some(prefix) = name.to_str().ok().filter(|name| is_prefix(name)) else { continue };
            let Ok(directory) = open_directory(&root, prefix) else { continue };
            for name in names(&directory)?.iter().filter(|name| name.to_bytes().starts_with(UNFINISHED.as_bytes())) {
                let _ = unlinkat(&directory, name.as_c_str(), UnlinkatFlags::NoRemoveDir);
            }
        }
        Ok(())
    }

    fn open_root(&self) -> io::Result<OwnedFd> {
        Ok(open(&self.root, directory_flags(), Mode::empty())?)
    }

    /// Opens a directory of attachments, or makes it.
    fn make_directory(&self, root: &OwnedFd, name: &str) -> io::Result<OwnedFd> {
        match mkdirat(root, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno.into()),
        }
        Ok(open_directory(root, name)?)
    }
}

/// Returns the hash and the length of what can be read.
pub(super) fn hash_of(mut content: impl Read) -> io::Result<(String, u64)> {
    let (mut hasher, mut piece) = (blake3::Hasher::new(), vec![0; PIECE]);
    loop {
        match content.read(&mut piece) {
            Ok(0) => return Ok((hasher.finalize().to_hex().to_string(), hasher.count())),
            Ok(length) => hasher.update(&piece[..length]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
    }
}

/// Opens a regular file in a directory for reading. `None`: there is none, or something else lies there.
pub(super) fn open_file(directory: &OwnedFd, name: &str) -> io::Result<Option<File>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => {
            let file = File::from(file);
            Ok(file.metadata()?.is_file().then_some(file))
        }
        Err(errno) if is_nothing(&errno.into()) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether this is a hash as it is written here.
pub(super) fn is_hash(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(is_digit)
}

fn is_prefix(name: &str) -> bool {
    name.len() == 2 && name.bytes().all(is_digit)
}

fn is_digit(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn prefix(hash: &str) -> &str {
    hash.get(..2).unwrap_or_default()
}

pub(super) fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

fn open_directory(parent: &OwnedFd, name: &str) -> nix::Result<OwnedFd> {
    openat(parent, name, directory_flags(), Mode::empty())
}

/// Whether what was to be opened is not there, or is of another kind: a link, a socket, a device without a driver.
pub(super) fn is_nothing(error: &io::Error) -> bool {
    use Errno::{EISDIR, ELOOP, EMLINK, ENODEV, ENOENT, ENOTDIR, ENXIO};
    let errno = error.raw_os_error().map(Errno::from_raw);
    errno.is_some_and(|errno| [ENOENT, ENOTDIR, EISDIR, ELOOP, EMLINK, ENXIO, ENODEV].contains(&errno))
}

/// Whether a file with this content is there already. A damaged one counts as none, and is replaced.
fn holds(directory: &OwnedFd, hash: &str, bytes: u64) -> io::Result<bool> {
    let Some(file) = open_file(directory, hash)? else { return Ok(false) };
    if file.metadata()?.len() != bytes {
        return Ok(false);
    }
    Ok(bytes > VERIFIED || hash_of(file)?.0 == hash)
}

/// Gives a file another name in this directory, or makes a durable copy of it there: between file systems, under a sandbox that
/// lets nothing be moved between directories (Landlock's first ABI), and where a file system has no links.
fn link_or_copy(from: &OwnedFd, name: &str, directory: &OwnedFd, to: &str) -> io::Result<()> {
    match linkat(from, name, directory, to, AtFlags::empty()) {
        Ok(()) => return Ok(()),
        Err(Errno::EXDEV | Errno::EPERM | Errno::EACCES | Errno::EOPNOTSUPP | Errno::ENOSYS | Errno::EMLINK) => {}
        Err(errno) => return Err(errno.into()),
    }
    let mut source = open_file(from, name)?.ok_or(io::ErrorKind::NotFound)?;
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    // As a restore makes them.
    let mut copy = File::from(openat(directory, to, flags, Mode::S_IRUSR | Mode::S_IWUSR)?);
    let mut piece = vec![0; PIECE];
    loop {
        match source.read(&mut piece)? {
            0 => return copy.sync_all(),
            length => copy.write_all(&piece[..length])?,
        }
    }
}

fn names(directory: &OwnedFd) -> io::Result<Vec<std::ffi::CString>> {
    let mut found = Vec::new();
    for entry in Dir::openat(directory, ".", directory_flags(), Mode::empty())?.iter() {
        let entry = entry?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            found.push(entry.file_name().to_owned());
        }
    }
    found.sort_unstable();
    Ok(found)
}

fn length(directory: &OwnedFd, name: &std::ffi::CStr) -> u64 {
    let stat = fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW);
    stat.ok().and_then(|stat| u64::try_from(stat.st_size).ok()).unwrap_or_default()
}

fn is_regular(directory: &OwnedFd, name: &std::ffi::CStr) -> bool {
    fstatat(directory, name, AtFlags::AT_SYMLINK_NOFOLLOW)
        .is_ok_and(|stat| SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT == SFlag::S_IFREG)
}
