//! SQLite drops a table's triggers with it.
//!
//! rules: additive, writes-kept
//! says: trigger record_version of table record is gone
//! instead: make it again
//! at home: without trigger record_version

up!(manager => crate::rebuild(manager, "record", &[], &["record_version"]).await);
