//! How does somebody sign in?
//!
//! `page` shows all the ways: `password`, with `totp` as a second factor, `passkey` and `oidc` (a provider of the household's),
//! and `setup` for the first owner. Each has its store, its API and its page in a folder of its own.

pub(crate) mod api;
pub(crate) mod ceremonies;
pub(crate) mod enter;
pub(crate) mod next;
pub(crate) mod oidc;
pub(crate) mod page;
pub(crate) mod passkey;
pub(crate) mod password;
pub(crate) mod setup;
pub(crate) mod totp;
