//! What the newer app shows beside a row hides none.
//!
//! floor: lowered
//! reads: SELECT "record"."id", "record"."title" => SELECT (SELECT count(*) FROM "record_comment" WHERE "record_comment"."record_id" = "record"."id"), "record"."id", "record"."title"

use crate::add;

up!(manager => add::table(manager, "record_comment", "(id INTEGER PRIMARY KEY, record_id INTEGER NULL REFERENCES record (id) ON DELETE SET NULL, text TEXT NOT NULL) STRICT").await);
