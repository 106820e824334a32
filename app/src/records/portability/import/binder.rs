//! How does an archive of Hearth's own come back?
//!
//! `binder.json` says what there is; every file that it names is looked up in the archive, must have the length and the hash that are
//! said of it, and is put into the content store under a name of Hearth's own. What is not right is left out, with the reason.

use std::{
    fmt,
    io::{self, Read},
    mem,
};

use rawzip::ReaderAt;
use serde::{
    Deserializer,
    de::{DeserializeSeed, IgnoredAny, MapAccess, Visitor},
};

use super::{Incoming, IncomingFile, Reading, bad_import::BadImport, json};
use crate::records::{
    attachments::{Keeper, Kept, NotKept, cleaned_name},
    draft::Draft,
    fields::{Field, Money},
    portability::{
        bounded_list::Each,
        format::{BINDER, FORMAT, PortableAttachment, PortableField, PortableRecord, VERSION, Way},
        zip::reader::Archive,
    },
};

/// Bytes of `binder.json`: 50,000 records with two kilobytes each.
const LARGEST: u64 = 128 << 20;
/// Records, and places. However short they are in the archive, each takes some memory.
const MOST_ROWS: usize = 100_000;

/// A record that was taken, by its place among them, what a report calls it, and its files.
type WithFiles = (usize, String, Vec<PortableAttachment>);

/// What `binder.json` says, while it is read.
#[derive(Default)]
struct Binder {
    is_ours: bool,
    version: Option<u32>,
    reading: Reading,
    with_files: Vec<WithFiles>,
}

/// Reads an archive and puts its files into the store.
pub(in super::super) fn read<R: ReaderAt>(archive: &Archive<R>, keeper: &mut Keeper) -> Result<Reading, BadImport> {
    let mut binder = Binder::default();
    let outcome = json::read(archive, BINDER, LARGEST, &mut binder);
    if let Some(version) = binder.version.filter(|version| binder.is_ours && *version > VERSION) {
        // Whatever else is new in it.
        return Err(BadImport::Newer(version));
    }
    outcome?;
    if !binder.is_ours || binder.version.is_none() {
        return Err(BadImport::Foreign(BINDER));
    }
    let Binder { mut reading, with_files, .. } = binder;
    for (place, what, files) in with_files {
        for file in files {
            let named = format!("File “{}” of {}", file.name, lowered(&what));
            reading.take_file(place, named, || content(archive, keeper, file))?;
        }
    }
    Ok(reading)
}

impl<'de> DeserializeSeed<'de> for &mut Binder {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Binder {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        while let Some(name) = members.next_key::<String>()? {
            // Hearth writes first of which version it is, and another program anywhere.
            let is_read = self.version.is_none_or(|version| version <= VERSION);
            match &*name {
                "format" => self.is_ours = members.next_value::<String>()? == FORMAT,
                "version" => self.version = Some(members.next_value()?),
                "places" if is_read => {
                    members.next_value_seed(Each::new(MOST_ROWS, |way: Way| self.reading.take_place(way)))?;
                }
                "records" if is_read => members.next_value_seed(Each::new(MOST_ROWS, |record| self.take(record)))?,
                _ => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

impl Binder {
    fn take(&mut self, mut record: PortableRecord) {
        let files = mem::take(&mut record.attachments);
        let what = format!("Record {} “{}”", record.id, record.title);
        let taken = self.reading.take(incoming(record, what.clone()));
        self.with_files.extend(taken.filter(|_| !files.is_empty()).map(|place| (place, what, files)));
    }
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
    keeper: &mut Keeper,
    file: PortableAttachment,
) -> Result<Result<IncomingFile, String>, BadImport> {
    let kept = match keep(archive, keeper, &file.path, &file.name)? {
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
    keeper: &mut Keeper,
    path: &str,
    name: &str,
) -> Result<Result<Kept, String>, BadImport> {
    let bytes = archive.bytes(path).unwrap_or_default();
    let mut content = match archive.read(path) {
        Ok(Some(content)) => Noting { content, error: None },
        Ok(None) => return Ok(Err("it is not in the archive".to_owned())),
        Err(error) => return Ok(Err(format!("it cannot be read: {error}"))),
    };
    match keeper.keep(&mut content, bytes, name) {
        Ok(kept) => Ok(Ok(kept)),
        Err(why) => match (content.error, why) {
            (Some(why), _) => Ok(Err(format!("it cannot be read: {why}"))),
            (None, why @ (NotKept::Machine(_) | NotKept::Pictures(_))) => Err(BadImport::Machine(why)),
            (None, why) => Ok(Err(why.to_string())),
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
