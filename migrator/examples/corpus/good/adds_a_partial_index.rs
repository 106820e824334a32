//! An index of some rows.

use crate::add;

up!(manager => add::index(manager, "record_due", "record (due_date) WHERE due_date IS NOT NULL").await);
