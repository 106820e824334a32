//! Another file is not staged, proven and taken back.
//!
//! rules: statements
//! says: attaches another database
//! instead: work in the one database

up!(manager => crate::run(manager, "ATTACH DATABASE ':memory:' AS scratch").await);
