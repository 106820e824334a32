//! It does nothing in a transaction, and is the migrator's to do.
//!
//! rules: statements
//! says: executes PRAGMA foreign_keys
//! instead: leave it out

use crate::add;

up!(manager => {
    crate::run(manager, "PRAGMA foreign_keys = OFF").await?;
    add::index(manager, "record_created_at", "record (created_at)").await
});
