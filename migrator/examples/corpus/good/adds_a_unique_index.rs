//! No two from now on; older programs are not let in.
//!
//! notes: UNIQUE (user_id, created_at, token_hash) was added

use crate::add;

up!(manager => add::unique_index(manager, "api_token_moment", "api_token (user_id, created_at, token_hash)").await);
