//! A rebuild leaves out what a value has to meet.
//!
//! rules: additive
//! says: CHECK (id = 1) of table record_state is gone
//! instead: with the same words as before

up!(manager => crate::rebuild(manager, "record_state", &[("CHECK (id = 1)", "")], &[]).await);
