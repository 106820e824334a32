//! How does a file come that is no attachment yet, such as an archive of many?
//!
//! It lies in `uploads/` while it is read, as an upload does, and is gone with whoever holds it; what was forgotten there goes after a
//! day. What it holds is put into the content store like any attachment: durably, before a row refers to it.

use std::{
    fs::File,
    io::{self, Read},
    sync::Arc,
};

use super::{
    Attachments,
    content_store::hash_of,
    disk_work::{blocking, disk_is_full, too_large},
    rows,
    uploads::{Taken, Uploads},
};
use crate::{
    auth::authority::AuthorizedDatabase,
    http::{Pieces, Problem},
    media,
};

/// How much is read at a time.
const PIECE: usize = 64 << 10;
/// After so many bytes it is asked again whether the disk has room.
const STRETCH: u64 = 16 << 20;

/// A file in `uploads/`, which is removed when this is dropped, unless it is to stay.
#[derive(Debug)]
pub(in crate::records) struct Spooled {
    taken: Arc<Taken>,
    id: String,
    bytes: u64,
    stays: bool,
}

impl Spooled {
    /// Returns how long it is.
    pub(in crate::records) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Opens it for reading.
    pub(in crate::records) fn open(&self) -> io::Result<File> {
        self.taken.open_to_read()
    }

    /// Returns its first bytes, by which one knows what it is.
    pub(super) fn beginning(&self) -> io::Result<Vec<u8>> {
        self.taken.beginning()
    }

    /// Lets it stay, to be found by the id that is returned, for a day. Nobody guesses the id.
    pub(in crate::records) fn stay(&mut self) -> &str {
        self.stays = true;
        &self.id
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        if !self.stays {
            let _ = self.taken.remove();
        }
    }
}

/// A content that was put into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::records) struct Kept {
    pub(in crate::records) hash: String,
    pub(in crate::records) bytes: u64,
    pub(in crate::records) media_type: &'static str,
}

impl Kept {
    /// Whether there is nothing to read in it: only PDFs are read.
    pub(in crate::records) fn has_no_text(&self) -> bool {
        self.media_type != "application/pdf"
    }
}

impl Attachments {
    /// Receives a file of at most so many bytes.
    pub(in crate::records) async fn spool(&self, mut pieces: Pieces, most: u64) -> Result<Spooled, Problem> {
        let _room = self.room()?;
        let mut spooled = self.begin_spool().await?;
        let mut asked = None;
        while let Some(piece) = pieces.next().await? {
            if asked.is_none_or(|asked| spooled.bytes - asked >= STRETCH) {
                asked = Some(spooled.bytes);
                let uploads = self.uploads.clone();
                if !blocking(move || uploads.has_room(STRETCH)).await? {
                    return Err(disk_is_full());
                }
            }
            let (length, offset) = (piece.len() as u64, spooled.bytes);
            if length > most.saturating_sub(offset) {
                return Err(too_large(most));
            }
            let taken = spooled.taken.clone();
            blocking(move || taken.write(&piece, offset)).await?;
            spooled.bytes += length;
        }
        Ok(spooled)
    }

    /// Returns a file that stayed. `None`: it is gone, or somebody works with it.
    pub(in crate::records) async fn spooled(&self, id: &str) -> Result<Option<Spooled>, Problem> {
        let (uploads, wanted) = (self.uploads.clone(), id.to_owned());
        blocking(move || {
            // What an attachment is made of has a description, and is not for this.
            if !Uploads::is_id(&wanted) || uploads.find(&wanted)?.is_some() {
                return Ok(None);
            }
            let Some(taken) = uploads.take(&wanted) else { return Ok(None) };
            match taken.open_to_read() {
                Ok(file) => {
                    let bytes = file.metadata()?.len();
                    Ok(Some(Spooled { taken: Arc::new(taken), id: wanted, bytes, stays: true }))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Refuses what the disk or the quota has no room for.
    pub(in crate::records) async fn check_room(
        &self,
        database: &AuthorizedDatabase,
        bytes: u64,
    ) -> Result<(), Problem> {
        let uploads = self.uploads.clone();
        if !blocking(move || uploads.has_room(bytes)).await? {
            return Err(disk_is_full());
        }
        let used = rows::used(database.reads()).await.map_err(|error| Problem::from(database.failed(error)))?;
        rows::has_quota(self.limits, used, bytes)
    }

    /// Puts a content into the store. The error is of kind `FileTooLarge` where it has more bytes than an attachment may.
    pub(in crate::records) fn keep(&self, mut content: impl Read, name: &str) -> io::Result<Kept> {
        let id = Uploads::new_id();
        let taken = self.uploads.take(&id).ok_or(io::ErrorKind::AlreadyExists)?;
        self.uploads.begin_undescribed(&id)?;
        let spooled = Spooled { taken: Arc::new(taken), id, bytes: 0, stays: false };
        let (mut piece, mut bytes) = (vec![0; PIECE], 0);
        loop {
            let length = content.read(&mut piece)?;
            if length == 0 {
                break;
            }
            if length as u64 > self.limits.max_size.saturating_sub(bytes) {
                return Err(io::ErrorKind::FileTooLarge.into());
            }
            spooled.taken.write(&piece[..length], bytes)?;
            bytes += length as u64;
        }
        spooled.taken.sync()?;
        // What lies on the disk counts.
        let (hash, bytes) = hash_of(spooled.open()?)?;
        let media_type = media::media_type(&spooled.taken.beginning()?, name);
        let (from, name) = spooled.taken.place()?;
        self.store.put(&from, name, &hash, bytes)?;
        Ok(Kept { hash, bytes, media_type })
    }

    /// Has the texts read of PDFs whose rows were just written.
    pub(in crate::records) fn look_for_texts(&self) {
        self.unread.notify_one();
    }

    async fn begin_spool(&self) -> Result<Spooled, Problem> {
        let id = Uploads::new_id();
        let Some(taken) = self.uploads.take(&id) else { return Err(Problem::unavailable("Try again.", 1)) };
        let (uploads, new) = (self.uploads.clone(), id.clone());
        blocking(move || uploads.begin_undescribed(&new)).await?;
        Ok(Spooled { taken: Arc::new(taken), id, bytes: 0, stays: false })
    }
}
