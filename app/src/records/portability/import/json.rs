//! How is a JSON file of an archive read?
//!
//! It has a largest size, and its checksum must be right.

use std::{
    fmt,
    io::{self, BufReader},
};

use rawzip::ReaderAt;
use serde::de::DeserializeSeed;

use super::bad_import::BadImport;
use crate::records::portability::zip::reader::Archive;

/// Reads a file of an archive by a seed.
pub(super) fn read<R, S, T>(archive: &Archive<R>, name: &'static str, largest: u64, seed: S) -> Result<T, BadImport>
where
    R: ReaderAt,
    S: for<'de> DeserializeSeed<'de, Value = T>,
{
    if archive.bytes(name).is_some_and(|bytes| bytes > largest) {
        return Err(BadImport::TooLarge { what: name, most: largest });
    }
    let mut content = archive.read(name)?.ok_or(BadImport::Lacks(name))?;
    let unreadable = |error: &dyn fmt::Display| BadImport::Unreadable(name, error.to_string());
    let mut json = serde_json::Deserializer::from_reader(BufReader::new(&mut content));
    let read = seed.deserialize(&mut json).map_err(|error| unreadable(&error))?;
    json.end().map_err(|error| unreadable(&error))?;
    drop(json);
    // The checksum is compared at the end.
    io::copy(&mut content, &mut io::sink()).map_err(|error| unreadable(&error))?;
    Ok(read)
}
