//! The index that lets no two sessions have one token is not made again.
//!
//! rules: additive
//! says: index session_token of table session is gone
//! instead: make it again
//! at home: without index session_token

up!(manager => crate::rebuild(manager, "session", &[], &["session_token"]).await);
