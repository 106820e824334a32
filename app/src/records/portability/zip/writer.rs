//! How is an archive written that is sent while it is made?
//!
//! Each entry's length stands behind it, so that nothing is read twice and nothing waits on a disk. All entries are deflated, also
//! those that get no smaller: programs that read an archive from its beginning find the end of an entry by that.

use std::io::{self, Write};

use flate2::{Compression, write::DeflateEncoder};
use rawzip::{CompressionMethod, ZipArchiveWriter, time::ZipDateTime};

use crate::datetime::Timestamp;

/// How hard to try to make an entry smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Content {
    Text,
    /// Pictures and most documents are compressed already.
    Compressed,
}

/// An archive that goes out.
pub(in super::super) struct ZipWriter<W: Write>(ZipArchiveWriter<W>);

impl<W: Write> ZipWriter<W> {
    /// Begins an archive.
    pub(in super::super) fn new(to: W) -> Self {
        Self(ZipArchiveWriter::new(to))
    }

    /// Adds an entry, which `fill` writes.
    pub(in super::super) fn add(
        &mut self,
        path: &str,
        content: Content,
        changed_at: Timestamp,
        fill: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> io::Result<()> {
        let level = match content {
            Content::Text => Compression::default(),
            Content::Compressed => Compression::none(),
        };
        let entry = self.0.new_file(path).compression_method(CompressionMethod::DEFLATE);
        let entry = entry.last_modified(ZipDateTime::from_unix(changed_at.unix())).unix_permissions(0o644);
        let (mut entry, config) = entry.start().map_err(io::Error::other)?;
        let mut data = config.wrap(DeflateEncoder::new(&mut entry, level));
        fill(&mut data)?;
        let (deflated, descriptor) = data.finish().map_err(io::Error::other)?;
        deflated.finish()?;
        entry.finish(descriptor).map_err(io::Error::other)?;
        Ok(())
    }

    /// Writes the directory of the archive, without which it is none.
    pub(in super::super) fn finish(self) -> io::Result<W> {
        self.0.finish().map_err(io::Error::other)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        io::{BufReader, BufWriter, Read},
        os::unix::fs::FileExt,
    };

    use rawzip::FileReader;

    use super::{super::reader::Archive, *};

    const FOUR_GB: u64 = 1 << 32;

    fn open(file: File) -> Archive<FileReader> {
        let length = file.metadata().unwrap().len();
        Archive::open(FileReader::from(file), length).unwrap()
    }

    #[test]
    fn an_entry_that_stands_behind_4_gb_comes_back() {
        let (mut bytes, offset) = (Vec::new(), FOUR_GB + 7);
        let mut zip = ZipWriter(ZipArchiveWriter::builder().with_offset(offset).build(&mut bytes));
        for name in ["one", "other"] {
            zip.add(name, Content::Text, Timestamp::now(), |to| to.write_all(name.as_bytes())).unwrap();
        }
        zip.finish().unwrap();
        // What stands before is a hole.
        let file = tempfile::tempfile().unwrap();
        file.write_all_at(&bytes, offset).unwrap();
        let archive = open(file);
        for name in ["one", "other"] {
            let mut content = String::new();
            archive.read(name).unwrap().unwrap().read_to_string(&mut content).unwrap();
            assert_eq!(content, name);
        }
    }

    #[test]
    #[ignore = "takes minutes; .ci/long does it"]
    fn an_entry_of_more_than_4_gb_comes_back() {
        let file = tempfile::tempfile().unwrap();
        let mut zip = ZipWriter::new(BufWriter::new(file.try_clone().unwrap()));
        let zeros = |to: &mut dyn Write| io::copy(&mut io::repeat(0).take(FOUR_GB + 7), to).map(drop);
        zip.add("large", Content::Text, Timestamp::now(), zeros).unwrap();
        zip.add("small", Content::Text, Timestamp::now(), |to| to.write_all(b"behind it")).unwrap();
        zip.finish().unwrap().flush().unwrap();
        let archive = open(file);
        assert_eq!(archive.bytes("large"), Some(FOUR_GB + 7));
        let mut large = BufReader::new(archive.read("large").unwrap().unwrap());
        assert_eq!(io::copy(&mut large, &mut io::sink()).unwrap(), FOUR_GB + 7);
        let mut small = String::new();
        archive.read("small").unwrap().unwrap().read_to_string(&mut small).unwrap();
        assert_eq!(small, "behind it");
    }
}
