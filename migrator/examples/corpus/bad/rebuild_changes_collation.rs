//! Names are to be compared without case.
//!
//! rules: additive
//! says: the collation of column name of table api_token is nocase and was none
//! instead: keep the column's words

up!(manager => crate::rebuild(manager, "api_token", &[("name TEXT NOT NULL", "name TEXT NOT NULL COLLATE NOCASE")], &[]).await);
