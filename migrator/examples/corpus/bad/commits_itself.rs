//! A half of the work is committed before the other begins.
//!
//! rules: statements, transactional
//! says: executes COMMIT of its own
//! instead: one transaction that the migrator begins and ends

use crate::add;

up!(manager => {
    add::column(manager, "record", "colour", "TEXT NULL").await?;
    crate::run(manager, "COMMIT").await?;
    crate::run(manager, "BEGIN IMMEDIATE").await?;
    crate::run(manager, "UPDATE record SET colour = 'red' WHERE colour IS NULL").await
});
