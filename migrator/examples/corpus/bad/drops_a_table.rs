//! A table goes with all that is in it.
//!
//! rules: additive, idempotent, older-statements
//! says: table passkey is gone
//! instead: leave it
//! at home: without

up!(manager => crate::run(manager, "DROP TABLE passkey").await);
