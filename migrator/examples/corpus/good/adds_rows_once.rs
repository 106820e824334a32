//! Rows that a new table has from the start.

use crate::add;

up!(manager => {
    add::table(manager, "label", "(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT").await?;
    crate::run(manager, "INSERT OR IGNORE INTO label (name) VALUES ('Home'), ('Car'), ('Health')").await
});
