//! Where does a smaller picture of an attachment come from?
//!
//! It is made when it is first asked for, and kept in `data/cache/` under the hash of the file, for as long as there is room. Whatever is
//! there may go at any time, and is in no backup.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use nix::fcntl::OFlag;
use tokio::sync::Mutex;

use super::{Attachments, content_store::is_hash, disk_work::blocking, rows::Attached};
use crate::{
    http::Problem,
    media::{self, MediaError},
};

/// What all previews may take: some 5,000 of them.
const MOST: u64 = 256 << 20;
/// What is left of them when there are too many, so that they are not counted with each one.
const LESS: u64 = MOST / 8 * 7;

/// What is kept for a file of which there is no preview.
const NONE: &[u8] = b"none";
/// How a preview begins: it is a JPEG. Anything else is a file that a power cut has left.
const JPEG: [u8; 2] = [0xff, 0xd8];

/// The directory `cache/`.
#[derive(Debug, Clone)]
pub(super) struct Cache {
    root: PathBuf,
    /// How much there is; not known yet at 0.
    bytes: Arc<AtomicU64>,
    /// One is made at a time, and nobody makes it twice.
    making: Arc<Mutex<()>>,
}

/// What is known of a preview.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Kept {
    Preview(Vec<u8>),
    /// There is none of this file.
    None,
    /// It was not made yet, or went.
    Unknown,
}

impl Attachments {
    /// Returns a preview of an attachment, a JPEG. `None`: there is none of this file.
    pub(super) async fn preview(&self, attached: &Attached) -> Result<Option<Vec<u8>>, Problem> {
        let (cache, hash) = (self.cache.clone(), attached.attachment.hash.clone());
        let look = || {
            let (cache, hash) = (cache.clone(), hash.clone());
            blocking(move || cache.look(&hash))
        };
        match look().await? {
            Kept::Preview(preview) => return Ok(Some(preview)),
            Kept::None => return Ok(None),
            Kept::Unknown => {}
        }
        let _making = cache.making.lock().await;
        match look().await? {
            Kept::Preview(preview) => return Ok(Some(preview)),
            Kept::None => return Ok(None),
            Kept::Unknown => {}
        }
        let made = match media::preview(self.open(attached).await?, &attached.media_type).await {
            Ok(made) => made,
            Err(error @ (MediaError::Run(_) | MediaError::Time)) => {
                tracing::warn!("A preview could not be made: {error}");
                return Err(Problem::unavailable("The preview could not be made. Try again in a moment.", 30));
            }
            Err(error) => {
                tracing::info!("There is no preview of attachment {}: {error}", attached.attachment.id);
                None
            }
        };
        let (kept, cache) = (made.clone(), cache.clone());
        // A full disk is no reason to show nothing.
        let put = blocking(move || cache.put(&hash, kept.as_deref().unwrap_or(NONE))).await;
        drop(put);
        Ok(made)
    }
}

impl Cache {
    /// Returns the cache in this directory, which is made with the first preview.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, bytes: Arc::default(), making: Arc::default() }
    }

    fn look(&self, hash: &str) -> io::Result<Kept> {
        if !is_hash(hash) {
            return Ok(Kept::Unknown);
        }
        Ok(match fs::read(self.root.join(hash)) {
            Ok(kept) if kept == NONE => Kept::None,
            Ok(kept) if kept.starts_with(&JPEG) => Kept::Preview(kept),
            Ok(_) => Kept::Unknown,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::Unknown,
            Err(error) => return Err(error),
        })
    }

    fn put(&self, hash: &str, kept: &[u8]) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let unfinished = self.root.join(format!("{hash}.part"));
        let written = self.write(&unfinished, kept).and_then(|()| fs::rename(&unfinished, self.root.join(hash)));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
            return written;
        }
        let known = self.bytes.fetch_add(kept.len() as u64, Ordering::Relaxed);
        if known == 0 || known > MOST {
            let left = self.make_room(MOST, LESS)?;
            self.bytes.store(left.max(1), Ordering::Relaxed);
        }
        Ok(())
    }

    fn write(&self, path: &PathBuf, kept: &[u8]) -> io::Result<()> {
        let mut file: File = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .custom_flags(OFlag::O_NOFOLLOW.bits())
            .open(path)?;
        file.write_all(kept)?;
        file.sync_data()
    }

    /// Removes the oldest where there is more than `most`, until there is no more than `less`; returns how much is left.
    fn make_room(&self, most: u64, less: u64) -> io::Result<u64> {
        let mut all = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let stat = entry.metadata()?;
            all.push((stat.modified()?, stat.len(), entry.path()));
        }
        all.sort();
        let mut left: u64 = all.iter().map(|(_, bytes, _)| bytes).sum();
        if left <= most {
            return Ok(left);
        }
        for (_, bytes, path) in all {
            if left <= less {
                break;
            }
            fs::remove_file(path)?;
            left -= bytes;
        }
        Ok(left)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_preview_is_kept_and_so_is_that_there_is_none() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("cache"));
        let (one, other) = ("a".repeat(64), "b".repeat(64));
        assert_eq!(cache.look(&one).unwrap(), Kept::Unknown);
        let preview = [&JPEG[..], b"..."].concat();
        cache.put(&one, &preview).unwrap();
        cache.put(&other, NONE).unwrap();
        assert_eq!(cache.look(&one).unwrap(), Kept::Preview(preview));
        assert_eq!(cache.look(&other).unwrap(), Kept::None);
        assert_eq!(cache.look("../secret").unwrap(), Kept::Unknown);
        // What a power cut left.
        fs::write(cache.root.join(&one), "").unwrap();
        assert_eq!(cache.look(&one).unwrap(), Kept::Unknown);
    }

    #[test]
    fn the_oldest_go_where_there_are_too_many() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("cache"));
        for (age, letter) in ["a", "b", "c", "d"].iter().enumerate() {
            cache.put(&letter.repeat(64), &[0xff; 100]).unwrap();
            let file = File::options().append(true).open(cache.root.join(letter.repeat(64))).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(60 * (10 - age as u64))).unwrap();
        }
        assert_eq!(cache.make_room(400, 250).unwrap(), 400);
        assert_eq!(cache.make_room(399, 250).unwrap(), 200);
        let mut left: Vec<_> =
            fs::read_dir(&cache.root).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        left.sort_unstable();
        assert_eq!(left, ["c".repeat(64), "d".repeat(64)]);
    }
}
