//! What the tests of all pages need: a hostile text, and somebody who looks at them.

use maud::Markup;

use super::{
    caller::{By, Caller, Place},
    entity::user,
    role::{Method, Role},
};
use crate::when::Moment;

/// A text that would be a script if it were not escaped.
pub(crate) const EVIL: &str = r#""><script>alert('x')</script>&amp;"#;

/// Sees to it that [`EVIL`] is text in a page.
pub(crate) fn assert_harmless(page: &Markup) {
    let text = &page.0;
    assert!(text.contains("&lt;script&gt;"), "the text is not on the page: {text}");
    assert!(!text.contains("<script") && !text.contains("alert('x')</"), "{text}");
}

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
