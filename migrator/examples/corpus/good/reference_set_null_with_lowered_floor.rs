//! An older program may delete a record; its labels stay, and refer to none.
//!
//! floor: lowered

use crate::add;

up!(manager => add::table(manager, "label", "(id INTEGER PRIMARY KEY, record_id INTEGER NULL REFERENCES record (id) ON DELETE SET NULL, name TEXT NOT NULL) STRICT").await);
