//! Names that need quotes.

use crate::add;

up!(manager => {
    add::table(manager, "to do", "(\"order\" INTEGER PRIMARY KEY, \"a \"\"quoted\"\" name\" TEXT NOT NULL DEFAULT 'it''s') STRICT").await?;
    add::column(manager, "record", "group", "TEXT NULL").await
});
