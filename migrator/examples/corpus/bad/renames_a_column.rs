//! A column gets a better name.
//!
//! rules: additive, idempotent, older-statements
//! says: column name of table passkey is gone
//! instead: --rename passkey.name=
//! at home: without table passkey: column name

up!(manager => crate::run(manager, "ALTER TABLE passkey RENAME COLUMN name TO label").await);
