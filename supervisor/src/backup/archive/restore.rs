//! How do attachments come back, where anything may lie in their place?
//!
//! One that is there is believed only after its hash was checked. Any other is written under a hidden name in `files/`,
//! made durable, and renamed to its own, over whatever lies there. So there is at no time half an attachment, and what
//! was added does no harm should the restore fail later: nothing refers to it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, openat, renameat},
    sys::stat::{Mode, mkdirat},
    unistd::{UnlinkatFlags, unlinkat},
};

use super::{
    attachment::{self, ROOT, is_something_else},
    printable,
    survey::{each_of_all, unreadable_root},
};
use crate::{
    backup::manifest::Member,
    data::durable::{self, Explain},
    failure::{Cause, Failure},
};

/// What the name begins with that an attachment has until it is whole.
const UNFINISHED: &str = ".restoring-";

/// Where attachments are restored to.
pub(super) struct Attachments<'a> {
    files: &'a Path,
    root: OwnedFd,
    /// The directories whose names are not yet durable, by their number in hexadecimal.
    touched: [bool; 256],
}

impl<'a> Attachments<'a> {
    /// Opens `files/`, or makes it.
    pub(super) fn open(files: &'a Path) -> Result<Self, Failure> {
        let made = match attachment::open_root(files) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => durable::create_directory_if_missing(files)?,
            _ => false,
        };
        if made {
            durable::sync_parent(files)?;
        }
        let root = attachment::open_root(files).map_err(|error| unreadable_root(files, &error))?;
        Ok(Self { files, root, touched: [false; 256] })
    }

    /// Begins to restore an attachment; `None` when it is there already.
    pub(super) fn begin(&mut self, member: &Member) -> Result<Option<Unfinished<'_>>, Failure> {
        let hash = member.blake3.as_str();
        let directory = self.directory(attachment::prefix(hash))?;
        let target = attachment::place(self.files, hash);
        if let Ok(number) = u8::from_str_radix(attachment::prefix(hash), 16) {
            // Also where it is there already: who renamed it to there may have been killed before the name was durable.
            self.touched[usize::from(number)] = true;
        }
        // What cannot be opened is replaced, as anything else is.
        if let Ok(Some(file)) = attachment::open_file(&directory, hash)
            && holds(file, member)
        {
            return Ok(None);
        }
        let name = format!("{UNFINISHED}{hash}");
        let doing = || format!("cannot create {}", self.files.join(&name).display());
        match unlinkat(&self.root, name.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(errno) => return Err(errno).explain(doing),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&self.root, name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR).explain(doing)?.into();
        Ok(Some(Unfinished { root: &self.root, name, file, directory, hash: hash.to_owned(), target, done: false }))
    }

    /// Opens a directory of attachments, or makes it.
    fn directory(&self, name: &str) -> Result<OwnedFd, Failure> {
        let place = || self.files.join(name);
        match mkdirat(&self.root, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno).explain(|| format!("cannot create the directory {}", place().display())),
        }
        attachment::open_directory(&self.root, name).map_err(|errno| match errno {
            _ if is_something_else(errno) => {
                let message = format!("cannot restore attachments: {} is not a directory", place().display());
                Failure::new(Cause::FileSystem, message)
                    .hint("Hearth did not put it there: look what it is, move it away, and restore again")
            }
            _ => Failure::io(format!("cannot open the directory {}", place().display()), &errno.into()),
        })
    }

    /// Makes durable what was put in its place.
    pub(super) fn finish(self) -> Result<(), Failure> {
        for (number, _) in self.touched.iter().enumerate().filter(|(_, touched)| **touched) {
            durable::sync_directory(&self.files.join(format!("{number:02x}")))?;
        }
        durable::sync_directory(self.files)
    }
}

/// Whether a file is this attachment.
fn holds(file: File, member: &Member) -> bool {
    // A length that differs is not read.
    if file.metadata().is_ok_and(|stat| stat.len() != member.bytes) {
        return false;
    }
    let mut hasher = blake3::Hasher::new();
    hasher.update_reader(file.take(member.bytes.saturating_add(1))).is_ok()
        && hasher.count() == member.bytes
        && hasher.finalize().to_hex().as_str() == member.blake3
}

/// An attachment that is not yet in its place. Dropped before [`Unfinished::put`], it goes.
pub(super) struct Unfinished<'a> {
    root: &'a OwnedFd,
    name: String,
    file: File,
    directory: OwnedFd,
    hash: String,
    target: PathBuf,
    done: bool,
}

impl Unfinished<'_> {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).explain(|| format!("cannot write {}", self.target.display()))
    }

    /// Makes it durable and renames it to its place.
    pub(super) fn put(mut self) -> Result<(), Failure> {
        self.file.sync_all().explain(|| format!("cannot make {} durable", self.target.display()))?;
        renameat(self.root, self.name.as_str(), &self.directory, self.hash.as_str())
            .explain(|| format!("cannot put the attachment {} in its place", self.target.display()))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Unfinished<'_> {
    fn drop(&mut self) {
        if !self.done {
            let _ = unlinkat(self.root, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
        }
    }
}

/// Removes what killed restores left in `files/`. What is not there has nothing to remove.
///
/// # Errors
/// What the file system said, of the first one that cannot be removed; the others are removed.
pub fn tidy(files: &Path) -> Result<(), Failure> {
    let root = match attachment::open_root(files) {
        Ok(root) => root,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(unreadable_root(files, &error)),
    };
    let mut trouble = None;
    each_of_all(&root, files, &mut |name| {
        if name.starts_with(UNFINISHED.as_bytes()) {
            match unlinkat(&root, name, UnlinkatFlags::NoRemoveDir) {
                Ok(()) | Err(Errno::ENOENT) => {}
                Err(errno) => {
                    let doing = || format!("cannot remove {ROOT}/{}", printable(name));
                    trouble = trouble.take().or(Err::<(), _>(errno).explain(doing).err());
                }
            }
        }
        Ok(())
    })?;
    trouble.map_or(Ok(()), Err)
}
