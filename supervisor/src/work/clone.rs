//! How is a file copied as fast as the file system can?
//!
//! By a reflink (FICLONE: btrfs, xfs, some others) the copy shares the original's blocks and takes milliseconds
//! whatever the size. Else the bytes are copied, and writing them to the disk is begun at once, so that the fsync
//! at the end waits for the last few only.

use std::{
    fs::File,
    io::{self, Read},
    os::fd::AsRawFd,
    path::Path,
};

use nix::libc;

use crate::{
    data::durable::{self, Explain},
    failure::{Cause, Failure},
};

/// Bytes copied between two looks at the clock, and between two requests to write back.
const CHUNK: u64 = 8 << 20;

nix::ioctl_write_int! {
    /// ioctl_ficlone(2): makes a file share all blocks of the one whose descriptor is given.
    ficlone, 0x94, 9
}

/// A file to clone, and its clone, which is empty so far.
pub(super) struct FileClone<'a> {
    from: &'a Path,
    to: &'a Path,
    source: File,
    target: File,
    /// The source's length in bytes.
    pub(super) bytes: u64,
}

impl<'a> FileClone<'a> {
    /// Opens the source and creates the clone. Neither may be a link, and the clone must not be there.
    pub(super) fn begin(from: &'a Path, to: &'a Path) -> Result<Self, Failure> {
        let source = durable::open_regular(from).explain(|| format!("cannot open {}", from.display()))?;
        let bytes = source.metadata().explain(|| format!("cannot look at {}", from.display()))?.len();
        Ok(Self { from, to, source, target: durable::create_file(to)?, bytes })
    }

    /// Lets the clone share the source's blocks; returns whether this file system can.
    pub(super) fn reflink(&self) -> bool {
        // SAFETY: FICLONE takes a descriptor by value and touches no memory; both are open.
        let done = unsafe { ficlone(self.target.as_raw_fd(), self.source.as_raw_fd() as libc::c_ulong) };
        // Whatever the reason (EOPNOTSUPP, EXDEV, EINVAL, ENOTTY; EPERM or ENOSYS under an old seccomp profile): a
        // copy is tried, and what is truly wrong with the disk comes up there.
        done.is_ok()
    }

    /// Copies the bytes; `progress` is told how many are done from time to time.
    ///
    /// # Errors
    /// What the file system said; that the source's length changed meanwhile.
    pub(super) fn copy(&mut self, progress: &mut dyn FnMut(u64)) -> Result<(), Failure> {
        let mut done = 0;
        loop {
            // std's copy uses copy_file_range, and falls back to sendfile and to read and write where the kernel
            // (before 4.5), the file system or a seccomp profile has it not.
            let copied = io::copy(&mut (&self.source).take(CHUNK), &mut &self.target)
                .explain(|| format!("cannot copy {} to {}", self.from.display(), self.to.display()))?;
            if copied == 0 {
                break;
            }
            start_writeback(&self.target, done, copied);
            done += copied;
            progress(done);
        }
        if done == self.bytes {
            return Ok(());
        }
        Err(Failure::new(
            Cause::Io,
            format!("{} changed while it was copied: {done} bytes instead of {}", self.from.display(), self.bytes),
        ))
    }

    /// Makes the clone durable.
    pub(super) fn sync(&self) -> Result<(), Failure> {
        self.target.sync_all().explain(|| format!("cannot make {} durable", self.to.display()))
    }
}

/// Asks the kernel to begin writing these bytes to the disk. Only a hint: the fsync that follows is what counts.
fn start_writeback(file: &File, offset: u64, bytes: u64) {
    let range = i64::try_from(offset).ok().zip(i64::try_from(bytes).ok());
    if let Some((offset, bytes)) = range {
        // SAFETY: the descriptor is open, and the call touches no memory.
        unsafe { libc::sync_file_range(file.as_raw_fd(), offset, bytes, libc::SYNC_FILE_RANGE_WRITE) };
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_copy_is_the_same_and_says_how_far_it_is() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        let bytes: Vec<u8> = (0..CHUNK + 12345).map(|at| (at % 251) as u8).collect();
        fs::write(&from, &bytes).unwrap();
        let mut told = Vec::new();
        let mut clone = FileClone::begin(&from, &to).unwrap();
        clone.copy(&mut |done| told.push(done)).unwrap();
        clone.sync().unwrap();
        assert_eq!(told, [CHUNK, CHUNK + 12345]);
        assert_eq!(fs::read(&to).unwrap(), bytes);
    }

    #[test]
    fn an_existing_target_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (directory.path().join("from"), directory.path().join("to"));
        fs::write(&from, "new").unwrap();
        fs::write(&to, "old").unwrap();
        assert!(FileClone::begin(&from, &to).is_err());
        assert_eq!(fs::read(&to).unwrap(), b"old");
    }
}
