//! A column that may be null.

use crate::add;

up!(manager => add::column(manager, "record", "colour", "TEXT NULL").await);
