//! How much room is there?

use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::durable::Explain;
use crate::failure::Failure;

/// Returns the bytes that are free for this user on the file system that a place lies on. `None`: some FUSE and network file
/// systems know nothing of their size; then the disk itself has to say when it is full.
///
/// # Errors
/// What the file system said, naming the place.
pub fn free(place: &Path) -> Result<Option<u64>, Failure> {
    let space = statvfs(place).explain(|| format!("cannot ask for the free space of {}", place.display()))?;
    #[allow(clippy::useless_conversion, reason = "the types differ between platforms")]
    let free = u64::from(space.blocks_available()).saturating_mul(u64::from(space.fragment_size()));
    Ok((space.blocks() > 0).then_some(free))
}
