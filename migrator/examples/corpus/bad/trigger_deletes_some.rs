//! When a record of one category goes, the others of the same title go as well.
//!
//! rules: writes-kept
//! says: of table record
//! instead: leave rows of old tables alone

use crate::add;

up!(manager => add::trigger(manager, "record_gone", "AFTER DELETE ON record WHEN old.category = '保険' BEGIN DELETE FROM record WHERE title = old.title; END").await);
