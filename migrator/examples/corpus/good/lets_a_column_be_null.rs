//! What had to be given may be left out from now on; the floor stays this release.
//!
//! notes: may be null now

up!(manager => crate::rebuild(manager, "api_token", &[("name TEXT NOT NULL", "name TEXT NULL")], &[]).await);
