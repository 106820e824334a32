use std::io::Write;

use super::*;
use crate::{
    datetime::Timestamp,
    records::portability::zip::writer::{Content, ZipWriter},
};

/// Returns an archive with these entries.
fn archive(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut zip = ZipWriter::new(&mut bytes);
    for (path, content) in entries {
        zip.add(path, Content::Text, Timestamp::now(), |to| to.write_all(content)).unwrap();
    }
    zip.finish().unwrap();
    bytes
}

/// An entry as it is written: its name, its method, its mode, whether it is encrypted, and its content.
type RawEntry<'a> = (&'a [u8], rawzip::CompressionMethod, u32, bool, &'a [u8]);

/// Returns an archive with entries that are written as they are.
fn raw(entries: &[RawEntry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut zip = rawzip::ZipArchiveWriter::new(&mut bytes);
    for (path, method, mode, is_encrypted, content) in entries {
        let entry = zip.new_file(rawzip::path::EntryPath::verbatim(*path)).compression_method(*method);
        let (mut entry, config) = entry.unix_permissions(*mode).encrypted(*is_encrypted).start().unwrap();
        let mut data = config.wrap(&mut entry);
        data.write_all(content).unwrap();
        let (_, descriptor) = data.finish().unwrap();
        entry.finish(descriptor).unwrap();
    }
    zip.finish().unwrap();
    bytes
}

fn open(bytes: &[u8]) -> Result<Archive<Vec<u8>>, BadArchive> {
    Archive::open(bytes.to_vec(), bytes.len() as u64)
}

fn refusal(bytes: &[u8]) -> String {
    open(bytes).err().map(|error| error.to_string()).unwrap_or_default()
}

fn read(bytes: &[u8], name: &str) -> io::Result<Vec<u8>> {
    let archive = open(bytes).map_err(io::Error::other)?;
    let mut content = Vec::new();
    archive.read(name).map_err(io::Error::other)?.unwrap().read_to_end(&mut content)?;
    Ok(content)
}

/// Writes a number over the bytes behind each place where these bytes are.
fn patched(bytes: &[u8], signature: &[u8], behind: usize, number: &[u8]) -> Vec<u8> {
    let mut patched = bytes.to_vec();
    let places: Vec<_> = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(signature)).collect();
    for at in places {
        patched[at + behind..at + behind + number.len()].copy_from_slice(number);
    }
    patched
}

const DIRECTORY: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";

#[test]
fn what_was_written_is_read() {
    let noise: Vec<u8> = (0..200_000_u32).map(|number| (number.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let bytes = archive(&[("a.txt", b"hello"), ("records/1 é/b.bin", &noise), ("empty", b"")]);
    assert_eq!(read(&bytes, "a.txt").unwrap(), b"hello");
    assert_eq!(read(&bytes, "records/1 é/b.bin").unwrap(), noise);
    assert_eq!(read(&bytes, "empty").unwrap(), b"");
    let archive = open(&bytes).unwrap();
    assert!(archive.read("b.txt").unwrap().is_none());
    assert_eq!((archive.bytes("a.txt"), archive.bytes_of_entries_up_to(u64::MAX)), (Some(5), 200_005));
}

#[test]
fn what_is_no_archive_is_refused() {
    let whole = archive(&[("a.txt", b"hello")]);
    for bytes in [&b""[..], b"PK", b"PK\x03\x04 and then nothing", &whole[..whole.len() - 10], &[0; 100_000]] {
        assert!(refusal(bytes).starts_with("it is not a zip archive"), "{}", refusal(bytes));
    }
    // Of the directory, and not of the entry, which is behind it.
    assert!(!refusal(&whole[40..]).is_empty());
}

#[test]
fn an_archive_that_says_two_things_is_refused() {
    use rawzip::CompressionMethod as Method;
    let twice = raw(&[(b"a", Method::STORE, 0o644, false, b"1"), (b"a", Method::STORE, 0o644, false, b"2")]);
    assert_eq!(refusal(&twice), "it has two entries with the name a");
    // The second entry is said to be where the first is.
    let two = raw(&[(b"a", Method::STORE, 0o644, false, b"same"), (b"b", Method::STORE, 0o644, false, b"same")]);
    assert_eq!(refusal(&patched(&two, DIRECTORY, 42, &[0; 4])), "its entries overlap");
    // More entries than are listed, and fewer.
    for number in [1_u16, 3] {
        let both = [number.to_le_bytes(), number.to_le_bytes()].concat();
        assert_eq!(refusal(&patched(&two, END, 8, &both)), "its directory does not list as many entries as it says");
    }
}

#[test]
fn an_entry_that_is_no_plain_file_is_refused() {
    use rawzip::CompressionMethod as Method;
    let one = |name: &[u8], method, mode, is_encrypted| refusal(&raw(&[(name, method, mode, is_encrypted, b"x")]));
    assert_eq!(one(b"a", Method::STORE, 0o100_644, false), "");
    assert_eq!(one(b"a", Method::STORE, 0o120_777, false), "its entry a is a link or a device");
    assert_eq!(one(b"a", Method::STORE, 0o060_644, false), "its entry a is a link or a device");
    assert_eq!(one(b"a", Method::STORE, 0o644, true), "its entry a is encrypted");
    assert_eq!(one(b"a", Method::BZIP2, 0o644, false), "its entry a is compressed in a way that Hearth does not know");
    for name in [&b"a\0b"[..], b"\xff\xfe", &[b'n'; LONGEST_NAME + 1]] {
        assert_eq!(one(name, Method::STORE, 0o644, false), "the name of an entry is not text, or too long");
    }
}

#[test]
fn a_name_that_leads_elsewhere_is_a_name_and_no_path() {
    use rawzip::CompressionMethod as Method;
    let bytes = raw(&[
        (b"../../etc/passwd", Method::STORE, 0o644, false, b"1"),
        (b"/etc/passwd", Method::STORE, 0o644, false, b"2"),
        (b"C:\\x", Method::STORE, 0o644, false, b"3"),
    ]);
    let archive = open(&bytes).unwrap();
    assert!(archive.read("etc/passwd").unwrap().is_none());
    assert_eq!(archive.bytes("../../etc/passwd"), Some(1));
}

#[test]
fn an_entry_is_as_long_as_its_directory_says() {
    let bytes = archive(&[("a", &[b'x'; 5000])]);
    // Said to be shorter, and longer.
    for said in [10_u32, 5001] {
        let wrong = patched(&bytes, DIRECTORY, 24, &said.to_le_bytes());
        let length = read(&wrong, "a").map(|content| content.len());
        assert!(length.is_err(), "{said}: {length:?}");
    }
    // As long as no deflated content can be.
    let bomb = patched(&bytes, DIRECTORY, 24, &u32::MAX.wrapping_sub(1).to_le_bytes());
    assert_eq!(refusal(&bomb), "its entry a cannot be as long as it says");
    // Another content of the same length.
    let wrong = patched(&bytes, DIRECTORY, 16, &[1, 2, 3, 4]);
    assert!(read(&wrong, "a").is_err());
    // Reaching into the directory.
    let wrong = patched(&bytes, DIRECTORY, 20, &100_000_u32.to_le_bytes());
    assert_eq!(refusal(&wrong), "its entries overlap");
}

#[test]
fn a_bomb_costs_no_more_than_it_says() {
    // A thousand times its size, which is what deflate can do: no more is read than was asked for.
    let zeros = vec![0; 8 << 20];
    let bytes = archive(&[("zeros", &zeros)]);
    assert!(bytes.len() < 16 << 10, "{}", bytes.len());
    let archive = open(&bytes).unwrap();
    let mut content = archive.read("zeros").unwrap().unwrap();
    let mut piece = vec![0; 1000];
    content.read_exact(&mut piece).unwrap();
    assert_eq!(archive.bytes_of_entries_up_to(8 << 20), 8 << 20);
    // An archive within an archive is a file like any other.
    let nested = self::archive(&[("inner.zip", &bytes)]);
    assert_eq!(read(&nested, "inner.zip").unwrap(), bytes);
}

#[test]
fn more_entries_than_there_may_be_are_refused_before_they_are_read() {
    let bytes = archive(&[("a", b"x")]);
    // The archive says so in its form for many (zip64).
    let mut many = bytes[..bytes.len() - 22].to_vec();
    let at = many.len() as u64;
    let directory = (0..bytes.len()).find(|at| bytes[*at..].starts_with(DIRECTORY)).unwrap() as u64;
    many.extend(b"PK\x06\x06");
    many.extend(44_u64.to_le_bytes());
    many.extend([45, 0, 45, 0]);
    many.extend([0; 8]);
    many.extend(u64::MAX.to_le_bytes());
    many.extend(u64::MAX.to_le_bytes());
    many.extend((at - directory).to_le_bytes());
    many.extend(directory.to_le_bytes());
    many.extend(b"PK\x06\x07\0\0\0\0");
    many.extend(at.to_le_bytes());
    many.extend(1_u32.to_le_bytes());
    many.extend(END);
    many.extend([0, 0, 0, 0]);
    many.extend([0xff; 12]);
    many.extend([0, 0]);
    assert_eq!(refusal(&many), "it has more than 400000 entries");
}

/// Returns an entry of a directory, or, with an offset, the head of an entry, of a stored content.
fn zip64_head(name: &[u8], length: u64, sum: u32, offset: Option<u64>) -> Vec<u8> {
    let mut head = Vec::new();
    head.extend(if offset.is_some() { DIRECTORY } else { b"PK\x03\x04" });
    head.extend(offset.iter().flat_map(|_| 45_u16.to_le_bytes()));
    head.extend([45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    head.extend(sum.to_le_bytes());
    head.extend([0xff; 8]);
    head.extend(u16::try_from(name.len()).unwrap().to_le_bytes());
    head.extend(if offset.is_some() { 28_u16 } else { 20 }.to_le_bytes());
    head.extend(offset.iter().flat_map(|_| [[0; 10].as_slice(), &[0xff; 4]].concat()));
    head.extend(name);
    head.extend([1, 0]);
    head.extend(if offset.is_some() { 24_u16 } else { 16 }.to_le_bytes());
    [length, length].into_iter().chain(offset).for_each(|number| head.extend(number.to_le_bytes()));
    head
}

/// Returns the end of an archive whose directory has so many entries and begins and ends here.
fn zip64_end(entries: u64, begin: u64, end: u64) -> Vec<u8> {
    let mut bytes = b"PK\x06\x06".to_vec();
    bytes.extend(44_u64.to_le_bytes());
    bytes.extend([45, 0, 45, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    [entries, entries, end - begin, begin].iter().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes.extend(b"PK\x06\x07\0\0\0\0");
    bytes.extend(end.to_le_bytes());
    bytes.extend(1_u32.to_le_bytes());
    bytes.extend(END);
    bytes.extend([&[0; 4][..], &[0xff; 12], &[0; 2]].concat());
    bytes
}

#[test]
fn an_archive_of_another_program_above_4_gb_is_read() {
    use std::os::unix::fs::FileExt;
    let (zeros, mut sum) = (5_u64 << 30, flate2::Crc::new());
    sum.update(b"small");
    // Five gigabytes that take no room, and a file behind them.
    let file = tempfile::tempfile().unwrap();
    let mut at = 0;
    let mut write = |bytes: &[u8]| {
        file.write_all_at(bytes, at).unwrap();
        at += bytes.len() as u64;
        at
    };
    let begin = write(&zip64_head(b"large", zeros, 0, None)) + zeros;
    file.write_all_at(&zip64_head(b"small", 5, sum.sum(), None), begin).unwrap();
    let content = begin + zip64_head(b"small", 5, 0, None).len() as u64;
    file.write_all_at(b"small", content).unwrap();
    let heads = [zip64_head(b"large", zeros, 0, Some(0)), zip64_head(b"small", 5, sum.sum(), Some(begin))].concat();
    let (directory, end) = (content + 5, content + 5 + heads.len() as u64);
    let tail = [heads, zip64_end(2, directory, end)].concat();
    file.write_all_at(&tail, directory).unwrap();
    let archive = Archive::open(rawzip::FileReader::from(file), directory + tail.len() as u64).unwrap();
    assert_eq!((archive.bytes("large"), archive.bytes_of_entries_up_to(1 << 30)), (Some(zeros), 5));
    let mut content = String::new();
    archive.read("small").unwrap().unwrap().read_to_string(&mut content).unwrap();
    assert_eq!(content, "small");
}

#[test]
fn a_directory_of_too_many_bytes_is_refused_before_it_is_read() {
    use std::os::unix::fs::FileExt;
    let (directory, end) = (1000, 1001 + LARGEST_DIRECTORY);
    let file = tempfile::tempfile().unwrap();
    let tail = zip64_end(MOST_ENTRIES as u64, directory, end);
    file.write_all_at(&tail, end).unwrap();
    let refused = Archive::open(rawzip::FileReader::from(file), end + tail.len() as u64).err().unwrap();
    assert_eq!(refused.to_string(), "its directory has more than 64 MB, which is the most");
}

proptest::proptest! {
    #[test]
    fn no_bytes_break_it(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..2000)) {
        let _ = open(&bytes);
    }

    #[test]
    fn no_change_of_an_archive_gives_another_content(
        at in 0..300_usize,
        change in 1..=255_u8,
    ) {
        let mut bytes = archive(&[("one", b"hello, hello, hello"), ("two", &[7; 1000])]);
        let at = at % bytes.len();
        bytes[at] ^= change;
        if let Ok(archive) = open(&bytes) {
            for (name, content) in [("one", &b"hello, hello, hello"[..]), ("two", &[7; 1000])] {
                if let Ok(Some(mut entry)) = archive.read(name) {
                    let mut found = Vec::new();
                    if entry.read_to_end(&mut found).is_ok() {
                        proptest::prop_assert_eq!(&found[..], content);
                    }
                }
            }
        }
    }
}
