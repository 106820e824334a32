//! One's own API tokens.

pub(crate) mod api;
pub(crate) mod page;
pub(crate) mod store;
