//! Passkeys: registering one, signing in with it, and the list of one's own.

pub(crate) mod api;
pub(crate) mod page;
mod store;
pub(crate) mod webauthn;

pub(crate) use self::store::{find, get, list};
