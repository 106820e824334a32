//! How does work that waits for the disk go on beside the threads that answer requests, and what is said when it fails, or when a file is too large?

use std::io;

use nix::errno::Errno;
use poem::http::StatusCode;
use tokio::task::spawn_blocking;

use super::uploads::is_full;
use crate::{
    config,
    http::{Code, Problem},
};

/// Does what waits for the disk, beside the threads that answer requests.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Problem> {
    let outcome = spawn_blocking(work).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    outcome.map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
        _ if is_full(&error) => disk_is_full(),
        Some(Errno::EROFS | Errno::EIO | Errno::EACCES | Errno::EPERM) => {
            tracing::error!("A file of an attachment cannot be read or written: {error}");
            Problem::new(StatusCode::INSUFFICIENT_STORAGE)
                .detail("The server cannot write to its disk. Nothing was saved.")
        }
        _ => {
            tracing::error!("A file of an attachment cannot be read or written: {error}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR)
                .detail("An internal error occurred. See Hearth's log for details.")
        }
    })
}

/// The refusal where the disk is full.
pub(super) fn disk_is_full() -> Problem {
    Problem::new(StatusCode::INSUFFICIENT_STORAGE)
        .code(Code::DiskFull)
        .detail("The server's disk is full. Nothing was saved.")
}

/// The refusal of a file that is larger than it may be.
pub(super) fn too_large(most: u64) -> Problem {
    let most = config::in_words(most);
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE)
        .detail(format!("The file is larger than {most}. The rest of it was refused."))
}
