//! A table of a key of two columns.

use crate::add;

up!(manager => add::table(manager, "favourite", "(user_id INTEGER NOT NULL REFERENCES user (id), record_id INTEGER NOT NULL, PRIMARY KEY (user_id, record_id)) STRICT, WITHOUT ROWID").await);
