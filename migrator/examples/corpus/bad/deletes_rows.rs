//! What is over is removed.
//!
//! rules: data-kept
//! says: of table session
//! instead: leave the rows
//! at home: would leave table session with

up!(manager => crate::run(manager, "DELETE FROM session WHERE expires_at < '2000-01-01'").await);
