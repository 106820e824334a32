//! A document that SQLite itself checks.

use crate::add;

up!(manager => add::table(manager, "preference", "(user_id INTEGER PRIMARY KEY REFERENCES user (id), document TEXT NOT NULL CHECK (json_valid(document))) STRICT").await);
