//! How does a file come that is no attachment yet, such as an archive of many?
//!
//! It lies in `uploads/` while it is read, as an upload does, and is gone with whoever holds it; what was forgotten there goes after a
//! day. What it holds is put into the content store by [`keeping`](super::keeping).

use std::{fs::File, io, sync::Arc};

use super::{
    Attachments,
    content_store::hash_of,
    disk_work::{blocking, disk_is_full, too_large},
    uploads::{Taken, Uploads},
};
use crate::{
    fault,
    http::{Pieces, Problem},
};

/// After so many bytes it is asked again whether the disk has room.
const STRETCH: u64 = 16 << 20;

/// A file in `uploads/`, which is removed when this is dropped, unless it is to stay.
#[derive(Debug)]
pub(in crate::records) struct Spooled {
    pub(super) taken: Arc<Taken>,
    id: String,
    bytes: u64,
    /// BLAKE3 of the content.
    hash: String,
    stays: bool,
}

impl Spooled {
    /// Returns how long it is.
    pub(in crate::records) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Returns the hash of its content, in hexadecimal digits.
    pub(in crate::records) fn hash(&self) -> &str {
        &self.hash
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
    pub(in crate::records) async fn stay(&mut self) -> Result<&str, Problem> {
        let taken = self.taken.clone();
        blocking(move || taken.let_stay()).await?;
        self.stays = true;
        Ok(&self.id)
    }
}

impl Drop for Spooled {
    fn drop(&mut self) {
        if !self.stays {
            let _ = self.taken.remove();
        }
    }
}

impl Attachments {
    /// Receives a file of at most so many bytes.
    pub(in crate::records) async fn spool(&self, mut pieces: Pieces, most: u64) -> Result<Spooled, Problem> {
        let _room = self.room()?;
        let new = self.clone();
        let mut spooled = blocking(move || new.begin_temporary()).await?;
        let (mut asked, mut hasher) = (None, blake3::Hasher::new());
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
            hasher.update(&piece);
            let taken = spooled.taken.clone();
            blocking(move || taken.write(&piece, offset)).await?;
            spooled.bytes += length;
        }
        spooled.hash = hasher.finalize().to_hex().to_string();
        blocking(|| fault::hit("app.spooled")).await?;
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
                    let (hash, bytes) = hash_of(file)?;
                    Ok(Some(Spooled { taken: Arc::new(taken), id: wanted, bytes, hash, stays: true }))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Has the texts read of PDFs whose rows were just written.
    pub(in crate::records) fn look_for_texts(&self) {
        self.unread.notify_one();
    }

    /// Begins a file in `uploads/` that is gone with its owner in memory.
    pub(super) fn begin_temporary(&self) -> io::Result<Spooled> {
        let id = Uploads::new_id();
        let taken = self.uploads.take(&id).ok_or(io::ErrorKind::AlreadyExists)?;
        self.uploads.begin_undescribed(&id)?;
        Ok(Spooled { taken: Arc::new(taken), id, bytes: 0, hash: String::new(), stays: false })
    }
}
