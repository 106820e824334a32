//! A new column is compared by a collation of the program's.
//!
//! rules: plain-sqlite
//! says: no such collation sequence: household
//! instead: compute the value in Rust

use crate::add;

up!(manager => add::table(manager, "label", "(id INTEGER PRIMARY KEY, name TEXT NOT NULL COLLATE household) STRICT").await);
