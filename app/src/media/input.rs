//! How does the child read the file that it was given?
//!
//! With the few system calls that it has: `File` itself would ask for its length by another one.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
};

/// The file.
pub(super) struct Input {
    file: File,
    length: u64,
}

impl Input {
    /// Takes the file from its begin on.
    pub(super) fn new(mut file: File) -> io::Result<Self> {
        // The descriptor's position is shared with whoever had it before.
        let length = file.seek(SeekFrom::End(0))?;
        file.seek(SeekFrom::Start(0))?;
        Ok(Self { file, length })
    }

    /// Returns the file itself.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Returns how long it is.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Returns all of it; `None` if it is longer than this.
    pub(super) fn whole(&mut self, most: u64) -> io::Result<Option<Vec<u8>>> {
        if self.length > most {
            return Ok(None);
        }
        let mut bytes = Vec::with_capacity(usize::try_from(self.length).map_err(io::Error::other)?);
        // It does not grow under the reader.
        self.by_ref().take(most).read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Input {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}
