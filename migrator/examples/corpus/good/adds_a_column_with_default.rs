//! A column with a default, which older rows and older inserts take.

use crate::add;

up!(manager => add::column(manager, "record", "pinned", "INTEGER NOT NULL DEFAULT 0").await);
