//! Nobody can go through a version that was never released.
//!
//! rules: order
//! says: OLDEST is "0.4.9", which is no released version before
//! instead: name one of
//! oldest: 0.4.9

use crate::add;

up!(manager => add::column(manager, "record", "colour", "TEXT NULL").await);
