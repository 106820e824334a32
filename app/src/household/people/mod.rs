//! Who belongs to the household?

pub(crate) mod api;
pub(crate) mod page;
mod store;

pub(crate) use self::store::{set_disabled, set_role};
