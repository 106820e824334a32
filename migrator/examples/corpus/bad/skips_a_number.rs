//! The next number is left out.
//!
//! rules: order
//! says: is migration 4 of the list
//! instead: call it m0004_

use crate::add;

up!(manager => add::index(manager, "record_created_at", "record (created_at)").await);
