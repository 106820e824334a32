//! How does an instance get its owner?

pub(crate) mod page;
mod store;

pub(crate) use self::store::{by_settings, code, file, is_needed, owner_by_settings, set_up};
