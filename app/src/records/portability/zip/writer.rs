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
