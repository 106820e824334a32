//! How is an archive read that anybody may have made?
//!
//! Its directory is read once, within bounds, and an archive that says two things is refused as a whole: two entries of one name, or
//! entries that share bytes. Names are looked up and never become paths. An entry is read no further than its directory says, and what
//! it holds must have the length and the checksum that are said there.

use std::{
    collections::HashMap,
    io::{self, BufReader, Read},
};

use flate2::bufread::DeflateDecoder;
use rawzip::{
    CompressionMethod, RECOMMENDED_BUFFER_SIZE, ReaderAt, ZipArchive, ZipArchiveEntryWayfinder, ZipFileHeaderRecord,
    ZipLocator,
};

/// Entries of an archive: more than three for each of the records that are planned for.
const MOST_ENTRIES: usize = 400_000;
/// Bytes of a directory: those of a Hearth with 100,000 attachments have half of it. The names are in memory while it is read.
const LARGEST_DIRECTORY: u64 = 64 << 20;
/// Bytes of a name. Those of a Hearth have less than 600.
const LONGEST_NAME: usize = 2048;
/// So much smaller does deflate make a content at most (1032 times), and what a few bytes of frame may add.
const SMALLEST: u64 = 1100;

/// Why an archive cannot be read.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum BadArchive {
    #[error("it is not a zip archive, or it is damaged ({0})")]
    NotAZip(String),
    #[error("it has more than {MOST_ENTRIES} entries")]
    TooMany,
    #[error("its directory has more than {} MB, which is the most", LARGEST_DIRECTORY >> 20)]
    DirectoryTooLarge,
    #[error("its directory does not list as many entries as it says")]
    Count,
    #[error("the name of an entry is not text, or too long")]
    Name,
    #[error("it has two entries with the name {0}")]
    Twice(String),
    #[error("its entry {0} is encrypted")]
    Encrypted(String),
    #[error("its entry {0} is a link or a device")]
    NoFile(String),
    #[error("its entry {0} is compressed in a way that Hearth does not know")]
    Method(String),
    #[error("its entry {0} cannot be as long as it says")]
    Length(String),
    #[error("its entries overlap")]
    Overlap,
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

impl From<rawzip::Error> for BadArchive {
    fn from(error: rawzip::Error) -> Self {
        match error.into_kind() {
            rawzip::ErrorKind::IO(error) => Self::Io(error),
            kind => Self::NotAZip(kind.to_string()),
        }
    }
}

/// An archive whose directory was found sound.
pub(in super::super) struct Archive<R> {
    zip: ZipArchive<R>,
    entries: HashMap<Box<str>, Entry>,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: ZipArchiveEntryWayfinder,
    is_deflated: bool,
    bytes: u64,
}

impl<R: ReaderAt> Archive<R> {
    /// Opens an archive of this length.
    pub(in super::super) fn open(reader: R, length: u64) -> Result<Self, BadArchive> {
        let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
        let zip = ZipLocator::new().locate_in_reader(reader, &mut buffer, length).map_err(|(_, error)| error)?;
        let announced = usize::try_from(zip.entries_hint()).unwrap_or(usize::MAX);
        if announced > MOST_ENTRIES {
            return Err(BadArchive::TooMany);
        }
        let directory = zip.directory_offset();
        if zip.eocd_offset().saturating_sub(directory) > LARGEST_DIRECTORY {
            return Err(BadArchive::DirectoryTooLarge);
        }
        let (mut entries, mut places, mut number) = (HashMap::new(), Vec::new(), 0);
        let mut listed = zip.entries(&mut buffer);
        while let Some(record) = listed.next_entry()? {
            number += 1;
            if number > announced {
                return Err(BadArchive::Count);
            }
            let (name, is_folder) = name(&record)?;
            places.push((record.local_header_offset(), record.wayfinder()));
            if is_folder {
                continue;
            }
            let entry = checked(&record, &name)?;
            if entries.insert(name.into_boxed_str(), entry).is_some() {
                return Err(BadArchive::Twice(self::name(&record)?.0));
            }
        }
        if number != announced {
            return Err(BadArchive::Count);
        }
        check_places(&zip, places, directory)?;
        Ok(Self { zip, entries })
    }

    /// Returns how long the content of an entry is. `None`: there is none of this name.
    pub(in super::super) fn bytes(&self, name: &str) -> Option<u64> {
        self.entries.get(name).map(|entry| entry.bytes)
    }

    /// Returns how long the contents are together of all entries that are no longer than this.
    pub(in super::super) fn bytes_of_entries_up_to(&self, most: u64) -> u64 {
        self.entries.values().filter(|entry| entry.bytes <= most).fold(0, |sum, entry| sum.saturating_add(entry.bytes))
    }

    /// Returns the content of an entry. `None`: there is none of this name. Whoever reads it to its end without an error has what was
    /// put in.
    pub(in super::super) fn read(&self, name: &str) -> Result<Option<Box<dyn Read + '_>>, BadArchive> {
        let Some(entry) = self.entries.get(name) else { return Ok(None) };
        let found = self.zip.get_entry(entry.at)?;
        let raw = BufReader::new(found.reader());
        // One byte more than there may be, so that what goes on is seen.
        let most = entry.bytes.saturating_add(1);
        Ok(Some(if entry.is_deflated {
            Box::new(found.verifying_reader(DeflateDecoder::new(raw).take(most)))
        } else {
            Box::new(found.verifying_reader(raw.take(most)))
        }))
    }
}

/// Returns the name of an entry, and whether it is a folder's.
fn name(record: &ZipFileHeaderRecord<'_>) -> Result<(String, bool), BadArchive> {
    let path = record.file_path();
    let name = path.as_bytes();
    if name.is_empty() || name.len() > LONGEST_NAME || name.contains(&0) {
        return Err(BadArchive::Name);
    }
    let name = std::str::from_utf8(name).map_err(|_| BadArchive::Name)?;
    Ok((name.to_owned(), name.ends_with('/')))
}

/// Returns an entry that can be read.
fn checked(record: &ZipFileHeaderRecord<'_>, name: &str) -> Result<Entry, BadArchive> {
    let flags = record.flags();
    if flags.is_encrypted() || flags.is_masked() {
        return Err(BadArchive::Encrypted(name.to_owned()));
    }
    // The kind of a file, in the mode that Unix gave it.
    let kind = record.mode().value() & 0o170_000;
    if !matches!(kind, 0 | 0o100_000) {
        return Err(BadArchive::NoFile(name.to_owned()));
    }
    let (bytes, compressed) = (record.uncompressed_size_hint(), record.compressed_size_hint());
    let method = record.compression_method();
    let is_deflated = method == CompressionMethod::DEFLATE;
    let can_be = match (is_deflated, method == CompressionMethod::STORE) {
        (true, _) => bytes <= compressed.saturating_mul(SMALLEST),
        (_, true) => bytes == compressed,
        _ => return Err(BadArchive::Method(name.to_owned())),
    };
    if !can_be {
        return Err(BadArchive::Length(name.to_owned()));
    }
    Ok(Entry { at: record.wayfinder(), is_deflated, bytes })
}

/// Refuses entries of which one begins before the one before it ends.
fn check_places<R: ReaderAt>(
    zip: &ZipArchive<R>,
    mut places: Vec<(u64, ZipArchiveEntryWayfinder)>,
    directory: u64,
) -> Result<(), BadArchive> {
    places.sort_unstable_by_key(|(begin, _)| *begin);
    let mut end = 0;
    for (begin, at) in places {
        if begin < end {
            return Err(BadArchive::Overlap);
        }
        end = zip.get_entry(at)?.compressed_data_range().1;
        if end > directory {
            return Err(BadArchive::Overlap);
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
