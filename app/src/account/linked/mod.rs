//! Who else answers for one: single sign-on and Tailscale.

pub(crate) mod api;
pub(crate) mod page;
pub(crate) mod store;
