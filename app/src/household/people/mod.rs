//! Who belongs to the household?

pub(crate) mod api;
pub(crate) mod page;
mod store;

pub(crate) use self::store::{
    add, add_with_password, any, by_email, enabled, get, list, owners, set_role, still_rules, taken, update_profile,
};
