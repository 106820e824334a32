//! An older program cannot delete a record that has labels.
//!
//! rules: older-programs
//! says: cannot delete from table record
//! instead: ON DELETE SET NULL
//! floor: lowered

use crate::add;

up!(manager => add::table(manager, "label", "(id INTEGER PRIMARY KEY, record_id INTEGER NOT NULL REFERENCES record (id), name TEXT NOT NULL) STRICT").await);
