//! A step that may be taken back by itself.

use crate::add;

up!(manager => {
    crate::run(manager, "SAVEPOINT trial").await?;
    add::column(manager, "record", "colour", "TEXT NULL").await?;
    crate::run(manager, "RELEASE trial").await
});
