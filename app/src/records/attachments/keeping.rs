//! How do the files of an import become content of the store?
//!
//! One by one, each durably before the next: bytes, name, directory. The rows that refer to them come in one transaction behind all of
//! them. So an import that is killed leaves at most files that nobody refers to.

use std::io::{self, Read};

use tokio::runtime::Handle;

use super::{
    Attachments,
    content_store::hash_of,
    disk_work::{blocking, disk_is_full},
    rows,
};
use crate::{
    auth::authority::AuthorizedDatabase,
    config::in_words,
    http::Problem,
    media::{self, MediaError},
};

/// How much is read at a time.
const PIECE: usize = 64 << 10;

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

/// What becomes of the place where a picture was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::records) enum Location {
    /// It stays: the user who attached the picture to a Hearth has decided on it.
    Kept,
    Removed,
}

/// Why a content was not put into the store.
#[derive(Debug, thiserror::Error)]
pub(in crate::records) enum NotKept {
    #[error("it has {}, and an attachment may have {} at most (attachments.max_size)", in_words(*.bytes), in_words(*.most))]
    TooLarge { bytes: u64, most: u64 },
    #[error(
        "it has {}, and of the {} that all attachments may have together (attachments.quota) only {} were left",
        in_words(*.bytes), in_words(*.quota), in_words(*.left)
    )]
    OverQuota { bytes: u64, quota: u64, left: u64 },
    #[error(
        "it could not be removed from the picture where it was taken: {0}. Attach it by itself, and choose to keep the location"
    )]
    Location(MediaError),
    /// Nothing can be said of any picture at the moment.
    #[error("the pictures cannot be looked into: {0}")]
    Pictures(MediaError),
    /// Of this machine, whatever the content is.
    #[error(transparent)]
    Machine(#[from] io::Error),
}

/// Puts the files of one import into the store, as far as there may be so many.
#[derive(Debug)]
pub(in crate::records) struct Keeper {
    attachments: Attachments,
    location: Location,
    /// How many bytes all attachments had before, and have with those that were kept.
    used: u64,
}

impl Attachments {
    /// Returns what keeps the files of an import that has so many bytes of files. Refuses one for which the disk has no room.
    pub(in crate::records) async fn keeper(
        &self,
        database: &AuthorizedDatabase,
        bytes: u64,
        location: Location,
    ) -> Result<Keeper, Problem> {
        let uploads = self.uploads.clone();
        if !blocking(move || uploads.has_room(bytes)).await? {
            return Err(disk_is_full());
        }
        let used = match self.limits.quota {
            Some(_) => rows::used(database.reads()).await.map_err(|error| database.failed(error))?,
            None => 0,
        };
        Ok(Keeper { attachments: self.clone(), location, used })
    }

    /// Returns how many bytes an attachment may have.
    pub(in crate::records) fn largest(&self) -> u64 {
        self.limits.max_size
    }
}

impl Keeper {
    /// Puts a content into the store that has so many bytes, or fails at its end. Waits for the disk, and for a look into pictures: not
    /// for the threads that answer requests.
    pub(in crate::records) fn keep(&mut self, mut content: impl Read, bytes: u64, name: &str) -> Result<Kept, NotKept> {
        let limits = self.attachments.limits;
        if bytes > limits.max_size {
            return Err(NotKept::TooLarge { bytes, most: limits.max_size });
        }
        if let Some(quota) = limits.quota
            && bytes > quota.saturating_sub(self.used)
        {
            return Err(NotKept::OverQuota { bytes, quota, left: quota.saturating_sub(self.used) });
        }
        let spooled = self.attachments.begin_temporary()?;
        let (mut piece, mut bytes) = (vec![0; PIECE], 0);
        loop {
            let length = content.read(&mut piece)?;
            if length == 0 {
                break;
            }
            spooled.taken.write(&piece[..length], bytes)?;
            bytes += length as u64;
        }
        let media_type = media::media_type(&spooled.taken.beginning()?, name);
        if self.location == Location::Removed && media_type.starts_with("image/") {
            let picture = spooled.taken.open_to_change()?;
            match Handle::current().block_on(media::remove_location(picture)) {
                Ok(_) => {}
                Err(error @ (MediaError::Run(_) | MediaError::Time)) => return Err(NotKept::Pictures(error)),
                Err(error) => return Err(NotKept::Location(error)),
            }
        }
        spooled.taken.sync()?;
        // What lies on the disk counts.
        let (hash, bytes) = hash_of(spooled.open()?)?;
        let (from, name) = spooled.taken.place()?;
        self.attachments.store.put(&from, name, &hash, bytes)?;
        self.used = self.used.saturating_add(bytes);
        Ok(Kept { hash, bytes, media_type })
    }
}
