//! One's own account: profile, linked accounts, sessions and tokens, on one page.

pub(crate) mod linked;
pub(crate) mod page;
pub(crate) mod profile;
pub(crate) mod sessions;
pub(crate) mod tokens;
