//! The largest table is rebuilt once.
//!
//! measured

up!(manager => crate::rebuild(manager, "record", &[], &[]).await);
