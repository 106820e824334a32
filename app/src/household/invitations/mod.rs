//! How does somebody else join the household?

pub(crate) mod page;
mod store;

pub(crate) use self::store::{accept, create, find, list, revoke};
