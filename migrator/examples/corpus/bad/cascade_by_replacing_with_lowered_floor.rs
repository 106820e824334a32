//! An older program that changes a record replaces a row, and what hangs on it goes.
//!
//! rules: older-programs
//! says: rows of table change_note go as well
//! instead: refer with ON DELETE SET NULL
//! floor: lowered

use crate::add;

up!(manager => add::table(manager, "change_note", "(id INTEGER PRIMARY KEY, scope INTEGER NOT NULL, number INTEGER NOT NULL, note TEXT NOT NULL, FOREIGN KEY (scope, number) REFERENCES record_change (scope, number) ON DELETE CASCADE) STRICT").await);
