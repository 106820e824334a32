//! The entity says that a token always has a name.
//!
//! rules: entities
//! says: name
//! instead: cargo migration new
//! entities

up!(manager => crate::rebuild(manager, "api_token", &[("name TEXT NOT NULL", "name TEXT NULL")], &[]).await);
