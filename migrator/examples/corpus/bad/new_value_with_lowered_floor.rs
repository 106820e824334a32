//! An older program does not know this way of signing in.
//!
//! rules: older-programs
//! says: column provider of table account has the new value 'matrix'
//! instead: do not lower the floor
//! floor: lowered

up!(manager => crate::run(manager, "INSERT OR IGNORE INTO account (user_id, provider, provider_id, created_at, updated_at) SELECT id, 'matrix', id, created_at, updated_at FROM user").await);
