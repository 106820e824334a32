//! A full-text index needs a tokenizer of the program's.
//!
//! rules: plain-sqlite
//! says: no such tokenizer: household
//! instead: compute the value in Rust

use crate::add;

up!(manager => add::virtual_table(manager, "label_search", "fts5(name, tokenize = 'household')").await);
