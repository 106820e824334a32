//! A column of an old table refers to a new one.

use crate::add;

up!(manager => {
    add::table(manager, "place", "(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL) STRICT").await?;
    add::column(manager, "record", "place_id", "INTEGER NULL REFERENCES place (id) ON DELETE SET NULL").await?;
    add::index(manager, "record_place", "record (place_id)").await
});
