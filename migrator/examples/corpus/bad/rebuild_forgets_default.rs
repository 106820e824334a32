//! A rebuild leaves out a default.
//!
//! rules: additive, older-statements
//! says: the default of column is_gone of table record_change is none and was 0
//! instead: keep the column's words

up!(manager => crate::rebuild(manager, "record_change", &[("NOT NULL DEFAULT 0", "NOT NULL")], &[]).await);
