//! How much room is there?

use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::{durable::Explain, size::Size};
use crate::failure::{Cause, Failure};

/// Fewer free inodes than this are none: a failed step has removed its own files again by the time that it is asked.
const FEW_INODES: u64 = 16;

/// Returns the bytes that are free for this user on the file system that a place lies on. `None`: some FUSE and network file
/// systems know nothing of their size; then the disk itself has to say when it is full.
pub fn free(place: &Path) -> Result<Option<u64>, Failure> {
    let space = statvfs(place).explain(|| format!("cannot ask for the free space of {}", place.display()))?;
    #[allow(clippy::useless_conversion, reason = "the types differ between platforms")]
    let free = u64::from(space.blocks_available()).saturating_mul(u64::from(space.fragment_size()));
    Ok((space.blocks() > 0).then_some(free))
}

/// Checks that there is room in a place for what is needed there, each with what it is for, and a margin; `doing` says what cannot
/// be done else, and `or` what else could be removed.
///
/// # Errors
/// [`Cause::NoSpace`] with the sum; what the file system said.
pub fn check(
    doing: &str,
    place: &Path,
    needs: &[(u64, &str)],
    margin: u64,
    or: impl Fn() -> String,
) -> Result<(), Failure> {
    let Some(free) = free(place)? else { return Ok(()) };
    let sum = needs.iter().fold(margin, |sum, (bytes, _)| sum.saturating_add(*bytes));
    if free >= sum {
        return Ok(());
    }
    let parts: Vec<_> = needs.iter().map(|(bytes, what)| format!("{} for {what}", Size(*bytes))).collect();
    let (place, parts) = (place.display(), parts.join(", "));
    let message = format!(
        "{doing}: it needs {} of free space in {place} ({parts}, {} to spare), and there are {}",
        Size(sum),
        Size(margin),
        Size(free)
    );
    Err(Failure::new(Cause::NoSpace, message).hint(format!(
        "free {} there{}, then try again; nothing was changed",
        Size(sum - free),
        or()
    )))
}

/// Says of a full disk on which no further file has room, though there may be space, that this is so. `places` are where the
/// step wrote.
pub fn explain(failure: Failure, places: &[&Path]) -> Failure {
    match places.iter().find(|place| lacks_inodes(place)) {
        Some(place) if failure.cause == Cause::NoSpace => failure.hint(format!(
            "the file system of {} has no room for further files (no free inodes: df -i shows them), however much space is free; remove files there, then try again; nothing was changed",
            place.display()
        )),
        _ => failure,
    }
}

/// Returns the failure of a file system without room for a further file, if it is the inodes that are used up: to free
/// space there would not help.
pub fn no_inodes(place: &Path) -> Option<Failure> {
    lacks_inodes(place).then(|| {
        Failure::new(
            Cause::NoSpace,
            format!("the file system of {} has no free inodes: no file can be made there, whatever space is free", place.display()),
        )
        .hint("delete files there that nobody needs (df -i counts them), or enlarge the file system, then try again; nothing was changed")
    })
}

fn lacks_inodes(place: &Path) -> bool {
    // Some file systems (btrfs) have no fixed number of inodes and say 0 of 0.
    statvfs(place).is_ok_and(|space| space.files() > 0 && space.files_available() < FEW_INODES)
}
