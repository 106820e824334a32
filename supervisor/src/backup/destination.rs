//! stub
use std::{io::Read, path::Path};
use super::{BackupId, Description};
use crate::failure::Failure;
/// stub
pub struct Destination;
/// stub
pub struct Credentials { /// k
 pub access_key_id: String, /// s
 pub secret_access_key: String }
/// A backup at a destination.
pub struct Found { /// d
 pub description: Description }
impl Destination {
    /// stub
    pub fn name(&self) -> String { unimplemented!() }
    /// stub
    pub fn check(_text: &str) -> Result<(), String> { unimplemented!() }
    /// stub
    pub fn open(_text: &str, _credentials: &Credentials) -> Result<Self, Failure> { unimplemented!() }
    /// stub
    pub fn list(&self) -> Result<Vec<Found>, Failure> { unimplemented!() }
    /// stub
    pub fn read(&self, _instance: &str, _id: &BackupId, _encrypted: bool) -> Result<Box<dyn Read + Send>, Failure> { unimplemented!() }
    /// stub
    pub fn put(&self, _archive: &Path, _description: &Description, _progress: &mut dyn FnMut(u64, u64)) -> Result<(), Failure> { unimplemented!() }
    /// stub
    pub fn remove(&self, _instance: &str, _id: &BackupId, _encrypted: bool) -> Result<(), Failure> { unimplemented!() }
    /// stub
    pub fn tidy(&self, _instance: &str) -> Result<(), Failure> { unimplemented!() }
}
