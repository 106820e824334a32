//! Titles are to be unique, and households have some twice.
//!
//! rules: upgrade
//! says: UNIQUE constraint failed
//! instead: make a plain index

use crate::add;

up!(manager => add::unique_index(manager, "record_title_once", "record (title)").await);
