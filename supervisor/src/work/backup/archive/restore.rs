//! How do attachments come back, where anything may lie in their place?
//!
//! One that is there is believed only after its hash was checked. Any other is written under a hidden name beside its place,
//! made durable, and renamed to its own, over whatever lies there; a directory that has the name is moved aside, to a hidden
//! name, and so is what has the name of a directory of attachments and is none. So there is at no time half an attachment, and
//! what was added does no harm should the restore fail later: nothing refers to it.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{OFlag, RenameFlags, openat, renameat, renameat2},
    sys::stat::{Mode, mkdirat},
    unistd::{UnlinkatFlags, unlinkat},
};

use super::{
    attachment::{self, is_prefix, is_something_else},
    printable,
    survey::{each_of_all, unreadable_root},
};
use crate::{
    data::durable::{self, Explain},
    failure::Failure,
    work::backup::manifest::Member,
};

/// What the name begins with that an attachment has until it is whole.
const UNFINISHED: &str = ".restoring-";

/// What the name begins with of something that was in the way.
const ASIDE: &str = ".in-the-way-";

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
    pub(super) fn begin(&mut self, member: &Member) -> Result<Option<Unfinished>, Failure> {
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
        let doing = || format!("cannot create {}", target.with_file_name(&name).display());
        match unlinkat(&directory, name.as_str(), UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => {}
            Err(Errno::EISDIR) => move_aside(&directory, &name).explain(doing)?,
            Err(errno) => return Err(errno).explain(doing),
        }
        let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let file = openat(&directory, name.as_str(), flags, Mode::S_IRUSR | Mode::S_IWUSR).explain(doing)?.into();
        Ok(Some(Unfinished { name, file, directory, hash: hash.to_owned(), target, done: false }))
    }

    /// Opens a directory of attachments, or makes it.
    fn directory(&self, name: &str) -> Result<OwnedFd, Failure> {
        let place = || self.files.join(name);
        match mkdirat(&self.root, name, Mode::S_IRWXU) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(errno) => return Err(errno).explain(|| format!("cannot create the directory {}", place().display())),
        }
        let opened = match attachment::open_directory(&self.root, name) {
            Err(errno) if is_something_else(errno) => move_aside(&self.root, name)
                .and_then(|()| mkdirat(&self.root, name, Mode::S_IRWXU))
                .and_then(|()| attachment::open_directory(&self.root, name)),
            other => other,
        };
        opened.explain(|| format!("cannot open the directory {}", place().display()))
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

/// Moves what lies there to a hidden name that is free. Nobody but an app that was taken over has put it there, and it is
/// kept for whoever wants to know.
fn move_aside(directory: &OwnedFd, name: &str) -> nix::Result<()> {
    for number in 0..u32::from(u16::MAX) {
        let aside = format!("{ASIDE}{name}-{number}");
        match renameat2(directory, name, directory, aside.as_str(), RenameFlags::RENAME_NOREPLACE) {
            Err(Errno::EEXIST) => {}
            // An old kernel, or a file system that cannot tell: what has the name already is something like it.
            Err(Errno::ENOSYS | Errno::EINVAL | Errno::EPERM) => {
                match renameat(directory, name, directory, aside.as_str()) {
                    Err(Errno::ENOTDIR | Errno::EISDIR | Errno::ENOTEMPTY | Errno::EEXIST) => {}
                    other => return other,
                }
            }
            other => return other,
        }
    }
    Err(Errno::EEXIST)
}

/// An attachment that is not yet in its place. Dropped before [`Unfinished::put`], it goes.
pub(super) struct Unfinished {
    name: String,
    file: File,
    directory: OwnedFd,
    hash: String,
    target: PathBuf,
    done: bool,
}

impl Unfinished {
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all(bytes).explain(|| format!("cannot write {}", self.target.display()))
    }

    /// Makes it durable and renames it to its place.
    pub(super) fn put(mut self) -> Result<(), Failure> {
        self.file.sync_all().explain(|| format!("cannot make {} durable", self.target.display()))?;
        let put = || renameat(&self.directory, self.name.as_str(), &self.directory, self.hash.as_str());
        let put = match put() {
            Err(Errno::EISDIR | Errno::ENOTEMPTY | Errno::EEXIST) => {
                move_aside(&self.directory, &self.hash).and_then(|()| put())
            }
            other => other,
        };
        put.explain(|| format!("cannot put the attachment {} in its place", self.target.display()))?;
        self.done = true;
        Ok(())
    }
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.done {
            let _ = unlinkat(&self.directory, self.name.as_str(), UnlinkatFlags::NoRemoveDir);
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
    let mut directories = Vec::new();
    each_of_all(&root, files, &mut |name| {
        directories.extend(is_prefix(name).then(|| String::from_utf8_lossy(name).into_owned()));
        Ok(())
    })?;
    let mut trouble = None;
    let mut sweep = |directory: &OwnedFd, path: &Path| {
        each_of_all(directory, path, &mut |name| {
            if name.starts_with(UNFINISHED.as_bytes()) {
                match unlinkat(directory, name, UnlinkatFlags::NoRemoveDir) {
                    Ok(()) | Err(Errno::ENOENT) => {}
                    Err(errno) => {
                        let doing = || format!("cannot remove {} in {}", printable(name), path.display());
                        trouble = trouble.take().or(Err::<(), _>(errno).explain(doing).err());
                    }
                }
            }
            Ok(())
        })
    };
    // Before 0.3.0 they were written in `files/` itself.
    sweep(&root, files)?;
    let mut unreadable = None;
    for name in directories {
        // What is no directory, or closed, has none of them in it.
        if let Ok(directory) = attachment::open_directory(&root, name.as_str()) {
            // The others are removed all the same.
            if let Err(failure) = sweep(&directory, &files.join(&name)) {
                unreadable.get_or_insert(failure);
            }
        }
    }
    trouble.or(unreadable).map_or(Ok(()), Err)
}
