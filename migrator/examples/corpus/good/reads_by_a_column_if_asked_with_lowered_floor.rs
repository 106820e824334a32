//! A filter that a person may add hides nothing of what an older program shows.
//!
//! floor: lowered
//! reads: DELETE FROM "api_token" WHERE "api_token"."id" = ? => DELETE FROM "api_token" WHERE "api_token"."id" = ?
//! reads: PRAGMA user_version => SELECT "record"."id" FROM "record" WHERE "record"."colour" = ?

use crate::add;

up!(manager => add::column(manager, "record", "colour", "TEXT NULL").await);
