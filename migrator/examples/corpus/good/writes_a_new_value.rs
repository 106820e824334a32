//! A new kind of row in an old table; older programs are not let in.
//!
//! notes: has the new value 'matrix'

up!(manager => crate::run(manager, "INSERT OR IGNORE INTO account (user_id, provider, provider_id, created_at, updated_at) SELECT id, 'matrix', id, created_at, updated_at FROM user").await);
