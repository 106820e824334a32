//! An index of what SQLite computes itself.

use crate::add;

up!(manager => add::index(manager, "record_lower", "record (lower(title))").await);
