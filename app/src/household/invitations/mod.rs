//! How does somebody else join the household?

pub(crate) mod api;
pub(crate) mod page;
mod store;

pub(crate) use self::store::{accept, find, list};
