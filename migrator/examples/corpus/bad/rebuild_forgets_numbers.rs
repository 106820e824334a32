//! A rebuild lets the numbers of deleted records be given again.
//!
//! rules: data-kept
//! says: the numbers of table record go on from
//! instead: UPDATE sqlite_sequence

up!(manager => crate::rebuild(manager, "record", &[], &["sqlite_sequence"]).await);
