//! Somebody for tests, with a hostile name.

use super::{
    caller::{By, Caller, Place},
    entity::user,
    role::{Method, Role},
};
use crate::{html::for_tests::EVIL, when::Moment};

/// Returns somebody with this role and a hostile name.
pub(crate) fn user(role: Role) -> user::Model {
    let now = Moment::now();
    let (name, email) = (EVIL.to_owned(), EVIL.to_owned());
    user::Model { id: 1, name, email, role, disabled: false, created_at: now, updated_at: now }
}

/// Returns them as the caller of a request.
pub(crate) fn caller(role: Role) -> Caller {
    Caller {
        user: user(role),
        by: By::Session { id: 1, method: Method::Password, began: Moment::now() },
        place: Place::default(),
    }
}
