//! A column that nobody needs any more goes.
//!
//! rules: additive, idempotent, older-statements
//! says: column user_agent of table session is gone
//! instead: leave the column
//! at home: without table session: column user_agent

up!(manager => crate::run(manager, "ALTER TABLE session DROP COLUMN user_agent").await);
