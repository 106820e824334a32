//! A new column is filled from old ones.

use crate::add;

up!(manager => {
    add::column(manager, "record", "sort", "TEXT NOT NULL DEFAULT ''").await?;
    add::back_fill(manager, "record", "sort", "lower(trim(category))").await
});
