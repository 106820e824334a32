//! One's own name, e-mail and password.

pub(crate) mod api;
pub(crate) mod page;
pub(crate) mod password_change;
pub(crate) mod store;
