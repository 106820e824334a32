//! The next number is left out.
//!
//! rules: order
//! says: of the list
//! instead: call it m0

use crate::add;

up!(manager => add::index(manager, "record_created_at", "record (created_at)").await);
