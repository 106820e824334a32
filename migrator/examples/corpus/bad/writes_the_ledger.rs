//! The ledger is the migrator's.
//!
//! rules: statements
//! says: writes into migration_ledger
//! instead: leave the ledger to the migrator

up!(manager => crate::run(manager, "UPDATE migration_ledger SET version = '0.1.0'").await);
