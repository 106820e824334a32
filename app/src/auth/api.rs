//! The accounts in the API: ways in, one's own account, and the household.

use poem_openapi::{Object, Tags};

use super::{
    entity::user,
    profile::{EMAIL_MAX, NAME_MAX},
    role::Role,
};
use crate::{datetime::Timestamp, http::Text};

#[derive(Tags)]
pub(crate) enum Tag {
    /// Signing in and out.
    Session,
    /// The user's own account.
    Account,
    /// The people of the household; managing them is for admins and owners.
    People,
}

/// A name.
pub(crate) type Name = Text<1, NAME_MAX>;
/// An e-mail address.
pub(crate) type Email = Text<3, EMAIL_MAX>;
/// A password that is chosen.
pub(crate) type NewPassword = Text<10, 128>;
/// A password that is tried.
pub(crate) type Password = Text<1, 4096>;
/// A code, a token of a link.
pub(crate) type Code = Text<1, 200>;

/// A user of the household.
#[derive(Debug, Object)]
#[oai(rename = "User", skip_serializing_if_is_none)]
pub(crate) struct UserBody {
    /// Assigned by Hearth. Never reused.
    pub(crate) id: i64,
    /// The display name.
    pub(crate) name: Name,
    /// Their e-mail address, in lower case.
    pub(crate) email: Email,
    pub(crate) role: Role,
    /// Whether the account is disabled.
    pub(crate) disabled: bool,
    /// The user's Tailscale login.
    pub(crate) tailscale_login: Option<String>,
    /// When the user joined.
    pub(crate) created_at: Timestamp,
}

impl From<user::Model> for UserBody {
    fn from(user: user::Model) -> Self {
        Self {
            id: user.id,
            name: Text(user.name),
            email: Text(user.email),
            role: user.role,
            disabled: user.disabled,
            tailscale_login: None,
            created_at: user.created_at,
        }
    }
}
