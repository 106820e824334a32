//! An older program shows places that the newer one has deleted.
//!
//! rules: older-programs
//! says: the new column deleted_at of table place could hide rows (by its name
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => add::column(manager, "place", "deleted_at", "TEXT NULL").await);
