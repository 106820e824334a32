//! What has come of an upload, and what is it for?
//!
//! `data/uploads/<id>` has the bytes that came so far, and `<id>.json` says what they are for. The offset of an upload is the
//! length of its file, so that it goes on after a crash where it was. A file with no description is one request's, such as an archive
//! that is imported: what a crash leaves of it goes at the next start, unless `<id>.stays` says that another request will ask for it.
//! Nobody refers to what is here: it may go at any time, is in no backup, and does go after a day in which nothing came.

#[cfg(test)]
mod tests;

use std::{
    collections::HashSet,
    fs::{self, DirBuilder, File},
    io::{self, Read, Write},
    os::{
        fd::OwnedFd,
        unix::fs::{DirBuilderExt, FileExt},
    },
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use data_encoding::HEXLOWER;
use nix::{
    errno::Errno,
    fcntl::{OFlag, open, openat, renameat},
    sys::{stat::Mode, statvfs::fstatvfs},
    unistd::{UnlinkatFlags, fsync, unlinkat},
};
use serde::{Deserialize, Serialize};

use super::{content_store::directory_flags, entity::attachment::Role};
use crate::{fault, secret::random};

/// How long an upload is kept in which nothing comes.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 60 * 60);

/// Of the disk, so much is left to the database whatever is uploaded: its log and a checkpoint of it.
const LEFT_FREE: u64 = 64 << 20;

/// A description is a few hundred bytes.
const LONGEST_DESCRIPTION: u64 = 16 << 10;

/// A file's kind shows in fewer bytes.
const BEGINNING: u64 = 64 << 10;

/// The digits of an id.
const DIGITS: usize = 32;

/// What an upload is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) record_id: i64,
    /// Who began it, and alone may go on.
    pub(crate) user_id: i64,
    pub(crate) name: String,
    pub(crate) role: Role,
    /// How many bytes there will be.
    pub(crate) bytes: u64,
    pub(crate) keep_location: bool,
    pub(crate) begun_at: String,
    /// Whether the content is as it will be stored: nothing is changed in it any more.
    #[serde(default)]
    pub(super) is_final: bool,
    /// The attachment that was made of it.
    #[serde(default)]
    pub(super) attachment_id: Option<i64>,
}

/// The directory `uploads/`.
#[derive(Debug, Clone)]
pub(crate) struct Uploads {
    root: PathBuf,
    /// The ids of those that somebody works on.
    busy: Arc<Mutex<HashSet<String>>>,
}

impl Uploads {
    /// Returns the uploads in this directory, which is made when the first begins.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, busy: Arc::default() }
    }

    /// Returns a new id.
    pub(super) fn new_id() -> String {
        HEXLOWER.encode(&random::<{ DIGITS / 2 }>())
    }

    /// Whether a text is of the form of an id.
    pub(super) fn is_id(text: &str) -> bool {
        is_id(text)
    }

    /// Begins an upload.
    pub(super) fn begin(&self, id: &str, upload: &Upload) -> io::Result<()> {
        self.make_root()?;
        let root = self.open_root()?;
        let begun = describe(&root, id, upload).and_then(|()| {
            create(&root, id)?.sync_all()?;
            fsync(&root)?;
            Ok(())
        });
        if begun.is_err() {
            remove(&root, id);
        }
        begun
    }

    /// Begins what comes in one request, with which no other goes on.
    pub(super) fn begin_undescribed(&self, id: &str) -> io::Result<()> {
        self.make_root()?;
        create(&self.open_root()?, id).map(drop)
    }

    /// Takes an upload to work on it. `None`: somebody does.
    pub(super) fn take(&self, id: &str) -> Option<Taken> {
        let is_free = self.busy().insert(id.to_owned());
        is_free.then(|| Taken { uploads: self.clone(), id: id.to_owned() })
    }

    /// Returns an upload and its offset. `None`: there is none with this id.
    pub(super) fn find(&self, id: &str) -> io::Result<Option<(Upload, u64)>> {
        if !is_id(id) {
            return Ok(None);
        }
        let root = match self.open_root() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            root => root?,
        };
        let Some(description) = open_for(&root, &names(id)[1], OFlag::O_RDONLY)? else { return Ok(None) };
        let mut text = String::new();
        description.take(LONGEST_DESCRIPTION).read_to_string(&mut text)?;
        // One that was not written to its end is one that was never begun.
        let Ok(upload) = serde_json::from_str::<Upload>(&text) else { return Ok(None) };
        if upload.attachment_id.is_some() {
            let bytes = upload.bytes;
            return Ok(Some((upload, bytes)));
        }
        match open_for(&root, id, OFlag::O_RDONLY)? {
            Some(file) => Ok(Some((upload, file.metadata()?.len()))),
            None => Ok(None),
        }
    }

    /// Returns how many bytes are still to come of all uploads, and how many all will be; and how many a user has begun.
    pub(super) fn pending(&self, user_id: i64) -> io::Result<Pending> {
        let mut pending = Pending::default();
        for id in self.ids()? {
            if let Some((upload, offset)) = self.find(&id)?
                && upload.attachment_id.is_none()
            {
                pending.bytes += upload.bytes;
                pending.missing += upload.bytes.saturating_sub(offset);
                pending.of_the_user += usize::from(upload.user_id == user_id);
            }
        }
        Ok(pending)
    }

    /// Returns whether the disk has room for so many bytes more, and some for the database.
    pub(super) fn has_room(&self, bytes: u64) -> io::Result<bool> {
        let place = if self.root.exists() { &self.root } else { self.root.parent().unwrap_or(&self.root) };
        let stat = fstatvfs(File::open(place)?)?;
        // The types differ between platforms.
        #[allow(clippy::useless_conversion, clippy::unnecessary_cast)]
        let free = (stat.blocks_available() as u64).saturating_mul(stat.fragment_size() as u64);
        Ok(free >= bytes.saturating_add(LEFT_FREE))
    }

    /// Removes uploads in which nothing has come for too long, and what is no upload; returns how many.
    pub(super) fn remove_old(&self, now: SystemTime) -> io::Result<usize> {
        let root = match self.open_root() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
            root => root?,
        };
        let mut removed = 0;
        for id in self.ids()? {
            let last = names(&id).iter().filter_map(|name| self.changed(name)).max();
            // A clock that was set back makes nothing older.
            let is_old = last.is_none_or(|last| now.duration_since(last).is_ok_and(|age| age > KEPT));
            if is_old && let Some(_taken) = self.take(&id) {
                remove(&root, &id);
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Removes what requests have left that a crash has ended; returns how many.
    pub(super) fn remove_abandoned(&self) -> io::Result<usize> {
        let mut removed = 0;
        for id in self.ids()? {
            let [content, described, _, stays] = names(&id);
            // One that just begins has its description first.
            let is_there = self.changed(&content).is_some();
            let is_wanted = self.changed(&described).or_else(|| self.changed(&stays)).is_some();
            if is_there
                && !is_wanted
                && let Some(_taken) = self.take(&id)
            {
                remove(&self.open_root()?, &id);
                removed += 1;
            }
        }
        Ok(removed)
    }

    fn changed(&self, name: &str) -> Option<SystemTime> {
        self.root.join(name).symlink_metadata().ok()?.modified().ok()
    }

    /// The ids of all that is there.
    fn ids(&self) -> io::Result<HashSet<String>> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashSet::new()),
            entries => entries?,
        };
        let mut ids = HashSet::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let id = name.split('.').next().unwrap_or_default();
            ids.extend(is_id(id).then(|| id.to_owned()));
        }
        Ok(ids)
    }

    fn make_root(&self) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        }
    }

    fn open_root(&self) -> io::Result<OwnedFd> {
        Ok(open(&self.root, directory_flags(), Mode::empty())?)
    }

    fn busy(&self) -> MutexGuard<'_, HashSet<String>> {
        self.busy.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is still to come.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Pending {
    pub(super) bytes: u64,
    pub(super) missing: u64,
    pub(super) of_the_user: usize,
}

/// An upload that one request works on, until it is dropped.
#[derive(Debug)]
pub(super) struct Taken {
    uploads: Uploads,
    id: String,
}

impl Taken {
    /// Adds bytes at an offset. Where the disk takes only a part of them, none of them was added.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let file = self.open(OFlag::O_WRONLY)?;
        let written = fault::hit("app.receiving").and_then(|()| file.write_all_at(bytes, offset));
        if written.is_err() {
            let _ = file.set_len(offset);
        }
        written
    }

    /// Makes what has come durable.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.open(OFlag::O_WRONLY)?.sync_all()?;
        fault::hit("app.received")
    }

    /// Opens the content, to be changed in its place.
    pub(super) fn open_to_change(&self) -> io::Result<File> {
        self.open(OFlag::O_RDWR)
    }

    /// Opens the content for reading.
    pub(super) fn open_to_read(&self) -> io::Result<File> {
        self.open(OFlag::O_RDONLY)
    }

    /// Returns the first bytes, by which one knows what it is.
    pub(super) fn beginning(&self) -> io::Result<Vec<u8>> {
        let mut beginning = Vec::new();
        self.open_to_read()?.take(BEGINNING).read_to_end(&mut beginning)?;
        Ok(beginning)
    }

    /// Returns the directory that the content lies in, and its name there.
    pub(super) fn place(&self) -> io::Result<(OwnedFd, &str)> {
        Ok((self.uploads.open_root()?, &self.id))
    }

    /// Writes down what became of it.
    pub(super) fn describe(&self, upload: &Upload) -> io::Result<()> {
        describe(&self.uploads.open_root()?, &self.id, upload)
    }

    /// Removes the content of what is an attachment now, and keeps the word on that, so that whoever missed the answer finds it.
    pub(super) fn finish(&self, upload: &Upload) -> io::Result<()> {
        let root = self.uploads.open_root()?;
        describe(&root, &self.id, upload)?;
        forgive_missing(unlinkat(&root, self.id.as_str(), UnlinkatFlags::NoRemoveDir))
    }

    /// Lets it stay for another request.
    pub(super) fn let_stay(&self) -> io::Result<()> {
        create(&self.uploads.open_root()?, &names(&self.id)[3]).map(drop)
    }

    /// Removes all of it.
    pub(super) fn remove(&self) -> io::Result<()> {
        remove(&self.uploads.open_root()?, &self.id);
        Ok(())
    }

    fn open(&self, access: OFlag) -> io::Result<File> {
        let file = open_for(&self.uploads.open_root()?, &self.id, access)?;
        Ok(file.ok_or(io::ErrorKind::NotFound)?)
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.uploads.busy().remove(&self.id);
    }
}

fn is_id(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The files of an upload: its content, its description, a description that is not whole yet, and the mark of what stays.
fn names(id: &str) -> [String; 4] {
    [id.to_owned(), format!("{id}.json"), format!("{id}.json.part"), format!("{id}.stays")]
}

fn create(root: &OwnedFd, name: &str) -> io::Result<File> {
    let flags = OFlag::O_WRONLY | OFlag::O_CREAT | OFlag::O_EXCL | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    // Once it is whole, this is the attachment's file as well, with the mode that a restore gives it.
    Ok(openat(root, name, flags, Mode::S_IRUSR | Mode::S_IWUSR)?.into())
}

fn open_for(root: &OwnedFd, name: &str, access: OFlag) -> io::Result<Option<File>> {
    let flags = access | OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK | OFlag::O_NOCTTY | OFlag::O_CLOEXEC;
    match openat(root, name, flags, Mode::empty()) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::ENOENT | Errno::ELOOP) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Writes down durably what an upload is for, all of it or nothing.
fn describe(root: &OwnedFd, id: &str, upload: &Upload) -> io::Result<()> {
    let [_, described, unfinished, _] = names(id);
    let _ = unlinkat(root, unfinished.as_str(), UnlinkatFlags::NoRemoveDir);
    let mut file = create(root, &unfinished)?;
    file.write_all(serde_json::to_string(upload)?.as_bytes())?;
    file.sync_all()?;
    renameat(root, unfinished.as_str(), root, described.as_str())?;
    fsync(root)?;
    Ok(())
}

fn remove(root: &OwnedFd, id: &str) {
    for name in names(id) {
        let _ = unlinkat(root, name.as_str(), UnlinkatFlags::NoRemoveDir);
    }
}

fn forgive_missing(outcome: nix::Result<()>) -> io::Result<()> {
    match outcome {
        Ok(()) | Err(Errno::ENOENT) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

/// Whether the disk has no room.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.raw_os_error().map(Errno::from_raw), Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG))
}

/// Returns the directory beside that of the attachments.
pub(super) fn beside(files: &Path, name: &str) -> PathBuf {
    files.parent().unwrap_or(Path::new("")).join(name)
}
