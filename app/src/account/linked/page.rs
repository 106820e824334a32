//! Who else answers for one: accounts of single sign-on, and Tailscale's login.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    web::{Data, Path},
};

use super::store;
use crate::{
    auth::{Accounts, caller::Visitor, entity::account, login_methods},
    html::{PageState, Part, timestamp},
};

/// The part with the linked accounts.
pub(crate) const LINKED: Part = Part {
    page: "/account",
    id: "linked",
    title: "Linked accounts",
    done: &[("unlinked", "The link was removed. The next sign-in with this e-mail will link the account again.")],
};

#[handler]
pub(crate) async fn unlink(
    visitor: Visitor,
    Data(accounts): Data<&Arc<Accounts>>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let outcome = store::unlink(&accounts.database, &visitor, id).await;
    LINKED.taken_away(outcome, "unlinked", "This account is not linked any more.")
}

/// Returns the part with the linked accounts, and where one more is linked; nothing where there is neither.
pub(crate) fn section(linked: &[account::Model], email: &str, oidc: bool, state: &PageState<'_>) -> Markup {
    let offers = oidc && !linked.iter().any(|linked| linked.provider == login_methods::OIDC);
    if linked.is_empty() && !offers && LINKED.was_done(state).is_none() {
        return html! {};
    }
    let content = html! {
        (LINKED.fields(state).summary("Nothing was changed."))
        @if linked.is_empty() { p.quiet { "You have no linked accounts." } }
        @else {
            p {
                "Signing in to one of these accounts signs in to Hearth as you. Unlink those you do not recognize. An account with "
                "the e-mail " (email) " is linked again at its next sign-in: if that e-mail is not yours, change it first."
            }
            ul.things { @for linked in linked { (entry(linked)) } }
        }
        @if offers {
            p { "You can link an account with the e-mail " (email) " within an hour of signing in." }
            p { a.button href="/sign-in/oidc?next=/account" { "Link single sign-on" } }
        }
    };
    LINKED.section(state, &content)
}

fn entry(linked: &account::Model) -> Markup {
    let provider = match &*linked.provider {
        login_methods::TAILSCALE => "Tailscale",
        login_methods::OIDC => "Single sign-on",
        other => other,
    };
    html! {
        li {
            div {
                h3 { (provider) }
                p.quiet { (linked.provider_id) ", linked " (timestamp(linked.created_at)) "." }
            }
            form method="post" action={ "/account/linked/" (linked.id) "/unlink#linked" } {
                button aria-label={ "Unlink " (provider) " " (linked.provider_id) } { "Unlink" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        datetime::Timestamp,
        html::for_tests::{EVIL, assert_harmless},
    };

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let linked = account::Model {
            id: 1,
            user_id: 1,
            provider: EVIL.to_owned(),
            provider_id: EVIL.to_owned(),
            password_hash: None,
            created_at: Timestamp::now(),
            updated_at: Timestamp::now(),
        };
        assert_harmless(&section(&[linked], EVIL, true, &PageState::default()));
    }

    #[test]
    fn there_is_nothing_where_nobody_else_answers() {
        assert_eq!(section(&[], "anna@example.org", false, &PageState::default()).into_string(), "");
    }
}
