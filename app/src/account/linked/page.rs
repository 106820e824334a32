//! Who else answers for one: accounts of single sign-on, and Tailscale's login.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    web::{Data, Path},
};

use super::store;
use crate::{
    account::page::{Account, Part, Said, taken_away},
    auth::{caller::Visitor, entity::account, ways},
    html::{Frame, moment},
    sign_in::SignIn,
};

#[handler]
pub(crate) async fn unlink(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let outcome = store::unlink(&sign_in.database, &visitor, id).await;
    let gone = "That account was taken away before.";
    taken_away(&frame, sign_in, &visitor, Part::Linked, outcome, "unlinked", gone).await
}

/// Returns the part with the linked accounts; nothing where there is none.
pub(crate) fn section(account: &Account, said: &Said<'_>) -> Markup {
    if account.linked.is_empty() && said.done.is_none_or(|done| !done.is_of(Part::Linked)) {
        return html! {};
    }
    let content = html! {
        (said.fields(Part::Linked).summary("Nothing was changed."))
        @if account.linked.is_empty() { p.quiet { "No account elsewhere signs you in." } }
        @else {
            p {
                "Whoever signs in there is signed in here as you. Take away those that you do not know; what answers for "
                (account.caller.user.email) " is linked again, so change that e-mail first if it is not yours."
            }
            ul.things { @for linked in &account.linked { (entry(linked)) } }
        }
    };
    Part::Linked.section(said, &content)
}

fn entry(linked: &account::Model) -> Markup {
    let provider = match &*linked.provider {
        ways::TAILSCALE => "Tailscale",
        ways::OIDC => "Single sign-on",
        other => other,
    };
    html! {
        li {
            div {
                h3 { (provider) }
                p.quiet { (linked.provider_id) ", since " (moment(linked.created_at)) "." }
            }
            form method="post" action={ "/account/linked/" (linked.id) "/unlink#linked" } {
                button aria-label={ "Take away " (provider) " " (linked.provider_id) } { "Take away" }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{account::page::tests::evil, html::for_tests::assert_harmless};

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        assert_harmless(&section(&evil(), &Said::default()));
    }

    #[test]
    fn there_is_nothing_where_nobody_else_answers() {
        let account = Account { linked: Vec::new(), ..evil() };
        assert_eq!(section(&account, &Said::default()).into_string(), "");
    }
}
