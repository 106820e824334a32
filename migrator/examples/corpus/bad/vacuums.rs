//! VACUUM cannot run in a transaction.
//!
//! rules: statements
//! says: executes VACUUM
//! instead: leave it out

up!(manager => crate::run(manager, "VACUUM").await);
