//! An older program shows a record to those from whom the newer one hides it.
//!
//! rules: older-programs
//! says: the new column hidden_from of table record could hide rows (by its name
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => add::column(manager, "record", "hidden_from", "TEXT NULL").await);
