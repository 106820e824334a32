//! A trigger lets a delete delete nothing.
//!
//! rules: writes-kept
//! says: of table record
//! instead: let a delete delete

use crate::add;

up!(manager => add::trigger(manager, "record_stays", "BEFORE DELETE ON record BEGIN SELECT RAISE(IGNORE); END").await);
