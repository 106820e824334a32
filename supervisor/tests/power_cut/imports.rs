//! Somebody imports records with files while the power is cut, beside the client that writes.
//!
//! An import is there as a whole or not at all, whatever the disk has lost, and it is there if it was answered; and no row of any
//! generation refers to a file that is not there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{path::Path, sync::Mutex, thread, time::Duration};

use rusqlite::Connection;
use serde_json::json;

use crate::{
    harness::http::{send_file, token},
    ledger::Client,
};

/// What the titles begin with of records that were imported, before the number of the import.
pub(crate) const IMPORTED: &str = "imported ";
/// The records of an import; each has a file.
const RECORDS: usize = 3;
const FILE_BYTES: usize = 40_000;
/// Between two imports.
const PACE: Duration = Duration::from_millis(150);

/// Imports that were answered: the generation that took one, and its number.
#[derive(Default)]
pub(crate) struct Imports(Mutex<Vec<(String, usize)>>);

impl Imports {
    /// Returns those that were answered up to now.
    pub(crate) fn answered(&self) -> Vec<(String, usize)> {
        self.0.lock().unwrap().clone()
    }

    /// Imports until the client's work is ended.
    pub(crate) fn run(&self, client: &Client<'_>) {
        let mut headers = String::new();
        for number in 0.. {
            if client.is_ended() {
                return;
            }
            thread::sleep(PACE);
            let Some(address) = client.address() else { continue };
            let before = client.live();
            match send_file(address, "/api/v1/imports/binder", &headers, &archive(number)) {
                Ok(answer) if answer.status == 200 => {
                    if client.live() == before {
                        self.0.lock().unwrap().push((before, number));
                    }
                }
                // Another generation may know another token.
                Ok(answer) if answer.status == 401 => headers = token(address),
                Ok(answer) => assert_eq!(answer.status, 503, "{answer:?}"),
                // It is just going down, or was not yet back.
                Err(_) => {}
            }
        }
    }
}

/// Asserts of the database of a generation that its imports are whole, and each file there that it refers to.
pub(crate) fn check(database: &Connection, generation: &str, data: &Path, answered: &[(String, usize)]) {
    let mut statement = database.prepare("SELECT hash, bytes FROM file JOIN attachment USING (hash)").unwrap();
    let files = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, u64>(1)?))).unwrap();
    for (hash, bytes) in files.map(Result::unwrap) {
        let path = data.join("files").join(&hash[..2]).join(&hash);
        let length = path.metadata().map(|stat| stat.len());
        assert_eq!(length.ok(), Some(bytes), "{generation}: a row refers to {hash}");
    }
    let sql = "SELECT CAST(substr(title, 10) AS INTEGER), count(*), count(attachment.id) FROM record
        LEFT JOIN attachment ON record_id = record.id WHERE title LIKE 'imported %' GROUP BY 1";
    let mut statement = database.prepare(sql).unwrap();
    let groups = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    let groups: Vec<(usize, usize, usize)> = groups.map(Result::unwrap).collect();
    for (number, records, attachments) in &groups {
        assert_eq!((*records, *attachments), (RECORDS, RECORDS), "{generation}: import {number} is half there");
    }
    for (_, number) in answered.iter().filter(|(into, _)| into == generation) {
        assert!(
            groups.iter().any(|(there, ..)| there == number),
            "{generation}: import {number} was answered, and is gone"
        );
    }
}

/// An export of a Hearth with records and files that no other import has.
fn archive(number: usize) -> Vec<u8> {
    let content = |record: usize| -> Vec<u8> {
        let blocks =
            (0..FILE_BYTES / 32).map(|block| *blake3::hash(format!("{number} {record} {block}").as_bytes()).as_bytes());
        blocks.flatten().collect()
    };
    let path = |record: usize| format!("records/{record}/scan.bin");
    let record = |record: usize| {
        let content = content(record);
        let hash = blake3::hash(&content).to_hex().to_string();
        let attachment = json!({ "path": path(record), "name": "scan.bin", "bytes": content.len(), "blake3": hash });
        json!({ "id": record, "title": format!("{IMPORTED}{number}"), "attachments": [attachment] })
    };
    let records: Vec<_> = (0..RECORDS).map(record).collect();
    let binder = json!({ "format": "hearth-binder", "version": 1, "records": records }).to_string();
    let mut entries = vec![("binder.json".to_owned(), binder.into_bytes())];
    entries.extend((0..RECORDS).map(|record| (path(record), content(record))));
    stored(&entries)
}

/// Returns a zip archive with these entries, stored.
fn stored(entries: &[(String, Vec<u8>)]) -> Vec<u8> {
    let (mut archive, mut directory) = (Vec::new(), Vec::new());
    let length = |length: usize| u32::try_from(length).unwrap().to_le_bytes();
    for (name, content) in entries {
        let sizes = [checksum(content).to_le_bytes(), length(content.len()), length(content.len())].concat();
        let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let common = [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0][..], &sizes, &name_length, &[0, 0]].concat();
        directory
            .extend([b"PK\x01\x02\x14\0", &common[..], &[0; 10], &length(archive.len()), name.as_bytes()].concat());
        archive.extend([b"PK\x03\x04", &common[..], name.as_bytes(), content].concat());
    }
    let number = u16::try_from(entries.len()).unwrap().to_le_bytes();
    let end = [length(directory.len()), length(archive.len())].concat();
    [archive, directory, b"PK\x05\x06\0\0\0\0".to_vec(), number.to_vec(), number.to_vec(), end, vec![0, 0]].concat()
}

/// The CRC-32 of a content.
fn checksum(content: &[u8]) -> u32 {
    !content.iter().fold(u32::MAX, |sum, byte| {
        (0..8).fold(sum ^ u32::from(*byte), |sum, _| if sum & 1 == 1 { (sum >> 1) ^ 0xedb8_8320 } else { sum >> 1 })
    })
}
