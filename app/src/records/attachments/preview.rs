//! Where does a smaller picture of an attachment come from?
//!
//! It is made when it is first asked for, and kept in `data/cache/` under the hash of the file, for as long as there is room. Whatever is
//! there may go at any time, and is in no backup.
//!
//! A picture that the child cannot decode, such as HEIC, has the preview that a browser makes: one that can decode it hands a smaller
//! picture in, and what the child makes of that is kept. It is for one attachment alone: nobody else who has the same file sees it, or
//! learns that it is there. Once it is gone, the next browser that can makes it anew.

use std::{
    collections::{HashMap, HashSet},
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
use poem::http::StatusCode;
use sea_orm::DbErr;
use tokio::sync::Mutex;

use super::{
    Attachments,
    content_store::is_hash,
    disk_work::blocking,
    rows::{self, Attached, Photo},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller},
    fault,
    http::{Pieces, Problem},
    media::{self, MediaError},
    records::{entity::Model, store::Viewer},
};

/// What all previews may take: some 5,000 of them.
const MOST: u64 = 256 << 20;
/// What is left of them when there are too many, so that they are not counted with each one.
const LESS: u64 = MOST / 8 * 7;

/// The largest picture that is handed in for a preview: one of 1280 × 1280 pixels of noise has 1.5 MB as a JPEG.
pub(super) const MOST_SENT: u64 = 4 << 20;

/// What is kept for a file of which there is no preview.
const NONE: &[u8] = b"none";
/// How the name ends of a preview that is not whole yet.
const UNFINISHED: &str = "part";
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
        let (cache, name) = (self.cache.clone(), name_of(attached));
        let look = || {
            let (cache, name) = (cache.clone(), name.clone());
            blocking(move || cache.look(&name))
        };
        match look().await? {
            Kept::Preview(preview) => return Ok(Some(preview)),
            Kept::None => return Ok(None),
            Kept::Unknown if media::takes_preview(&attached.media_type) => return Ok(None),
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
            Err(error @ (MediaError::Run(_) | MediaError::Time)) => return Err(not_made(&error)),
            Err(error) => {
                tracing::info!("There is no preview of attachment {}: {error}", attached.attachment.id);
                None
            }
        };
        let (kept, cache) = (made.clone(), cache.clone());
        // A full disk is no reason to show nothing.
        let put = blocking(move || cache.put(&name, kept.as_deref().unwrap_or(NONE))).await;
        drop(put);
        Ok(made)
    }

    /// Takes the preview of an attachment from who can decode its file. What they send is decoded by the child, and what is kept is what
    /// the child makes of it. Returns whether there is still such an attachment that the caller sees.
    pub(super) async fn set_preview(
        &self,
        database: &AuthorizedDatabase,
        caller: &Caller,
        attached: &Attached,
        pieces: Pieces,
    ) -> Result<bool, Problem> {
        if !media::takes_preview(&attached.media_type) {
            return Err(Problem::conflict(
                "A preview is taken only for a picture that Hearth cannot decode, such as HEIC.",
            ));
        }
        let sent = self.spool(pieces, MOST_SENT).await?;
        let (sent, file, media_type) = blocking(move || {
            let (file, media_type) = (sent.open()?, media::media_type(&sent.beginning()?, ""));
            Ok((sent, file, media_type))
        })
        .await?;
        let made = match media::preview(file, media_type).await {
            Ok(Some(made)) => made,
            Err(error @ (MediaError::Run(_) | MediaError::Time)) => return Err(not_made(&error)),
            Ok(None) | Err(_) => {
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY)
                    .detail("The preview is not a JPEG, PNG or WebP that can be read. It was not kept."));
            }
        };
        // A file that lies on the disk is removed beside the threads that answer requests.
        blocking(move || {
            drop(sent);
            Ok(())
        })
        .await?;
        if !rows::may_change(database, caller, attached.attachment.id).await? {
            return Ok(false);
        }
        let (cache, name) = (self.cache.clone(), name_of(attached));
        let _making = self.cache.making.lock().await;
        blocking(move || cache.put(&name, &made)).await?;
        Ok(true)
    }

    /// Returns the ids of those attachments that have a preview, as far as that is known without making one.
    pub(in crate::records) async fn with_preview(&self, attached: &[Attached]) -> Result<HashSet<i64>, Problem> {
        let all = attached.iter().map(|one| (one.attachment.id, one.media_type.as_str(), name_of(one)));
        self.kept(all).await
    }

    /// Returns the first photographs of the records that have one with a preview, by the ids of the records.
    pub(in crate::records) async fn pictures(
        &self,
        database: &AuthorizedDatabase,
        viewer: Viewer,
        records: &[Model],
    ) -> Result<HashMap<i64, i64>, Problem> {
        let found = rows::photos(database.reads(), viewer, records).await;
        let photos = found.map_err(|error: DbErr| Problem::from(database.failed(error)))?;
        let all =
            photos.iter().map(|one| (one.id, one.media_type.as_str(), kept_as(&one.hash, one.id, &one.media_type)));
        let kept = self.kept(all).await?;
        let with_preview = photos.iter().filter(|photo| kept.contains(&photo.id));
        // Of several, the first is put in last.
        Ok(with_preview.rev().map(|Photo { record_id, id, .. }| (*record_id, *id)).collect())
    }

    /// Returns those ids whose previews the child makes, or that are kept under their names.
    async fn kept(&self, all: impl Iterator<Item = (i64, &str, String)>) -> Result<HashSet<i64>, Problem> {
        let (mut ids, mut asked) = (HashSet::new(), Vec::new());
        for (id, media_type, name) in all {
            if media::has_preview(media_type) {
                ids.insert(id);
            } else if media::takes_preview(media_type) {
                asked.push((id, name));
            }
        }
        if !asked.is_empty() {
            let cache = self.cache.clone();
            let has = move |(id, name): (i64, String)| cache.has(&name).then_some(id);
            ids.extend(blocking(move || Ok(asked.into_iter().filter_map(has).collect::<Vec<_>>())).await?);
        }
        Ok(ids)
    }
}

/// Returns the name that a preview of an attachment is kept under.
fn name_of(attached: &Attached) -> String {
    kept_as(&attached.attachment.hash, attached.attachment.id, &attached.media_type)
}

fn kept_as(hash: &str, id: i64, media_type: &str) -> String {
    // After a restore another file may have the id.
    if media::takes_preview(media_type) { format!("{hash}.{id}") } else { hash.to_owned() }
}

/// Whether a name can be one of those.
fn is_name(name: &str) -> bool {
    match name.split_once('.') {
        Some((hash, id)) => is_hash(hash) && !id.is_empty() && id.bytes().all(|digit| digit.is_ascii_digit()),
        None => is_hash(name),
    }
}

fn not_made(error: &MediaError) -> Problem {
    tracing::warn!("A preview could not be made: {error}");
    Problem::unavailable("The preview could not be made. Try again in a moment.", 30)
}

impl Cache {
    /// Returns the cache in this directory, which is made with the first preview.
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, bytes: Arc::default(), making: Arc::default() }
    }

    fn look(&self, name: &str) -> io::Result<Kept> {
        if !is_name(name) {
            return Ok(Kept::Unknown);
        }
        Ok(match fs::read(self.root.join(name)) {
            Ok(kept) if kept == NONE => Kept::None,
            Ok(kept) if kept.starts_with(&JPEG) => Kept::Preview(kept),
            Ok(_) => Kept::Unknown,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Kept::Unknown,
            Err(error) => return Err(error),
        })
    }

    /// Whether there is something under a name.
    fn has(&self, name: &str) -> bool {
        is_name(name) && fs::symlink_metadata(self.root.join(name)).is_ok_and(|stat| stat.is_file() && stat.len() > 0)
    }

    fn put(&self, name: &str, kept: &[u8]) -> io::Result<()> {
        match DirBuilder::new().mode(0o700).create(&self.root) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        let unfinished = self.root.join(format!("{name}.{UNFINISHED}"));
        let written = self
            .write(&unfinished, kept)
            .and_then(|()| fault::hit("app.previewing"))
            .and_then(|()| fs::rename(&unfinished, self.root.join(name)));
        if written.is_err() {
            let _ = fs::remove_file(&unfinished);
            return written;
        }
        fault::hit("app.previewed")?;
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

    /// Removes what an app that was killed left unfinished.
    pub(super) fn tidy(&self) -> io::Result<()> {
        let entries = match fs::read_dir(&self.root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            entries => entries?,
        };
        for entry in entries {
            let path = entry?.path();
            if path.extension().is_some_and(|ending| ending == UNFINISHED) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
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
        assert_eq!(cache.look(&one).unwrap(), Kept::Preview(preview.clone()));
        assert_eq!(cache.look(&other).unwrap(), Kept::None);
        for name in ["../secret", &format!("{one}.part"), &format!("{one}./secret"), &format!("{one}.")] {
            assert_eq!((cache.look(name).unwrap(), cache.has(name)), (Kept::Unknown, false), "{name}");
        }
        // What was handed in for an attachment is for that one alone.
        cache.put(&format!("{one}.7"), &preview).unwrap();
        assert!(cache.has(&format!("{one}.7")) && !cache.has(&format!("{one}.8")));
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
