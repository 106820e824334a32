//! A new column has to have a value, and older rows have none.
//!
//! rules: additive
//! says: Cannot add a NOT NULL column
//! instead: give the column a default

use crate::add;

up!(manager => add::column(manager, "record", "colour", "TEXT NOT NULL").await);
