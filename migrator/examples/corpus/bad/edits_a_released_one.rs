//! An index is added to a migration that was released.
//!
//! rules: released
//! says: is released, and a statement was added to it
//! instead: write a new migration

use crate::add;

up!(manager => add::index(manager, "record_created_at", "record (created_at)").await);
