//! A view needs a function of the program's.
//!
//! rules: plain-sqlite
//! says: no such function: fold
//! instead: compute the value in Rust

use crate::add;

up!(manager => add::view(manager, "record_folded", "SELECT id, fold(title) AS title FROM record").await);
