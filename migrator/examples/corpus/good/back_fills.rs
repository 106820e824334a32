//! A new column is filled from old ones.

use crate::add;

up!(manager => {
    add::column(manager, "record", "kind", "TEXT NOT NULL DEFAULT ''").await?;
    add::back_fill(manager, "record", "kind", "lower(trim(category))").await
});
