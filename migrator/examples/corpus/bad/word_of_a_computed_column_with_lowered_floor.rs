//! No row has the new word yet, but the newer app reads by it.
//!
//! rules: older-programs
//! says: visibility of table record can be 'adults' now
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => add::column(manager, "record", "reach", "INTEGER GENERATED ALWAYS AS (iif(visibility = 'adults', 1, 0)) VIRTUAL").await);
