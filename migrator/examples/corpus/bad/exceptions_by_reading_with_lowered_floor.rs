//! The newer app leaves out what a table names, whatever that is called.
//!
//! rules: older-programs
//! says: this source's app chooses rows of table record by the new table record_mark
//! instead: do not lower the floor
//! floor: lowered
//! reads: "record"."scope" = ? => "record"."scope" = ? AND NOT EXISTS (SELECT 1 FROM "record_mark" WHERE "record_mark"."record_id" = "record"."id")

use crate::add;

up!(manager => add::table(manager, "record_mark", "(id INTEGER PRIMARY KEY, record_id INTEGER NULL REFERENCES record (id) ON DELETE SET NULL, weight INTEGER NOT NULL) STRICT").await);
