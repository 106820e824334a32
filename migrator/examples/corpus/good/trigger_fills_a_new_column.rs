//! A trigger that writes only what is new.

use crate::add;

up!(manager => {
    add::column(manager, "record", "length", "INTEGER NULL").await?;
    crate::run(manager, "UPDATE record SET length = length(notes) WHERE length IS NULL").await?;
    add::trigger(manager, "record_length", "AFTER UPDATE OF notes ON record BEGIN UPDATE record SET length = length(new.notes) WHERE id = new.id; END").await
});
