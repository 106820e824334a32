//! Blanks at the ends of notes are taken away.
//!
//! rules: data-kept, idempotent
//! says: column notes of table record changed
//! instead: put what is new into a new column

up!(manager => crate::run(manager, "UPDATE record SET notes = trim(notes)").await);
