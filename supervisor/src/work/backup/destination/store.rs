//! Which steps do the two kinds of destination take differently?
//!
//! Each of these is one step on one file below an instance's name; which come in which order, and what that promises, is the
//! same for both and stands in [`super`].

use std::{collections::BTreeMap, fs::File, io::Read};

use crate::failure::Failure;

/// A directory or a bucket.
pub(super) trait Store {
    fn instances(&self) -> Result<Vec<String>, Failure>;

    /// Returns the names below an instance's, with the length of each.
    fn names(&self, instance: &str, impatient: bool) -> Result<BTreeMap<String, u64>, Failure>;

    /// Returns what is in a small file that was listed; `None` when it went meanwhile, or is too long.
    fn small(&self, instance: &str, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure>;

    fn stream(&self, instance: &str, name: &str) -> Result<Box<dyn Read + Send>, Failure>;

    /// Sends a file, and returns the hash of what was sent. It is there under its name only once it is checkpointed.
    fn upload(
        &self,
        instance: &str,
        name: &str,
        file: &mut File,
        bytes: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<String, Failure>;

    /// Opens what was uploaded and is not checkpointed, to be read from the far end.
    fn uploaded(&self, instance: &str, name: &str) -> Result<Box<dyn Read + Send>, Failure> {
        self.stream(instance, name)
    }

    /// Gives what was uploaded its name, if it does not have it yet.
    fn checkpoint(&self, _instance: &str, _name: &str) -> Result<(), Failure> {
        Ok(())
    }

    /// Removes what was uploaded and is not checkpointed.
    fn discard(&self, instance: &str, name: &str) -> Result<(), Failure> {
        self.delete(instance, name)
    }

    /// Writes a small file for good, in place of what was there.
    fn write(&self, instance: &str, name: &str, bytes: &[u8]) -> Result<(), Failure>;

    /// Writes a small file that is not there yet, and that nobody needs after a crash.
    fn write_new(&self, instance: &str, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        self.write(instance, name, bytes)
    }

    /// Removes a file for good, if it is there.
    fn delete(&self, instance: &str, name: &str) -> Result<(), Failure>;

    /// Removes what was never given its name, as far as it has one that can be seen.
    fn sweep(&self, _instance: &str) -> Result<(), Failure> {
        Ok(())
    }
}
