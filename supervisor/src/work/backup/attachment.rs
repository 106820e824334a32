//! What is an attachment, and how is one opened where anything may lie in its place?
//!
//! `files/<first two digits>/<BLAKE3 of its content>`, in 64 lower-case hexadecimal digits. Directories are gone down by
//! their descriptors, no link is followed at any step, and nothing that could block is waited for.

use std::{
    fs::File,
    io,
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
};

use nix::{
    NixPath,
    errno::Errno,
    fcntl::{OFlag, open, openat},
    sys::stat::Mode,
};

/// The directory of all of them, in an archive and in the data directory.
pub(super) const ROOT: &str = "files";
/// The digits of a hash.
const DIGITS: usize = 64;

/// Returns the path of the attachment with this hash, from the data directory and in an archive.
pub(super) fn path(hash: &str) -> String {
    format!("{ROOT}/{}/{hash}", prefix(hash))
}

/// Returns where the attachment with this hash lies below `files/`, for a sentence: what is read is opened step by step.
pub(super) fn place(files: &Path, hash: &str) -> PathBuf {
    files.join(prefix(hash)).join(hash)
}

/// Returns the name of the directory that the attachment with this hash lies in.
pub(super) fn prefix(hash: &str) -> &str {
    hash.get(..2).unwrap_or_default()
}

/// Returns the hash in the path of an attachment; `None` for any other path.
pub(super) fn hash_of(path: &str) -> Option<&str> {
    let (directory, hash) = path.strip_prefix(ROOT)?.strip_prefix('/')?.split_once('/')?;
    (is_hash(hash) && directory == prefix(hash)).then_some(hash)
}

/// Whether this is a hash as it is written here.
pub(super) fn is_hash(name: &str) -> bool {
    name.len() == DIGITS && are_digits(name.as_bytes())
}

/// Whether a directory of attachments is called so.
pub(super) fn is_prefix(name: &[u8]) -> bool {
    name.len() == 2 && are_digits(name)
}

fn are_digits(name: &[u8]) -> bool {
    name.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// Opens `files/`. It must be a directory itself, no link to one.
pub(super) fn open_root(files: &Path) -> io::Result<OwnedFd> {
    Ok(open(files, directory_flags(), Mode::empty())?)
}

/// Opens a directory in a directory, if it is one.
pub(super) fn open_directory<P: NixPath + ?Sized>(parent: impl AsFd, name: &P) -> nix::Result<OwnedFd> {
    openat(parent, name, directory_flags(), Mode::empty())
}

fn directory_flags() -> OFlag {
    OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC
}

/// Opens a regular file in a directory for reading. `None`: there is none, or something else lies there.
pub(super) fn open_file<P: NixPath + ?Sized>(directory: impl AsFd, name: &P) -> io::Result<Option<File>> {
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    match openat(directory, name, flags, Mode::empty()) {
        Ok(file) => {
            let file = File::from(file);
            Ok(file.metadata()?.is_file().then_some(file))
        }
        Err(errno) if is_something_else(errno) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether the error means that what was to be opened is not there, or is of another kind: a link, a socket, a device
/// without a driver.
pub(super) fn is_something_else(errno: Errno) -> bool {
    matches!(errno, Errno::ENOENT | Errno::ENOTDIR | Errno::ELOOP | Errno::EMLINK | Errno::ENXIO | Errno::ENODEV)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_path_of_an_attachment_is_one() {
        let hash = blake3::hash(b"a letter").to_hex();
        assert_eq!(hash_of(&path(&hash)), Some(hash.as_str()));
        let (two, upper) = (prefix(&hash), hash.to_uppercase());
        for wrong in [
            "files".to_owned(),
            "files/".into(),
            format!("files/{hash}"),
            format!("files/{two}/"),
            format!("files/zz/{hash}"),
            format!("files/{two}/{upper}"),
            format!("files/{two}/{hash}0"),
            format!("files/{two}/{hash}/"),
            format!("files/{two}//{hash}"),
            format!("files/../{two}/{hash}"),
            format!("/files/{two}/{hash}"),
            format!("./files/{two}/{hash}"),
        ] {
            assert_eq!(hash_of(&wrong), None, "{wrong}");
        }
    }
}
