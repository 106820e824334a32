//! A table gets a better name.
//!
//! rules: additive, idempotent, older-statements
//! says: table audit_event is gone
//! instead: leave it
//! at home: without table audit_event

up!(manager => crate::run(manager, "ALTER TABLE audit_event RENAME TO event").await);
