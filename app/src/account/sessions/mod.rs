//! The browsers in which one is signed in.

pub(crate) mod api;
pub(crate) mod page;
pub(crate) mod store;
