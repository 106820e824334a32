//! Which steps do the two kinds of destination take differently?
//!
//! Each of these is one step on one file below an instance's name; which come in which order, and what that promises, is the
//! same for both and stands in [`super`].

use std::{collections::BTreeMap, fs::File, io::Read};

use super::{directory::Directory, s3::S3};
use crate::failure::Failure;

/// A directory or a bucket.
pub(super) enum Store {
    Directory(Directory),
    S3(Box<S3>),
}

impl Store {
    pub(super) fn instances(&self) -> Result<Vec<String>, Failure> {
        match self {
            Self::Directory(directory) => directory.instances(),
            Self::S3(s3) => s3.instances(),
        }
    }

    /// Returns the names below an instance's, with the length of each.
    pub(super) fn names(&self, instance: &str, impatient: bool) -> Result<BTreeMap<String, u64>, Failure> {
        match self {
            Self::Directory(directory) => directory.names(instance),
            Self::S3(s3) => s3.names(instance, impatient),
        }
    }

    /// Returns what is in a small file; `None` when it went meanwhile, or is too long.
    pub(super) fn small(&self, instance: &str, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        match self {
            Self::Directory(directory) => directory.small(instance, name, limit),
            Self::S3(s3) => s3.small(instance, name, limit),
        }
    }

    pub(super) fn stream(&self, instance: &str, name: &str) -> Result<Box<dyn Read + Send>, Failure> {
        match self {
            Self::Directory(directory) => directory.stream(instance, name),
            Self::S3(s3) => s3.stream(instance, name),
        }
    }

    /// Sends a file, and returns the hash of what was sent. It is there under its name only once it is checkpointed.
    pub(super) fn upload(
        &self,
        instance: &str,
        name: &str,
        file: &mut File,
        bytes: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<String, Failure> {
        match self {
            Self::Directory(directory) => directory.upload(instance, name, file, bytes, progress),
            Self::S3(s3) => s3.upload(instance, name, file, bytes, progress),
        }
    }

    /// Gives what was uploaded its name, if it does not have it yet.
    pub(super) fn checkpoint(&self, instance: &str, name: &str) -> Result<(), Failure> {
        match self {
            Self::Directory(directory) => directory.checkpoint(instance, name),
            Self::S3(_) => Ok(()),
        }
    }

    /// Removes what was uploaded and is not checkpointed.
    pub(super) fn discard(&self, instance: &str, name: &str) -> Result<(), Failure> {
        match self {
            Self::Directory(directory) => directory.sweep(instance),
            Self::S3(s3) => s3.delete(instance, name),
        }
    }

    /// Writes a small file for good, in place of what was there.
    pub(super) fn write(&self, instance: &str, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        match self {
            Self::Directory(directory) => directory.write(instance, name, bytes),
            Self::S3(s3) => s3.write(instance, name, bytes),
        }
    }

    /// Removes a file for good, if it is there.
    pub(super) fn delete(&self, instance: &str, name: &str) -> Result<(), Failure> {
        match self {
            Self::Directory(directory) => directory.delete(instance, name),
            Self::S3(s3) => s3.delete(instance, name),
        }
    }

    /// Opens what was uploaded and is not checkpointed, to be read from the far end.
    pub(super) fn uploaded(&self, instance: &str, name: &str) -> Result<Box<dyn Read + Send>, Failure> {
        match self {
            Self::Directory(directory) => directory.uploaded(instance, name),
            Self::S3(s3) => s3.stream(instance, name),
        }
    }

    /// Removes what was never given its name, as far as it has one that can be seen.
    pub(super) fn sweep(&self, instance: &str) -> Result<(), Failure> {
        match self {
            Self::Directory(directory) => directory.sweep(instance),
            Self::S3(_) => Ok(()),
        }
    }
}
