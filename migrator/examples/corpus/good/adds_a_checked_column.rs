//! A check on a new column only.

use crate::add;

up!(manager => add::column(manager, "record", "priority", "INTEGER NOT NULL DEFAULT 0 CHECK (priority BETWEEN 0 AND 3)").await);
