//! How does the whole binder become one archive?
//!
//! It is sent while it is made: `binder.json` first, then the table, then each record as a file that people read, then the files of
//! the records. What is in `binder.json` is read once; the files that it names are never removed meanwhile. So a change during an
//! export makes nothing of it untrue.

mod contents;
mod markdown;
mod table;

use std::{
    fs::File,
    io::{self, Read, Write},
    sync::Arc,
    time::Duration,
};

use futures_util::stream;
use hyper::body::Bytes;
use poem::Body;
use sea_orm::DbErr;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    task::spawn_blocking,
    time::timeout,
};

pub(super) use self::contents::Contents;
use self::{markdown::markdown, table::Table};
use super::{
    format::{BINDER, FORMAT, Head, PortableRecord, VERSION},
    names::folder,
    zip::writer::{Content, ZipWriter},
};
use crate::{
    auth::authority::AuthorizedDatabase,
    datetime::Timestamp,
    http::Problem,
    records::{attachments::ContentStore, store::Viewer},
};

/// The name of a record's own file.
const RECORD: &str = "record.md";

/// Exports at a time.
const AT_A_TIME: usize = 3;
/// How long a request waits for another export to end.
const WAIT: Duration = Duration::from_secs(10);
/// What is handed to the connection at a time.
const PIECE: usize = 64 << 10;
/// How long a client may take for a piece.
const PATIENCE: Duration = Duration::from_secs(60);

/// What says in the archive what it is.
const README: &str = "\
This is a household's binder, exported from Hearth.

records/       One folder for each record. record.md is its text, beside it are its files.
               Any text editor opens record.md.
records.csv    All records as a table, for spreadsheets.
binder.json    All records as data, for programs. Hearth reads this file when the archive is imported:
               sign in to Hearth as an administrator, choose Import, and upload the archive as it is.
MISSING.txt    Only if files of records could not be read. It lists them.

It has what the user who exported it can see, not the private records of others, and no accounts,
no earlier versions of records, and nothing that was deleted.
";

/// Keeps exports to a number at a time.
#[derive(Debug, Clone)]
pub(crate) struct Exports(Arc<Semaphore>);

impl Default for Exports {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_A_TIME)))
    }
}

impl Exports {
    /// Returns the room for one more. One whose client went away ends soon: it is waited for a little.
    pub(super) async fn room(&self) -> Result<OwnedSemaphorePermit, Problem> {
        match timeout(WAIT, self.0.clone().acquire_owned()).await {
            Ok(Ok(room)) => Ok(room),
            _ => Err(Problem::unavailable(
                format!("{AT_A_TIME} exports are under way, which is the most. Try again later."),
                60,
            )),
        }
    }
}

/// Returns the archive of what a user sees, which is made while it is sent.
pub(super) fn archive(
    database: &AuthorizedDatabase,
    viewer: Viewer,
    store: &ContentStore,
    room: OwnedSemaphorePermit,
) -> Body {
    let (sender, receiver) = mpsc::channel(2);
    let (database, store, runtime) = (database.clone(), store.clone(), Handle::current());
    spawn_blocking(move || {
        let _room = room;
        let mut pieces = Pieces { gathered: Vec::with_capacity(PIECE), sender, runtime: runtime.clone() };
        let written = write(&mut pieces, &database, viewer, &store, &runtime).and_then(|()| pieces.send());
        if let Err(error) = written {
            // Without its directory the archive is none, and without the last piece the client knows that it was cut off.
            match error.kind() {
                io::ErrorKind::BrokenPipe | io::ErrorKind::TimedOut => {
                    tracing::info!("An export was not received to its end: {error}");
                }
                _ => tracing::error!("An export failed: {error}"),
            }
            let _ = pieces.sender.try_send(Err(error));
        }
    });
    Body::from_bytes_stream(stream::unfold(receiver, |mut receiver| async move {
        let piece = receiver.recv().await?;
        Some((piece, receiver))
    }))
}

/// Writes the archive.
fn write(
    to: &mut dyn Write,
    database: &AuthorizedDatabase,
    viewer: Viewer,
    store: &ContentStore,
    runtime: &Handle,
) -> io::Result<()> {
    let read = |error: DbErr| io::Error::other(database.failed(error).to_string());
    let contents = runtime.block_on(Contents::new(database.reads(), viewer)).map_err(read)?;
    let each = |take: &mut dyn FnMut(PortableRecord) -> io::Result<()>| -> io::Result<()> {
        let mut last = i64::MIN;
        loop {
            let records = runtime.block_on(contents.after(last)).map_err(read)?;
            let Some(record) = records.last() else { return Ok(()) };
            last = record.id;
            records.into_iter().try_for_each(&mut *take)?;
        }
    };
    let now = Timestamp::now();
    let mut zip = ZipWriter::new(to);
    zip.add("README.txt", Content::Text, now, |to| to.write_all(README.as_bytes()))?;
    let mut files = Vec::new();
    zip.add(BINDER, Content::Text, now, |to| {
        let head = Head {
            format: FORMAT,
            version: VERSION,
            made_by: concat!("Hearth ", env!("CARGO_PKG_VERSION")).to_owned(),
            made_at: now.to_string(),
        };
        let head = serde_json::to_string(&head)?;
        let places = serde_json::to_string(&runtime.block_on(contents.places()).map_err(read)?)?;
        write!(to, "{},\n\"places\":{places},\n\"records\":[", head.trim_end_matches('}'))?;
        let mut before = "\n";
        each(&mut |record| {
            to.write_all(before.as_bytes())?;
            before = ",\n";
            files.extend(record.attachments.iter().filter_map(Planned::of));
            Ok(serde_json::to_writer(&mut *to, &record)?)
        })?;
        to.write_all(b"\n]}\n")
    })?;
    zip.add("records.csv", Content::Text, now, |to| {
        let mut table = Table::new(to)?;
        each(&mut |record| table.add(&record))?;
        table.finish()
    })?;
    each(&mut |record| {
        let path = format!("{}/{RECORD}", folder(record.id, &record.title));
        let changed_at = record.updated_at.as_deref().and_then(|at| at.parse().ok()).unwrap_or(now);
        zip.add(&path, Content::Text, changed_at, |to| to.write_all(markdown(&record).as_bytes()))
    })?;
    let mut missing = String::new();
    for file in &files {
        if let Err(why) = file.write(&mut zip, store)? {
            tracing::error!("An export has not the file {}: {why}. `app files check` says more", file.hash);
            missing.extend([&*file.path, ": ", &why, "\n"]);
        }
    }
    if !missing.is_empty() {
        zip.add("MISSING.txt", Content::Text, now, |to| to.write_all(missing.as_bytes()))?;
    }
    zip.finish()?.flush()
}

/// A file that is to go into the archive. There may be very many, so that each is small.
struct Planned {
    path: Box<str>,
    hash: blake3::Hash,
    bytes: u64,
    content: Content,
    added_at: Option<Timestamp>,
}

impl Planned {
    fn of(attachment: &super::format::PortableAttachment) -> Option<Self> {
        let is_text = attachment.media_type.as_deref().is_some_and(|media_type| media_type.starts_with("text/"));
        Some(Self {
            path: attachment.path.as_str().into(),
            hash: blake3::Hash::from_hex(&attachment.blake3).ok()?,
            bytes: attachment.bytes,
            content: if is_text { Content::Text } else { Content::Compressed },
            added_at: attachment.added_at.as_deref().and_then(|at| at.parse().ok()),
        })
    }

    /// Adds the file to the archive, or returns why it cannot be.
    fn write<W: Write>(&self, zip: &mut ZipWriter<W>, store: &ContentStore) -> io::Result<Result<(), String>> {
        let file = match store.open(&self.hash.to_hex()) {
            Ok(Some(file)) => file,
            Ok(None) => return Ok(Err("is not there".to_owned())),
            Err(error) => return Ok(Err(error.to_string())),
        };
        if file.metadata()?.len() != self.bytes {
            return Ok(Err("is damaged".to_owned()));
        }
        let mut hasher = blake3::Hasher::new();
        zip.add(&self.path, self.content, self.added_at.unwrap_or_else(Timestamp::now), |to| {
            copy(file, to, &mut hasher)
        })?;
        Ok(if hasher.finalize() == self.hash { Ok(()) } else { Err("is damaged".to_owned()) })
    }
}

fn copy(mut from: File, to: &mut dyn Write, hasher: &mut blake3::Hasher) -> io::Result<()> {
    let mut piece = vec![0; PIECE];
    loop {
        match from.read(&mut piece)? {
            0 => return Ok(()),
            length => {
                hasher.update(&piece[..length]);
                to.write_all(&piece[..length])?;
            }
        }
    }
}

/// Hands on what is written in pieces of one size, and waits until each is taken.
struct Pieces {
    gathered: Vec<u8>,
    sender: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
}

impl Pieces {
    fn send(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE)).into();
        match self.runtime.block_on(timeout(PATIENCE, self.sender.send(Ok(piece)))) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::Error::new(io::ErrorKind::BrokenPipe, "the client went away")),
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing any more")),
        }
    }
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = bytes.len().min(PIECE - self.gathered.len());
        self.gathered.extend_from_slice(&bytes[..length]);
        if self.gathered.len() == PIECE {
            self.send()?;
        }
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
