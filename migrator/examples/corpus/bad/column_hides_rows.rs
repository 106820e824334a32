//! A computed column by which lists choose is computed in another way.
//!
//! rules: additive, data-kept, writes-kept?
//! says: the expression of column scope of table record
//! instead: one that is computed anew can hide rows

up!(manager => crate::rebuild(manager, "record", &[("WHEN 'household' THEN 0", "WHEN 'household' THEN ifnull(owner_id, 0)")], &[]).await);
