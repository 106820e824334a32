//! An older program does not know who is excepted.
//!
//! rules: older-programs
//! says: the new table record_exception could hide rows of table record (it relates them to people)
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => add::table(manager, "record_exception", "(record_id INTEGER NOT NULL REFERENCES record (id), user_id INTEGER NOT NULL REFERENCES user (id), PRIMARY KEY (record_id, user_id)) STRICT, WITHOUT ROWID").await);
