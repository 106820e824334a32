//! Somebody for tests, with a hostile name.

use super::{
    caller::{Caller, ClientInfo, Credential},
    entity::user,
    role::{Method, Role},
};
use crate::{datetime::Timestamp, html::for_tests::EVIL};

/// Returns somebody with this role and a hostile name.
pub(crate) fn user(role: Role) -> user::Model {
    let now = Timestamp::now();
    let (name, email) = (EVIL.to_owned(), EVIL.to_owned());
    user::Model { id: 1, name, email, role, disabled: false, created_at: now, updated_at: now }
}

/// Returns them as the caller of a request.
pub(crate) fn caller(role: Role) -> Caller {
    Caller {
        user: user(role),
        by: Credential::Session { id: 1, method: Method::Password, began: Timestamp::now() },
        client: ClientInfo::default(),
    }
}
