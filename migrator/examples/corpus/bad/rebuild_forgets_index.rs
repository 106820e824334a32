//! SQLite drops a table's indexes with it.
//!
//! rules: additive
//! says: index session_user of table session is gone
//! instead: make it again
//! at home: without index session_user

up!(manager => crate::rebuild(manager, "session", &[], &["session_user"]).await);
