//! How is a backup's file written and read?
//!
//! `<id>.tar.zst`: a tar archive (POSIX headers; the GNU form of a length over 8 GiB) in one zstd stream, `.age` if it is
//! encrypted. Its members, in this order: `manifest.json`, `app.db`, and the attachments, `files/…`.
//!
//! Both sides are hostile: a hijacked app may have put anything into `files/`, and an archive may come from anywhere.

mod header;
pub mod read;
mod restore;
mod stream;
mod survey;
#[cfg(test)]
mod tests;
pub mod write;

use super::{attachment, manifest::printable};

/// Bytes that are read, hashed and written at once.
const CHUNK: usize = 128 << 10;
/// The unit of tar: a header is one block, and a member's content is filled up with zeros to whole ones.
const BLOCK: usize = 512;
/// The window of what is written, as a power of two: what level 3 takes by itself for a stream, 2 MiB.
const WINDOW_LOG: u32 = 21;
/// The largest window that is read, 8 MiB, which is as much memory: `zstd -19` uses that much, and only `--ultra` and
/// `--long` use more.
const LARGEST_WINDOW_LOG: u32 = 23;
/// After so many bytes progress is told again.
const TELL_EVERY: u64 = 1 << 20;

/// Tells how far it is.
struct Meter<'a> {
    progress: &'a mut dyn FnMut(u64, u64),
    done: u64,
    told: u64,
    total: u64,
}

impl<'a> Meter<'a> {
    fn new(total: u64, progress: &'a mut dyn FnMut(u64, u64)) -> Self {
        Self { progress, done: 0, told: 0, total }
    }

    fn add(&mut self, bytes: usize) {
        self.done = self.done.saturating_add(bytes as u64);
        if self.done - self.told >= TELL_EVERY || self.done == self.total {
            self.told = self.done;
            (self.progress)(self.done, self.total);
        }
    }
}

/// How many zeros fill up a member of this length.
fn padding(bytes: u64) -> usize {
    let over = (bytes % BLOCK as u64) as usize;
    (BLOCK - over) % BLOCK
}
