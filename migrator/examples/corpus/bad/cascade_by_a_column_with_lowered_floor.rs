//! An older program that deletes a place deletes the records on its shelves.
//!
//! rules: older-programs
//! says: deletes from table place, rows of table record go as well
//! instead: refer with ON DELETE SET NULL
//! floor: lowered

use crate::add;

up!(manager => add::column(manager, "record", "shelf_id", "INTEGER NULL REFERENCES place (id) ON DELETE CASCADE").await);
