//! A moment that the row has, and not that of the upgrade.

use crate::add;

up!(manager => {
    add::column(manager, "record", "seen_at", "TEXT NULL").await?;
    crate::run(manager, "UPDATE record SET seen_at = updated_at WHERE seen_at IS NULL").await
});
