//! A rebuild leaves out what a column refers to.
//!
//! rules: additive
//! says: the foreign key (user_id) of table account is gone
//! instead: with the same words as before

up!(manager => crate::rebuild(manager, "account", &[("REFERENCES user (id)", "")], &[]).await);
