//! A trigger puts titles into small letters.
//!
//! rules: writes-kept
//! says: column title of table record
//! instead: put what the trigger computes into a new column

use crate::add;

up!(manager => add::trigger(manager, "record_lower", "AFTER INSERT ON record BEGIN UPDATE record SET title = lower(title) WHERE id = new.id; END").await);
