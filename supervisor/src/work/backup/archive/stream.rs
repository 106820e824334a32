//! How is the zstd stream of an archive read, with little memory, and to its very end?
//!
//! One frame, and nothing after it. The frame has a checksum of its content, which is found wrong at its end; what is
//! hashed by the manifest is found wrong before. The bits of the frame's header that a decoder has to ignore are looked
//! at here. What stays unseen is what changes nothing of what is read: a window of another size that does as well, and what
//! the tables of a block say of bytes that do not occur.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use zstd::stream::read::Decoder;

use super::{CHUNK, LARGEST_WINDOW_LOG};
use crate::failure::{Cause, Failure};

/// What each zstd frame begins with: RFC 8878, 3.1.1.
const MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// The bits of the byte after it that are always zero here: unused, reserved, and two for a dictionary.
const NEVER: u8 = 0b0001_1011;

/// The content of an archive.
pub(super) struct Stream<'a> {
    name: String,
    decoder: Decoder<'static, BufReader<Input<'a>>>,
}

impl<'a> Stream<'a> {
    /// Begins to read.
    ///
    /// # Errors
    /// That this is no backup; what the input said.
    pub(super) fn open(input: impl Read + 'a, name: &str) -> Result<Self, Failure> {
        let reading = |error: &io::Error| of_input(name, error);
        let mut input: Box<dyn Read + 'a> = Box::new(input);
        let mut head = Vec::new();
        (&mut input).take(MAGIC.len() as u64 + 1).read_to_end(&mut head).map_err(|error| reading(&error))?;
        if !head.starts_with(&MAGIC) {
            let why = if head.is_empty() { "it is empty" } else { "it is not compressed with zstd" };
            return Err(no_backup(name, why));
        }
        if head.get(MAGIC.len()).is_some_and(|flags| flags & NEVER != 0) {
            return Err(damaged(name, "the header of its zstd stream is not what was written"));
        }
        let input =
            BufReader::with_capacity(CHUNK, Input { inner: Box::new(Cursor::new(head).chain(input)), failed: false });
        let decoder = Decoder::with_buffer(input).and_then(|mut decoder| {
            decoder.window_log_max(LARGEST_WINDOW_LOG)?;
            Ok(decoder.single_frame())
        });
        Ok(Self { name: name.to_owned(), decoder: decoder.map_err(|error| reading(&error))? })
    }

    /// Says that the archive is damaged, and how.
    pub(super) fn damaged(&self, why: &str) -> Failure {
        damaged(&self.name, why)
    }

    /// Reads some bytes; none at the end.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, Failure> {
        loop {
            match self.decoder.read(buffer) {
                Ok(read) => return Ok(read),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.explain(&error)),
            }
        }
    }

    /// Fills the buffer.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<(), Failure> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..])? {
                0 => return Err(self.damaged("it ends too early")),
                read => filled += read,
            }
        }
        Ok(())
    }

    /// Makes sure that nothing follows the stream, whose end was read.
    pub(super) fn end(self) -> Result<(), Failure> {
        let name = self.name;
        let mut input = self.decoder.finish();
        loop {
            match input.fill_buf() {
                Ok([]) => return Ok(()),
                Ok(_) => return Err(damaged(&name, "something follows after its end")),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(of_input(&name, &error)),
            }
        }
    }

    fn explain(&self, error: &io::Error) -> Failure {
        if self.decoder.get_ref().get_ref().failed {
            return of_input(&self.name, error);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof => self.damaged("it ends too early"),
            // The words of zstd's ZSTD_error_frameParameter_windowTooLarge.
            _ if error.to_string().contains("too much memory") => Failure::new(
                Cause::Configuration,
                format!("the backup {} was compressed in a way that takes much memory to read", self.name),
            )
            .hint("compress it anew: zstd -d --long=31 < FILE | zstd > NEW, if it comes from where you trust it"),
            _ => self.damaged(&format!("its compressed data cannot be read ({error})")),
        }
    }
}

/// What the archive is read from, and whether an error came from there.
struct Input<'a> {
    inner: Box<dyn Read + 'a>,
    failed: bool,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer);
        self.failed |= read.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::Interrupted);
        read
    }
}

/// Says what came from the input: what is no error of the system is what someone found who reads it before, as age does.
fn of_input(name: &str, error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(name, "it ends too early"),
        io::ErrorKind::InvalidData if error.raw_os_error().is_none() => damaged(name, &error.to_string()),
        _ => Failure::io(format!("cannot read the backup {name}"), error),
    }
}

/// Says that an archive is damaged, and how.
pub(super) fn damaged(name: &str, why: &str) -> Failure {
    Failure::new(Cause::Damaged, format!("the backup {name} is damaged: {why}"))
        .hint("copy it anew from where it came, or take another one: supervisor backup list")
}

/// Says that something is no backup at all, and why.
pub(super) fn no_backup(name: &str, why: &str) -> Failure {
    Failure::new(Cause::Configuration, format!("{name} is not a backup of Hearth: {why}")).hint(
        "a backup is a file <id>.tar.zst or <id>.tar.zst.age as supervisor backup makes it; one that was unpacked is packed again \
         with: tar --zstd -cf FILE manifest.json app.db files",
    )
}
