//! A back-fill that adds to what is there.
//!
//! rules: idempotent
//! says: column weight of table record changed
//! instead: fill only what is not filled yet

use crate::add;

up!(manager => {
    add::column(manager, "record", "weight", "INTEGER NOT NULL DEFAULT 0").await?;
    crate::run(manager, "UPDATE record SET weight = weight + length(notes)").await
});
