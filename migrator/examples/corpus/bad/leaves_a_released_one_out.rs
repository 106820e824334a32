//! A released migration is taken off the list.
//!
//! rules: order
//! says: was released and is not in the list any more
//! instead: put it back

use crate::add;

up!(manager => add::index(manager, "record_created_at", "record (created_at)").await);
