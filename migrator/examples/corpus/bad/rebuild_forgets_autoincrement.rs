//! A rebuild leaves out AUTOINCREMENT.
//!
//! rules: additive, data-kept
//! says: table api_token is no longer AUTOINCREMENT
//! instead: the same options

up!(manager => crate::rebuild(manager, "api_token", &[("PRIMARY KEY AUTOINCREMENT", "PRIMARY KEY")], &[]).await);
