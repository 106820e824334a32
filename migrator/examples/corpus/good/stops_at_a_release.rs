//! Households that skipped many versions go through 0.5.0 first.
//!
//! oldest: 0.5.0

use crate::add;

up!(manager => add::column(manager, "record", "colour", "TEXT NULL").await);
