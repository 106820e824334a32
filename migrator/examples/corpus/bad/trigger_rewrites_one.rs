//! The same, of records with one title only, and only where a day is changed.
//!
//! rules: writes-kept
//! says: column notes of table record
//! instead: put what the trigger computes into a new column

use crate::add;

up!(manager => add::trigger(manager, "record_null", "AFTER UPDATE OF due_date ON record WHEN new.title = 'NULL' BEGIN UPDATE record SET notes = 'none' WHERE id = new.id; END").await);
