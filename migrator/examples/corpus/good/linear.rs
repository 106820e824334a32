//! A back-fill of every row with a lookup by an index.
//!
//! measured

use crate::add;

up!(manager => {
    add::column(manager, "record", "alike", "INTEGER NULL").await?;
    add::index(manager, "record_alike", "record (updated_at)").await?;
    crate::run(manager, "UPDATE record SET alike = (SELECT id FROM record AS other WHERE other.updated_at > record.updated_at ORDER BY updated_at LIMIT 1) WHERE alike IS NULL").await
});
