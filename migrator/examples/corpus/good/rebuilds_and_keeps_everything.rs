//! A rebuild by hand, with all that belongs to the table.

up!(manager => crate::rebuild(manager, "user", &[], &[]).await);
