//! How does an archive of Hearth's own come back?
//!
//! `binder.json` says what there is; every file that it names is looked up in the archive, must have the length and the hash that are
//! said of it, and is put into the content store under a name of Hearth's own. What is not right is left out, with the reason.

use std::io::{self, BufReader, Read};

use rawzip::ReaderAt;

use super::{Incoming, IncomingFile, Reading};
use crate::{
    http::filled_line,
    records::{
        attachments::{Attachments, cleaned_name},
        draft::Draft,
        fields::{Field, Money},
        portability::{
            format::{BINDER, Binder, FORMAT, PortableAttachment, PortableField, PortableRecord, VERSION},
            zip::reader::{Archive, BadArchive},
        },
    },
};

/// Bytes of `binder.json`: 50,000 records with two kilobytes each.
const LARGEST: u64 = 128 << 20;

/// Why nothing can be read of an archive.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum BadImport {
    #[error("The archive was not imported: {0}.")]
    Archive(#[from] BadArchive),
    #[error("The archive has no {0}.")]
    Lacks(&'static str),
    #[error("{0} in the archive is larger than {mb} MB.", mb = LARGEST >> 20)]
    TooLarge(&'static str),
    #[error("{0} in the archive cannot be read: {1}.")]
    Unreadable(&'static str, String),
    #[error("The archive is from a newer program: it is of version {0}, and this Hearth reads version {VERSION}.")]
    Newer(u32),
    #[error("{0} in the archive is not what Hearth writes.")]
    Foreign(&'static str),
    /// Of this machine, not of the archive.
    #[error("{0}")]
    Machine(io::Error),
}

/// Reads an archive and puts its files into the store.
pub(in super::super) fn read<R: ReaderAt>(
    archive: &Archive<R>,
    attachments: &Attachments,
) -> Result<Reading, BadImport> {
    let binder: Binder = json(archive, BINDER)?;
    if binder.format != FORMAT {
        return Err(BadImport::Foreign(BINDER));
    }
    if binder.version > VERSION {
        return Err(BadImport::Newer(binder.version));
    }
    let mut reading = Reading::default();
    for way in binder.places {
        reading.take_place(way);
    }
    for record in binder.records {
        let files = record.attachments.clone();
        let what = format!("Record {} “{}”", record.id, record.title);
        let Some(place) = reading.take(incoming(record, what.clone())) else { continue };
        for file in &files {
            match content(archive, attachments, file)? {
                Ok(file) => reading.records[place].files.push(file),
                Err(why) => reading.leave_out(format!("File “{}” of {}", file.name, lowered(&what)), why),
            }
        }
    }
    Ok(reading)
}

/// Reads a file of an archive that is JSON.
pub(super) fn json<R: ReaderAt, T: serde::de::DeserializeOwned>(
    archive: &Archive<R>,
    name: &'static str,
) -> Result<T, BadImport> {
    if archive.bytes(name).is_some_and(|bytes| bytes > LARGEST) {
        return Err(BadImport::TooLarge(name));
    }
    let mut content = archive.read(name)?.ok_or(BadImport::Lacks(name))?;
    let unreadable = |error: &dyn std::fmt::Display| BadImport::Unreadable(name, error.to_string());
    let read = serde_json::from_reader(BufReader::new(&mut content)).map_err(|error| unreadable(&error))?;
    // The checksum is compared at the end.
    io::copy(&mut content, &mut io::sink()).map_err(|error| unreadable(&error))?;
    Ok(read)
}

fn incoming(record: PortableRecord, what: String) -> Incoming {
    let mut problems = Vec::new();
    let due_date = record
        .due_date
        .map(|day| day.parse().map_err(|error| problems.push(format!("due_date “{day}”: {error}"))).ok());
    let mut moment = |text: Option<String>| {
        let text = text?;
        text.parse().map_err(|error| problems.push(format!("“{text}”: {error}"))).ok()
    };
    let (created_at, updated_at) = (moment(record.created_at), moment(record.updated_at));
    let draft = Draft {
        title: Some(record.title),
        category: Some(record.category),
        notes: Some(record.notes),
        due_date: Some(due_date.flatten()),
        visibility: Some(record.visibility),
        kind: Some(record.kind.0),
        place_id: None,
        guests_see_attachments: Some(record.guests_see_attachments),
        fields: Some(record.fields.into_iter().map(Field::from).collect()),
        tags: Some(record.tags),
    };
    Incoming { what, draft, place: record.place, created_at, updated_at, problems, files: Vec::new() }
}

impl From<PortableField> for Field {
    fn from(field: PortableField) -> Self {
        let money = match (field.amount, field.currency) {
            (None, None) => None,
            // One without the other is refused with the other fields.
            (amount, currency) => {
                Some(Money { amount: amount.unwrap_or(i64::MAX), currency: currency.unwrap_or_default() })
            }
        };
        Self { key: field.key, label: field.label, value: field.value, money }
    }
}

/// Puts the content of an attachment into the store, or returns why it cannot be.
fn content<R: ReaderAt>(
    archive: &Archive<R>,
    attachments: &Attachments,
    file: &PortableAttachment,
) -> Result<Result<IncomingFile, String>, BadImport> {
    let mut errors = Vec::new();
    filled_line("name", &file.name, 1000, &mut errors);
    let kept = match keep(archive, attachments, &file.path, &file.name)? {
        Ok(kept) => kept,
        Err(why) => return Ok(Err(why)),
    };
    if kept.hash != file.blake3 || kept.bytes != file.bytes {
        return Ok(Err("it is not the file that was exported".to_owned()));
    }
    let added_at = file.added_at.as_deref().and_then(|at| at.parse().ok());
    Ok(Ok(IncomingFile { kept, name: cleaned_name(&file.name), role: file.role, added_at }))
}

/// Puts an entry of an archive into the store. The inner error is the archive's, the outer one the machine's.
pub(super) fn keep<R: ReaderAt>(
    archive: &Archive<R>,
    attachments: &Attachments,
    path: &str,
    name: &str,
) -> Result<Result<crate::records::attachments::Kept, String>, BadImport> {
    let mut content = match archive.read(path) {
        Ok(Some(content)) => Noting { content, error: None },
        Ok(None) => return Ok(Err("it is not in the archive".to_owned())),
        Err(error) => return Ok(Err(format!("it cannot be read: {error}"))),
    };
    match attachments.keep(&mut content, name) {
        Ok(kept) => Ok(Ok(kept)),
        Err(error) => match (content.error, error.kind()) {
            (Some(why), _) => Ok(Err(format!("it cannot be read: {why}"))),
            (None, io::ErrorKind::FileTooLarge) => Ok(Err("it is larger than an attachment may be".to_owned())),
            (None, _) => Err(BadImport::Machine(error)),
        },
    }
}

/// Remembers an error of the archive, which is not one of the disk that it is copied to.
struct Noting<R> {
    content: R,
    error: Option<String>,
}

impl<R: Read> Read for Noting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.content.read(buffer).inspect_err(|error| self.error = Some(error.to_string()))
    }
}

/// Returns a name as it stands within a sentence.
fn lowered(what: &str) -> String {
    what.replacen("Record", "record", 1)
}
