//! A rebuild leaves out STRICT.
//!
//! rules: additive
//! says: table totp is no longer STRICT
//! instead: the same options

up!(manager => crate::rebuild(manager, "totp", &[(") STRICT", ")")], &[]).await);
