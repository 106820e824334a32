//! The search is emptied and not filled again.
//!
//! rules: data-kept
//! says: full-text index record_search
//! instead: the checks before the commit refuse any loss
//! at home: full-text index record_search

up!(manager => crate::run(manager, "INSERT INTO record_search (record_search) VALUES ('delete-all')").await);
