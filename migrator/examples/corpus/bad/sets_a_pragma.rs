//! Settings are the migrator's.
//!
//! rules: statements
//! says: executes PRAGMA user_version
//! instead: leave it out

up!(manager => crate::run(manager, "PRAGMA user_version = 4").await);
