//! The same, of the records of one category only, and only where they are added.
//!
//! rules: writes-kept
//! says: column notes of table record
//! instead: put what the trigger computes into a new column

use crate::add;

up!(manager => add::trigger(manager, "record_home", "AFTER INSERT ON record WHEN new.category = 'Versicherung' BEGIN UPDATE record SET notes = upper(notes) WHERE id = new.id; END").await);
