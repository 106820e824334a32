//! How does somebody get another password?

pub(crate) mod api;
mod store;

pub(crate) use self::store::{create_reset, link_expired, offer_reset, reset_by_operator, reset_for, use_reset};
