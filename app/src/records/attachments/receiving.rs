//! How do the bytes of one request get into an upload?

use std::sync::Arc;

use poem::http::StatusCode;
use tokio::sync::OwnedSemaphorePermit;

use super::{
    disk_work::{blocking, too_large},
    uploads::{Taken, Upload},
};
use crate::{
    fault,
    http::{Pieces, Problem},
    media::{self, MediaError},
};

/// An upload that a request adds bytes to.
pub(super) struct Receiving {
    pub(super) taken: Arc<Taken>,
    pub(super) upload: Upload,
    pub(super) offset: u64,
    /// Whether another request may go on with it.
    pub(super) is_resumable: bool,
    pub(super) _room: OwnedSemaphorePermit,
}

impl Receiving {
    /// Adds a body, and makes what came of it durable. No more than `most` bytes are taken altogether. Returns why the body was cut
    /// off, if it was.
    pub(super) async fn receive(&mut self, mut pieces: Pieces, most: u64) -> Result<Option<Problem>, Problem> {
        let cut = loop {
            let piece = match pieces.next().await {
                Ok(Some(piece)) => piece,
                Ok(None) => break None,
                Err(cut) => break Some(cut.into()),
            };
            let (length, offset) = (piece.len() as u64, self.offset);
            if length > most.saturating_sub(offset) {
                break Some(too_large(most));
            }
            let taken = self.taken.clone();
            blocking(move || taken.write(&piece, offset)).await?;
            self.offset += length;
        };
        let taken = self.taken.clone();
        blocking(move || taken.sync()).await?;
        Ok(cut)
    }

    /// Removes from a picture where it was taken, unless that is to be kept. From then on nothing is changed in the content.
    pub(super) async fn make_final(&mut self, media_type: &str) -> Result<(), Problem> {
        if self.upload.is_final {
            return Ok(());
        }
        if !self.upload.keep_location && media_type.starts_with("image/") {
            let taken = self.taken.clone();
            let picture = blocking(move || taken.open_to_change()).await?;
            media::remove_location(picture).await.map_err(|error| location_stays(&error))?;
            let taken = self.taken.clone();
            blocking(move || taken.sync()).await?;
        }
        self.upload.is_final = true;
        if self.is_resumable {
            let (taken, upload) = (self.taken.clone(), self.upload.clone());
            blocking(move || taken.describe(&upload)).await?;
        }
        blocking(|| fault::hit("app.final")).await
    }
}

fn location_stays(error: &MediaError) -> Problem {
    match error {
        MediaError::Unreadable | MediaError::TooLarge => {
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY).detail(format!(
                "It could not be removed from the picture where it was taken: {error}. Nothing was added. Send it with \
             `keep_location` to keep it as it is."
            ))
        }
        _ => {
            tracing::warn!("It could not be removed from a picture where it was taken: {error}");
            Problem::unavailable("The picture could not be looked into. Nothing was added. Try again in a moment.", 30)
        }
    }
}
