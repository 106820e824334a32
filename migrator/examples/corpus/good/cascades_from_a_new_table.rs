//! Labels go with their record; older programs are not let in.
//!
//! notes: rows of table label go as well

use crate::add;

up!(manager => {
    add::table(manager, "label", "(id INTEGER PRIMARY KEY, record_id INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE, name TEXT NOT NULL) STRICT").await?;
    add::index(manager, "label_record", "label (record_id)").await
});
