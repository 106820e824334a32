//! A rebuild makes a column NOT NULL that has nulls.
//!
//! rules: upgrade
//! says: NOT NULL constraint failed
//! instead: let the column be null

up!(manager => crate::rebuild(manager, "record", &[("due_date TEXT NULL", "due_date TEXT NOT NULL")], &[]).await);
