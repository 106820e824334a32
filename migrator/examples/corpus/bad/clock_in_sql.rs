//! The moment of the upgrade is written into rows.
//!
//! rules: clock
//! says: depends on the clock
//! instead: take a moment that the row has

use crate::add;

up!(manager => {
    add::column(manager, "record", "seen_at", "TEXT NULL").await?;
    crate::run(manager, "UPDATE record SET seen_at = strftime('%Y-%m-%dT%H:%M:%fZ') WHERE seen_at IS NULL").await
});
