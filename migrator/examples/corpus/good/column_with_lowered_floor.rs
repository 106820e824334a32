//! What an older program does not need to know of.
//!
//! floor: lowered

use crate::add;

up!(manager => {
    add::column(manager, "record", "colour", "TEXT NULL").await?;
    add::index(manager, "record_colour", "record (colour, id)").await
});
