//! A table, with what most tables have.

use crate::add;

up!(manager => add::table(manager, "label", "(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, created_at TEXT NOT NULL) STRICT").await);
