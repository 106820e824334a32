//! An older program's delete takes labels along that it never showed.
//!
//! rules: older-programs
//! says: rows of table label go as well
//! instead: ON DELETE SET NULL
//! floor: lowered

use crate::add;

up!(manager => add::table(manager, "label", "(id INTEGER PRIMARY KEY, record_id INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE, name TEXT NOT NULL) STRICT").await);
