//! One's own browsers that are signed in.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    web::{Data, Path},
};

use super::store;
use crate::{
    auth::{Accounts, caller::Visitor, entity::session},
    html::{PageState, Part, browser, timestamp},
};

/// The part with the browsers.
pub(crate) const SESSIONS: Part = Part {
    page: "/account",
    id: "browsers",
    title: "Sessions",
    done: &[("session", "The session was ended."), ("sessions", "All your other sessions were ended.")],
};

#[handler]
pub(crate) async fn revoke(
    visitor: Visitor,
    Data(accounts): Data<&Arc<Accounts>>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let outcome = store::revoke(&accounts.database, &visitor, id).await;
    SESSIONS.taken_away(outcome, "session", "This session has already ended.")
}

#[handler]
pub(crate) async fn revoke_others(visitor: Visitor, Data(accounts): Data<&Arc<Accounts>>) -> Result<Response> {
    match store::revoke_others(&accounts.database, &visitor).await {
        Ok(()) => Ok(SESSIONS.done("sessions")),
        Err(problem) => Err(SESSIONS.refuse(problem).into()),
    }
}

/// Returns the part with the browsers, of which `own` is the one that looks.
pub(crate) fn section(sessions: &[session::Model], own: Option<i64>, state: &PageState<'_>) -> Markup {
    let others = sessions.iter().any(|session| own != Some(session.id));
    let content = html! {
        (SESSIONS.fields(state).summary("No session was ended."))
        @if sessions.is_empty() { p.quiet { "You have no sessions." } }
        @else {
            p { "These browsers are signed in to your account. Sign out those you do not recognize." }
            ul.things { @for session in sessions { (entry(session, own == Some(session.id))) } }
        }
        @if others {
            form method="post" action="/account/sessions/revoke-others#browsers" {
                button { "Sign out all other sessions" }
            }
        }
    };
    SESSIONS.section(state, &content)
}

fn entry(session: &session::Model, is_own: bool) -> Markup {
    let name = browser::words(&session.user_agent);
    html! {
        li {
            div {
                h3 title=(session.user_agent) { (name) @if is_own { span.mark { "This browser" } } }
                p.quiet {
                    "Last seen " (timestamp(session.last_seen_at)) "; signed in " (timestamp(session.created_at)) " with "
                    (session.method.name()) @if !session.address.is_empty() { " from " (session.address) } "."
                }
            }
            @if !is_own {
                form method="post" action={ "/account/sessions/" (session.id) "/revoke#browsers" } {
                    button aria-label={ "Sign out " (name) } { "Sign out" }
                }
            }
        }
    }
}
