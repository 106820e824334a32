//! A new row refers to a record that is not there.
//!
//! rules: data-kept
//! says: without the row of table record that it refers to
//! instead: the checks before the commit refuse any loss
//! at home: without the row of table record that it refers to

use crate::add;

up!(manager => {
    add::table(manager, "note", "(id INTEGER PRIMARY KEY, record_id INTEGER NOT NULL REFERENCES record (id)) STRICT").await?;
    crate::run(manager, "INSERT OR IGNORE INTO note VALUES (1, -1)").await
});
