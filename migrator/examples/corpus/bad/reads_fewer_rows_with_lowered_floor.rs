//! The newer app asks for a column that nothing else tells of.
//!
//! rules: older-programs
//! says: this source's app chooses rows of table record by the new column level
//! instead: do not lower the floor
//! floor: lowered
//! reads: "record"."scope" = ? => "record"."scope" = ? AND "record"."level" <= ?

use crate::add;

up!(manager => add::column(manager, "record", "level", "INTEGER NOT NULL DEFAULT 0").await);
