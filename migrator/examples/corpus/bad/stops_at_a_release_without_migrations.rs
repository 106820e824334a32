//! 0.6.0 applies no migration, so a database of 0.5.0 would stay one of 0.5.0.
//!
//! rules: order
//! says: OLDEST is 0.6.0, which has no migration of its own
//! instead: name one of
//! oldest: 0.6.0

use crate::add;

up!(manager => add::column(manager, "record", "colour", "TEXT NULL").await);
