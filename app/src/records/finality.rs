//! May something be deleted for good?
//!
//! Not while this version serves in place of a newer one whose upgrade failed: with it would go what only the newer one knows of it. A
//! deleted record goes to the trash as ever, with all that the triggers of the newer version keep of it.

use crate::{fallback, http::Problem};

/// Refuses to delete these things for good, and says why and until when.
pub(super) fn check(things: &str) -> Result<(), Problem> {
    match fallback::is_active() {
        true => Err(Problem::conflict(format!(
            "{things} can't be deleted for good at the moment: an upgrade failed, and an earlier version of Hearth is serving in its \
             place. They can be as soon as an upgrade succeeds."
        ))),
        false => Ok(()),
    }
}
