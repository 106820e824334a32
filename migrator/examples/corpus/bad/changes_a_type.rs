//! Numbers become text.
//!
//! rules: additive, data-kept
//! says: the type of column user_id of table audit_event is text and was integer
//! instead: add one of the other type

up!(manager => crate::rebuild(manager, "audit_event", &[("user_id INTEGER NULL", "user_id TEXT NULL")], &[]).await);
