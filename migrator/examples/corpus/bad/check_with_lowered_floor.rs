//! An older program writes what the new one forbids.
//!
//! rules: older-programs
//! says: CHECK (length ( name ) < 400) was added to table api_token
//! instead: do not lower the floor
//! floor: lowered

up!(manager => crate::rebuild(manager, "api_token", &[("name TEXT NOT NULL", "name TEXT NOT NULL CHECK (length(name) < 400)")], &[]).await);
