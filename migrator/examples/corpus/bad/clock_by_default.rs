//! A new table's default is the moment of the back-fill.
//!
//! rules: clock
//! says: depends on the clock
//! instead: take a moment that the row has

use crate::add;

up!(manager => {
    add::table(manager, "visit", "(record_id INTEGER PRIMARY KEY, at TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP) STRICT").await?;
    crate::run(manager, "INSERT OR IGNORE INTO visit (record_id) SELECT id FROM record").await
});
