//! A table is created without looking.
//!
//! rules: idempotent
//! says: already exists
//! instead: helpers of migrator::add

up!(manager => crate::run(manager, "CREATE TABLE label (id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT").await);
