//! An older program cannot read a name that is null.
//!
//! rules: older-programs
//! says: column name of table api_token may be null now
//! instead: do not lower the floor
//! floor: lowered

up!(manager => crate::rebuild(manager, "api_token", &[("name TEXT NOT NULL", "name TEXT NULL")], &[]).await);
