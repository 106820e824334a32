//! One's own browsers that are signed in.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    web::{Data, Path},
};

use super::store;
use crate::{
    account::page::{Account, Part, Said, done, refuse, taken_away},
    auth::{caller::Visitor, entity::session},
    html::{Frame, browser, moment, see},
    sign_in::SignIn,
};

#[handler]
pub(crate) async fn revoke(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let outcome = store::revoke(&sign_in.database, &visitor, id).await;
    let gone = "That browser is not signed in any more.";
    taken_away(&frame, sign_in, &visitor, Part::Sessions, outcome, "session", gone).await
}

#[handler]
pub(crate) async fn revoke_others(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
) -> Result<Response> {
    match store::revoke_others(&sign_in.database, &visitor).await {
        Ok(()) => Ok(see(&done("sessions"))),
        Err(problem) => refuse(&frame, sign_in, &visitor, &problem, Said::refused(Part::Sessions, &problem)).await,
    }
}

/// Returns the part with the browsers.
pub(crate) fn section(account: &Account, said: &Said<'_>) -> Markup {
    let own = account.caller.session();
    let others = account.sessions.iter().any(|session| own != Some(session.id));
    let content = html! {
        (said.fields(Part::Sessions).summary("Nobody was signed out."))
        @if account.sessions.is_empty() { p.quiet { "No browser is signed in as you." } }
        @else {
            p { "These browsers are signed in as you. Sign out those that you do not know." }
            ul.things { @for session in &account.sessions { (entry(session, own == Some(session.id))) } }
        }
        @if others {
            form method="post" action="/account/sessions/revoke-others#browsers" {
                button { "Sign out all other browsers" }
            }
        }
    };
    Part::Sessions.section(said, &content)
}

fn entry(session: &session::Model, is_own: bool) -> Markup {
    let name = browser::words(&session.user_agent);
    html! {
        li {
            div {
                h3 title=(session.user_agent) { (name) @if is_own { span.mark { "This browser" } } }
                p.quiet {
                    "Last seen " (moment(session.last_seen_at)) "; signed in " (moment(session.created_at)) " by "
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
