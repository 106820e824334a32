//! Does this program serve because the upgrade to a newer one failed?
//!
//! Then the database may hold what this version does not know, and the newer one will find it again. So nothing destructive runs in the
//! background, nothing is deleted for good, and credentials stay as they are. The supervisor says it once, by `HEARTH_FALLBACK=1`, for
//! the whole life of the process.

use std::sync::atomic::{AtomicBool, Ordering};

static ACTIVE: AtomicBool = AtomicBool::new(false);

/// Takes in that it is so.
pub(crate) fn begin() {
    ACTIVE.store(true, Ordering::Relaxed);
}

/// Whether it is so.
pub(crate) fn is_active() -> bool {
    ACTIVE.load(Ordering::Relaxed)
}
