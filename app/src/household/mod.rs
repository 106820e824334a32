//! The household: its people, invitations, and links for a new password.

pub(crate) mod invitations;
pub(crate) mod link;
pub(crate) mod links;
pub(crate) mod page;
pub(crate) mod people;
pub(crate) mod resets;
