//! An older program gives two the same.
//!
//! rules: older-programs
//! says: UNIQUE (user_id, created_at, token_hash) was added to table api_token
//! instead: do not lower the floor
//! floor: lowered

use crate::add;

up!(manager => add::unique_index(manager, "api_token_moment", "api_token (user_id, created_at, token_hash)").await);
