//! A migration wants a transaction of its own.
//!
//! rules: statements
//! says: executes BEGIN of its own
//! instead: one transaction that the migrator begins and ends

up!(manager => crate::run(manager, "BEGIN; CREATE TABLE IF NOT EXISTS label (id INTEGER PRIMARY KEY) STRICT; COMMIT").await);
