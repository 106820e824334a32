//! A trigger lets a delete of records of one day delete nothing.
//!
//! rules: writes-kept
//! says: of table record
//! instead: let a delete delete

use crate::add;

up!(manager => add::trigger(manager, "record_first", "BEFORE DELETE ON record WHEN old.due_date = '0000-01-01' BEGIN SELECT RAISE(IGNORE); END").await);
