//! How does somebody get another password?

pub(crate) mod api;
mod store;

pub(crate) use self::store::{create_reset, offer_reset, reset_by_operator, reset_for, spent, use_reset};
