//! A rebuild makes a user's ways of signing in go with the user.
//!
//! rules: additive
//! says: the foreign key (user_id) of table account references user (id) on update no action on delete cascade now
//! instead: with the same words as before

up!(manager => crate::rebuild(manager, "account", &[("REFERENCES user (id)", "REFERENCES user (id) ON DELETE CASCADE")], &[]).await);
