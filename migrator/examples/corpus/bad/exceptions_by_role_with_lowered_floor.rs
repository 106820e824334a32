//! An older program does not know which roles are excepted.
//!
//! rules: older-programs
//! says: the new table record_rule could hide rows of table record (by the name role
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => add::table(manager, "record_rule", "(id INTEGER PRIMARY KEY, record_id INTEGER NULL REFERENCES record (id) ON DELETE SET NULL, role TEXT NOT NULL) STRICT").await);
