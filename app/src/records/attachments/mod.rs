//! The files of records: receipts, photographs, manuals.
//!
//! A file comes as an upload (`receive`), whose bytes lie in `uploads/` until they are all there. Then it is put into the content store
//! under its hash, and only then is a row written that refers to it (`rows`). It is sent back by the attachment's id (`download`).

pub(super) mod api;
mod check;
mod content_store;
mod disk_work;
mod download;
#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod entity;
mod keeping;
mod name;
mod preview;
mod proof;
mod receive;
mod receiving;
pub(in crate::records) mod rows;
mod spool;
mod text;
mod uploads;

use std::{
    fs::File,
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::{
    sync::{Notify, Semaphore},
    task::spawn_blocking,
};

pub(in crate::records) use self::receive::Announcement;
pub(crate) use self::{check::check as check_files, content_store::ContentStore, proof::prove};
use self::{disk_work::blocking, preview::Cache, rows::Attached, uploads::Uploads};
pub(super) use self::{
    keeping::{Keeper, Kept, Location, NotKept},
    name::cleaned as cleaned_name,
    rows::{MOST, check_quota, is_resolved, of_records, self_test},
    spool::Spooled,
};
use crate::{config, http::Problem};
use poem::http::StatusCode;

/// Files that come in at a time; each has a piece in memory.
const RECEIVED: usize = 16;

/// Where attachments are, and what they may take.
#[derive(Debug, Clone)]
pub(crate) struct Attachments {
    pub(crate) store: ContentStore,
    uploads: Uploads,
    pub(super) limits: config::Attachments,
    cache: Cache,
    room: Arc<Semaphore>,
    /// Told when there is a PDF to read.
    unread: Arc<Notify>,
}

impl Attachments {
    /// Returns the attachments in this directory; uploads are beside it.
    pub(crate) fn new(files: &Path, limits: config::Attachments) -> Self {
        Self {
            store: ContentStore::new(files),
            uploads: Uploads::new(uploads::beside(files, "uploads")),
            cache: Cache::new(uploads::beside(files, "cache")),
            limits,
            unread: Arc::default(),
            room: Arc::new(Semaphore::new(RECEIVED)),
        }
    }

    /// Opens the file of an attachment.
    async fn open(&self, attached: &Attached) -> Result<File, Problem> {
        let (store, hash) = (self.store.clone(), attached.attachment.hash.clone());
        let found = blocking(move || store.open(&hash)).await?;
        let is_whole = |file: &File| file.metadata().is_ok_and(|stat| stat.len() == attached.bytes);
        found.filter(is_whole).ok_or_else(|| {
            let id = attached.attachment.id;
            tracing::error!("The file of attachment {id} is missing or damaged: `app files check` says more");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
                .detail("The file of this attachment is missing or damaged on the server. The operator can restore it from a backup.")
        })
    }

    /// Removes what nobody goes on with, at the start and each hour, for as long as the app runs.
    pub(crate) async fn tidy(self) {
        let left = self.clone();
        let removed = spawn_blocking(move || {
            // One preview that is made right now is made again.
            left.store.tidy().and_then(|()| left.cache.tidy()).and_then(|()| left.uploads.remove_abandoned())
        });
        match removed.await {
            Ok(Ok(0)) | Err(_) => {}
            Ok(Ok(number)) => tracing::info!("Removed what {number} interrupted requests left of their files"),
            Ok(Err(error)) => tracing::warn!("What interrupted requests left of their files stays: {error}"),
        }
        let mut hourly = tokio::time::interval(Duration::from_secs(60 * 60));
        loop {
            hourly.tick().await;
            let uploads = self.uploads.clone();
            match spawn_blocking(move || uploads.remove_old(SystemTime::now())).await {
                Ok(Ok(0)) | Err(_) => {}
                Ok(Ok(1)) => tracing::info!("1 upload that was not finished within a day was removed"),
                Ok(Ok(number)) => tracing::info!("{number} uploads that were not finished within a day were removed"),
                Ok(Err(error)) => tracing::warn!("Unfinished uploads could not be removed: {error}"),
            }
        }
    }
}
