//! A new migration is put among the released ones.
//!
//! rules: order
//! says: stands before released migrations
//! instead: put it at the end of the list

use crate::add;

up!(manager => add::index(manager, "record_created_at", "record (created_at)").await);
