//! The accounts in the API: ways in, one's own account, and the household.

mod links;
mod passkeys;
mod people;
mod profile;
mod second_factor;
mod session;
mod tokens;

use std::sync::Arc;

use poem_openapi::{Enum, Object, Tags, payload::Response};

pub(crate) use self::{
    links::LinksApi, passkeys::PasskeysApi, people::PeopleApi, profile::ProfileApi, second_factor::SecondFactorApi,
    session::SessionApi, tokens::TokensApi,
};
use super::{
    Accounts,
    caller::Place,
    entity::user,
    profile::{EMAIL_MAX, NAME_MAX},
    role::Role,
    sessions::Begun,
};
use crate::{db::DbError, http::Text, when::Moment};

/// The accounts of a running app; none while only the document is wanted.
#[derive(Clone)]
pub(crate) struct Handle(pub(crate) Option<Arc<Accounts>>);

impl Handle {
    fn get(&self) -> Result<&Accounts, DbError> {
        self.0.as_deref().ok_or(DbError::Closed)
    }
}

#[derive(Tags)]
enum Tag {
    /// Ways in and out.
    Session,
    /// One's own account.
    Account,
    /// The household, for those who look after it.
    People,
}

/// A name.
type Name = Text<1, NAME_MAX>;
/// An e-mail address.
type Email = Text<3, EMAIL_MAX>;
/// A password that is chosen.
type NewPassword = Text<10, 128>;
/// A password that is tried.
type Password = Text<1, 4096>;
/// A code, a token of a link.
type Code = Text<1, 200>;

/// Somebody of the household.
#[derive(Debug, Object)]
#[oai(rename = "User", skip_serializing_if_is_none)]
struct UserBody {
    /// Given by Hearth; never used twice.
    id: i64,
    /// What they are called.
    name: Name,
    /// Their e-mail address, in lower case.
    email: Email,
    role: Role,
    /// Whether they cannot come in any more.
    disabled: bool,
    /// The login by which Tailscale knows them.
    tailscale_login: Option<String>,
    /// When they came.
    created_at: Moment,
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

/// Adds the cookies of a session that has begun.
fn with_cookies<T>(answer: T, begun: &Begun, place: &Place) -> Response<T> {
    begun.cookies(place).into_iter().fold(Response::new(answer), |answer, cookie| answer.header("set-cookie", cookie))
}

/// How somebody is signed in: by a browser's `session`, a program's `token`, or `tailscale`.
#[derive(Debug, Clone, Copy, Enum)]
#[oai(rename_all = "snake_case")]
enum SignedInBy {
    Session,
    Token,
    Tailscale,
}
