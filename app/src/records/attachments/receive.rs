//! How does a file become an attachment?
//!
//! Its bytes are added to an upload piece by piece. When the last is there, it is made durable; where a picture was taken is removed,
//! unless that is to be kept; it gets its place in the content store; and then the row is written. Killed anywhere, an upload
//! that was begun goes on where it was, and what was made of it already is found by its id: no attachment is made twice.

use std::{io, sync::Arc};

use poem::http::HeaderName;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    Attachments,
    content_store::hash_of,
    disk_work::{blocking, disk_is_full, too_large},
    entity::attachment::Role,
    name,
    receiving::Receiving,
    rows::{self, Attached, NewAttachment, Written},
    uploads::{Upload, Uploads},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller, idempotency::Once},
    datetime::Timestamp,
    http::{IdempotencyKey, Pieces, Precondition, Problem},
    media,
    records::store::{self, Viewer, no_such_record},
};

/// Uploads that a user may have begun and not finished.
const BEGUN: usize = 100;

/// The header that says how many bytes have come.
pub(super) const UPLOAD_OFFSET: HeaderName = HeaderName::from_static("upload-offset");

/// What is to be known of a file before it is sent.
#[derive(Debug, Clone, Default)]
pub(crate) struct Announcement {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// How many bytes there will be, where that is known.
    pub(crate) bytes: Option<u64>,
    /// Whether a picture keeps where it was taken.
    pub(crate) keep_location: bool,
}

/// How far an upload is.
#[derive(Debug, Clone)]
pub(crate) struct Progress {
    pub(crate) id: String,
    pub(crate) upload: Upload,
    pub(crate) offset: u64,
    /// What it became, if the user sees that.
    pub(crate) made: Option<Attached>,
}

impl Attachments {
    /// Begins an upload to a record.
    pub(crate) async fn begin_upload(
        &self,
        database: &AuthorizedDatabase,
        caller: &Caller,
        record_id: i64,
        announcement: Announcement,
    ) -> Result<Progress, Problem> {
        let upload = self.check(database, caller, record_id, announcement).await?;
        let (uploads, begun, id) = (self.uploads.clone(), upload.clone(), Uploads::new_id());
        let new = id.clone();
        blocking(move || uploads.begin(&new, &begun)).await?;
        Ok(Progress { id, upload, offset: 0, made: None })
    }

    /// Returns how far an upload of this user is. `None`: they have none with this id.
    pub(crate) async fn progress(
        &self,
        database: &AuthorizedDatabase,
        caller: &Caller,
        id: &str,
    ) -> Result<Option<Progress>, Problem> {
        let (uploads, wanted, user_id) = (self.uploads.clone(), id.to_owned(), caller.user.id);
        let found = blocking(move || uploads.find(&wanted)).await?;
        let Some((upload, offset)) = found.filter(|(upload, _)| upload.user_id == user_id) else { return Ok(None) };
        let made = match upload.attachment_id {
            None => None,
            Some(made) => {
                rows::find(database.reads(), Viewer::of(caller), made).await.map_err(|error| database.failed(error))?
            }
        };
        Ok(Some(Progress { id: id.to_owned(), upload, offset, made }))
    }

    /// Adds bytes to an upload from an offset on, and makes the attachment when they are all there. `None`: the user has no upload
    /// with this id.
    pub(crate) async fn append(
        &self,
        database: &AuthorizedDatabase,
        caller: &Caller,
        id: &str,
        offset: u64,
        pieces: Pieces,
    ) -> Result<Option<Progress>, Problem> {
        let room = self.room()?;
        if self.progress(database, caller, id).await?.is_none() {
            return Ok(None);
        }
        let Some(taken) = self.uploads.take(id) else {
            return Err(Problem::conflict(
                "Another request is adding to this upload. Ask for its offset, and go on from there.",
            ));
        };
        // Now nobody else changes it.
        let Some(progress) = self.progress(database, caller, id).await? else { return Ok(None) };
        if progress.upload.attachment_id.is_some() {
            return Ok(Some(progress));
        }
        if progress.offset != offset {
            let so_far = progress.offset;
            let detail = format!("The upload has {so_far} bytes so far. Go on from there.");
            return Err(Problem::conflict(detail).header(UPLOAD_OFFSET, so_far));
        }
        let mut receiving =
            Receiving { taken: Arc::new(taken), upload: progress.upload, offset, is_resumable: true, _room: room };
        let outcome = self.go_on(database, caller, id, &mut receiving, pieces).await;
        if let Err(problem) = &outcome
            && matches!(problem.status().as_u16(), 404 | 422 | 507)
        {
            // It cannot be finished, or a full disk has better use for its bytes.
            let taken = receiving.taken.clone();
            let _ = blocking(move || taken.remove()).await;
        }
        let made = outcome?;
        Ok(Some(Progress { id: id.to_owned(), upload: receiving.upload, offset: receiving.offset, made }))
    }

    /// Receives more of an upload, and makes the attachment if that is all.
    async fn go_on(
        &self,
        database: &AuthorizedDatabase,
        caller: &Caller,
        id: &str,
        receiving: &mut Receiving,
        pieces: Pieces,
    ) -> Result<Option<Attached>, Problem> {
        let whole = receiving.upload.bytes;
        let cut = receiving.receive(pieces, whole).await?;
        if receiving.offset < whole {
            return cut.map_or(Ok(None), Err);
        }
        // All of it is there, whatever became of the connection since.
        let stored = self.store(receiving).await?;
        let once = Once::new(IdempotencyKey(Some(format!("upload {id}"))), "finish_upload", &id.to_owned());
        let attached = self.write(database, caller, stored, once, Precondition::Any).await?.attached;
        receiving.upload.attachment_id = Some(attached.attachment.id);
        let (taken, upload) = (receiving.taken.clone(), receiving.upload.clone());
        // Where this cannot be written down, the next request finds the attachment by the id of the upload.
        let _ = blocking(move || taken.finish(&upload)).await;
        Ok(Some(attached))
    }

    /// Adds a file whose content is in one request.
    #[allow(clippy::too_many_arguments, reason = "each is a parameter of the request")]
    pub(crate) async fn add(
        &self,
        database: &AuthorizedDatabase,
        caller: &Caller,
        record_id: i64,
        announcement: Announcement,
        pieces: Pieces,
        key: IdempotencyKey,
        precondition: Precondition,
    ) -> Result<Written, Problem> {
        let room = self.room()?;
        let upload = self.check(database, caller, record_id, announcement).await?;
        let id = Uploads::new_id();
        let Some(taken) = self.uploads.take(&id) else { return Err(Problem::unavailable("Try again.", 1)) };
        let uploads = self.uploads.clone();
        blocking(move || uploads.begin_undescribed(&id)).await?;
        let mut receiving = Receiving { taken: Arc::new(taken), upload, offset: 0, is_resumable: false, _room: room };
        let outcome = async {
            if let Some(cut) = receiving.receive(pieces, self.limits.max_size).await? {
                return Err(cut);
            }
            receiving.upload.bytes = receiving.offset;
            let stored = self.store(&mut receiving).await?;
            let request = format!("{record_id} {:?} {:?} {}", stored.name, stored.role, stored.hash);
            let once = Once::new(key, "create_attachment", &request);
            self.write(database, caller, stored, once, precondition).await
        }
        .await;
        let taken = receiving.taken.clone();
        let _ = blocking(move || taken.remove()).await;
        outcome
    }

    /// Gives up an upload; returns whether the user had one with this id.
    pub(crate) async fn give_up(
        &self,
        database: &AuthorizedDatabase,
        caller: &Caller,
        id: &str,
    ) -> Result<bool, Problem> {
        if self.progress(database, caller, id).await?.is_none() {
            return Ok(false);
        }
        let Some(taken) = self.uploads.take(id) else {
            return Err(Problem::conflict("Another request is adding to this upload. Try again."));
        };
        blocking(move || taken.remove()).await?;
        Ok(true)
    }

    /// Checks that a file may come, before any of it does.
    async fn check(
        &self,
        database: &AuthorizedDatabase,
        caller: &Caller,
        record_id: i64,
        announcement: Announcement,
    ) -> Result<Upload, Problem> {
        let failed = |error| Problem::from(database.failed(error));
        if store::find(database.reads(), Viewer::of(caller), record_id).await.map_err(failed)?.is_none() {
            return Err(no_such_record(record_id));
        }
        let bytes = announcement.bytes.unwrap_or_default();
        if bytes > self.limits.max_size {
            return Err(too_large(self.limits.max_size));
        }
        let (uploads, user_id) = (self.uploads.clone(), caller.user.id);
        let (pending, has_room) = blocking(move || {
            let pending = uploads.pending(user_id)?;
            Ok((pending, uploads.has_room(pending.missing.saturating_add(bytes))?))
        })
        .await?;
        if self.limits.quota.is_some() {
            let used = rows::used(database.reads()).await.map_err(failed)?;
            rows::has_quota(self.limits, used.saturating_add(pending.bytes), bytes)?;
        }
        if !has_room {
            return Err(disk_is_full());
        }
        if pending.of_the_user >= BEGUN {
            let detail = format!("You have begun {BEGUN} uploads that are not finished. Finish some, or delete them.");
            return Err(Problem::conflict(detail));
        }
        Ok(Upload {
            record_id,
            user_id,
            name: name::cleaned(&announcement.name),
            role: announcement.role,
            bytes,
            keep_location: announcement.keep_location,
            begun_at: Timestamp::now().to_string(),
            is_final: false,
            attachment_id: None,
        })
    }

    pub(super) fn room(&self) -> Result<OwnedSemaphorePermit, Problem> {
        let room = self.room.clone().try_acquire_owned();
        room.map_err(|_| Problem::unavailable("The server is receiving too many files. Try again in a moment.", 5))
    }

    /// Puts all that was received into the content store.
    async fn store(&self, receiving: &mut Receiving) -> Result<NewAttachment, Problem> {
        let Upload { record_id, name, role, bytes, .. } = receiving.upload.clone();
        let (taken, named) = (receiving.taken.clone(), name.clone());
        let media_type = blocking(move || Ok(media::media_type(&taken.beginning()?, &named))).await?;
        receiving.make_final(media_type).await?;
        let (store, taken) = (self.store.clone(), receiving.taken.clone());
        let hash = blocking(move || {
            let (hash, length) = hash_of(taken.open_to_read()?)?;
            if length != bytes {
                return Err(io::Error::other(format!("an upload of {bytes} bytes has {length}")));
            }
            let (from, name) = taken.place()?;
            store.put(&from, name, &hash, bytes)?;
            Ok(hash)
        })
        .await?;
        Ok(NewAttachment { record_id, hash, bytes, media_type, name, role })
    }

    async fn write(
        &self,
        database: &AuthorizedDatabase,
        caller: &Caller,
        new: NewAttachment,
        once: Option<Once>,
        precondition: Precondition,
    ) -> Result<Written, Problem> {
        let (record_id, is_unread) = (new.record_id, !new.has_no_text());
        let written = rows::add(database, caller, new, once, precondition, self.limits).await?;
        if is_unread {
            self.unread.notify_one();
        }
        written.ok_or_else(|| no_such_record(record_id))
    }
}
