//! Validates the objects found at a destination.
//!
//! That it is what it seems to be where name, length and description fit each other; that it is true, only after the archive
//! was read. Whoever may write there may write anything.

use super::{MARK, OWNER, TRIAL};
use crate::data::{
    backup::{BackupId, Description, ENCRYPTED, PLAIN},
    state::FORMAT,
};

/// Whether this is a name that Hearth gives at a destination, below an instance's.
pub(super) fn is_own_name(name: &str) -> bool {
    let id = [ENCRYPTED, PLAIN, ".json", MARK].iter().find_map(|ending| name.strip_suffix(ending));
    let is_trial = name.strip_prefix(TRIAL).is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()));
    name == OWNER || is_trial || id.is_some_and(|id| id.parse::<BackupId>().is_ok())
}

/// Reads a description that lies at a certain place; `None` when it cannot be that of a backup there.
pub(super) fn understand(bytes: &[u8], instance: &str, id: &BackupId) -> Option<Description> {
    let description: Description = serde_json::from_slice(bytes).ok()?;
    let is_time = |text: &String| humantime::parse_rfc3339(text).is_ok();
    let fits = description.format == FORMAT
        && description.id == *id
        && description.instance == instance
        && description.reason == id.reason()
        && description.blake3.len() == 64
        && description.blake3.bytes().all(|byte| byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase())
        && is_time(&description.created_at)
        && description.verified_at.as_ref().is_none_or(is_time)
        && description.drilled_at.as_ref().is_none_or(is_time);
    fits.then(|| description.printable())
}
