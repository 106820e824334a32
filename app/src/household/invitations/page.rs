//! The invitations, on the page of the people: who may come, and the link by which they do.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Request, Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Path},
};
use serde::Deserialize;

use super::store;
use crate::{
    auth::{
        Accounts,
        caller::{ClientInfo, Visitor},
        email::{self, EMAIL_MAX},
        entity::verification,
        role::Role,
    },
    household::{
        link::{Link, link_page},
        people::page::roles,
    },
    html::{Fields, Frame, Input, PageState, Refusal, answer, redirect, timestamp},
    http::Problem,
};

/// What the part with the invitations is known by.
const PART: &str = "invite";

/// What somebody is invited as, unless the form says otherwise.
const INVITED: Role = Role::Member;

/// What the form sends.
#[derive(Default, Deserialize)]
pub(crate) struct InvitationForm {
    role: Option<Role>,
    #[serde(default)]
    pub(crate) email: String,
}

impl InvitationForm {
    fn role(&self) -> Role {
        self.role.unwrap_or(INVITED)
    }
}

#[handler]
pub(crate) async fn create(
    request: &Request,
    frame: Frame,
    visitor: Visitor,
    client: ClientInfo,
    Data(accounts): Data<&Arc<Accounts>>,
    Form(submitted): Form<InvitationForm>,
) -> Result<Response> {
    let email = match submitted.email.trim() {
        "" => Ok(None),
        email => email::check(email).map(Some).map_err(|error| Problem::fields(vec![error])),
    };
    let outcome = match email {
        Ok(email) => store::create(accounts, &visitor, submitted.role(), email, None).await,
        Err(problem) => Err(problem),
    };
    match outcome {
        Ok((invitation, secret)) => {
            let link = Link::to(accounts, request, &client, &format!("/invitation/{}", secret.expose()));
            let what = html! {
                "With this link, " strong { (invitation.email.as_deref().unwrap_or("anyone who has it")) }
                " can join the household as " (submitted.role().name()) "."
            };
            Ok(answer(StatusCode::OK, link_page(&frame, "Invitation link", &what, "a week", &link)))
        }
        Err(problem) => {
            let role = submitted.role().name();
            Err(Refusal::new(PART, problem).with("email", submitted.email).with("role", role).into())
        }
    }
}

#[handler]
pub(crate) async fn revoke(
    visitor: Visitor,
    Data(accounts): Data<&Arc<Accounts>>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let problem = match store::revoke(accounts, &visitor, id).await {
        Ok(true) => return Ok(redirect("/people?done=revoked")),
        Ok(false) => Problem::not_found("This invitation was already used or revoked, or has expired."),
        Err(problem) => problem,
    };
    Err(Refusal::new(PART, problem).into())
}

/// Returns the part of the page with the invitations.
pub(crate) fn section(invitations: &[verification::Model], viewer: Role, state: &PageState<'_>) -> Markup {
    let fields = Fields::new(PART, state.problem_of(PART));
    let role = state.submitted(PART, "role").and_then(|role| Role::ALL.into_iter().find(|known| known.name() == role));
    let email = state.submitted(PART, "email").unwrap_or_default();
    html! {
        section.card aria-labelledby="invitations" {
            h2 #invitations { "Invite someone" }
            (fields.summary("Nothing was changed."))
            form method="post" action="/people/invitations" {
                (roles(&fields, viewer, role.unwrap_or(INVITED)))
                (fields.input(&Input::new("email", "email", "E-mail").value(email).longest(EMAIL_MAX).optional()
                    .hint("Hearth sends no e-mail. You send the link yourself.")))
                button.main { "Create link" }
            }
            @if !invitations.is_empty() {
                h3 { "Pending invitations" }
                ul.things { @for invitation in invitations { (entry(invitation, viewer)) } }
            }
        }
    }
}

fn entry(invitation: &verification::Model, viewer: Role) -> Markup {
    let role = invitation.role.unwrap_or(Role::Guest);
    let whom = invitation.email.as_deref().unwrap_or("Anyone with the link");
    html! {
        li {
            div {
                h4 { (whom) " " span.mark { (role.name()) } }
                p.quiet { "Created " (timestamp(invitation.created_at)) "; expires " (timestamp(invitation.expires_at)) "." }
            }
            @if viewer.rules(role) {
                form method="post" action={ "/people/invitations/" (invitation.id) "/revoke" } {
                    button aria-label={ "Revoke invitation for " (whom) } { "Revoke" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::entity::verification::Kind,
        datetime::Timestamp,
        html::for_tests::{EVIL, assert_harmless},
    };

    fn invitation(role: Role) -> verification::Model {
        verification::Model {
            id: 1,
            kind: Kind::Invitation,
            token_hash: EVIL.to_owned(),
            user_id: None,
            role: Some(role),
            email: Some(EVIL.to_owned()),
            created_by: None,
            created_at: Timestamp::now(),
            expires_at: Timestamp::now(),
            used_at: None,
        }
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        assert_harmless(&entry(&invitation(Role::Guest), Role::Owner));
    }

    #[test]
    fn who_may_not_give_a_role_does_not_take_it_back() {
        assert!(entry(&invitation(Role::Member), Role::Admin).into_string().contains("/revoke"));
        assert!(!entry(&invitation(Role::Admin), Role::Admin).into_string().contains("/revoke"));
    }
}
