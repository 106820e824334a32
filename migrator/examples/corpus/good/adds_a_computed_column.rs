//! A column that SQLite computes.

use crate::add;

up!(manager => add::column(manager, "record", "year", "TEXT GENERATED ALWAYS AS (substr(due_date, 1, 4)) VIRTUAL").await);
