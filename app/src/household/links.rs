//! What does the holder of a link see: of an invitation, or one to choose a new password?
//!
//! The token stands in the address. No other site gets it from there, nor does a log by way of a Referer: these pages
//! send none but the site's name. `no-referrer` would make browsers send `Origin: null` with the form (Fetch, "append a
//! request `Origin` header"), which is refused.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::{HeaderValue, StatusCode, header},
    web::{Data, Form, Path},
};
use serde::Deserialize;

use super::{
    invitations,
    resets::{self, link_expired},
};
use crate::{
    auth::{
        caller::ClientInfo,
        entity::user,
        profile::{EMAIL_MAX, NAME_MAX},
        role::Role,
    },
    html::{Fields, Frame, Input, answer, redirect, refused, title_of},
    http::Problem,
    sign_in::{
        SignIn,
        enter::{check_person, enter},
    },
};

/// What the form of an invitation sends.
#[derive(Default, Deserialize)]
pub(crate) struct FilledPerson {
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

/// What the form of a reset sends.
#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    #[serde(default)]
    password: String,
}

#[handler]
pub(crate) async fn show_invitation(
    frame: Frame,
    Data(sign_in): Data<&Arc<SignIn>>,
    Path(token): Path<String>,
) -> Result<Response> {
    let Some(invitation) = invitations::find(sign_in, &token).await? else {
        return Ok(over(&frame));
    };
    let role = invitation.role.unwrap_or(Role::Guest);
    let submitted = FilledPerson { email: invitation.email.unwrap_or_default(), ..FilledPerson::default() };
    Ok(discreet(answer(StatusCode::OK, invitation_page(&frame, &token, role, &submitted, None))))
}

#[handler]
pub(crate) async fn accept(
    frame: Frame,
    client: ClientInfo,
    Data(sign_in): Data<&Arc<SignIn>>,
    Path(token): Path<String>,
    Form(submitted): Form<FilledPerson>,
) -> Result<Response> {
    let Some(invitation) = invitations::find(sign_in, &token).await? else {
        return Ok(over(&frame));
    };
    let outcome = match check_person(sign_in, &submitted.name, &submitted.email, &submitted.password) {
        Ok(profile) => invitations::accept(sign_in, &client, &token, profile, &submitted.password).await,
        Err(problem) => Err(problem),
    };
    let role = invitation.role.unwrap_or(Role::Guest);
    Ok(discreet(match outcome {
        Ok(begun) => enter(&begun, &client, "/"),
        // Used by another request meanwhile.
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => over(&frame),
        Err(problem) => refused(&problem, invitation_page(&frame, &token, role, &submitted, Some(&problem))),
    }))
}

#[handler]
pub(crate) async fn show_reset(
    frame: Frame,
    Data(sign_in): Data<&Arc<SignIn>>,
    Path(token): Path<String>,
) -> Result<Response> {
    let Some(user) = resets::reset_for(sign_in, &token).await? else {
        return Ok(over(&frame));
    };
    Ok(discreet(answer(StatusCode::OK, reset_page(&frame, &token, &user, None))))
}

#[handler]
pub(crate) async fn reset(
    frame: Frame,
    client: ClientInfo,
    Data(sign_in): Data<&Arc<SignIn>>,
    Path(token): Path<String>,
    Form(submitted): Form<PasswordForm>,
) -> Result<Response> {
    let Some(user) = resets::reset_for(sign_in, &token).await? else {
        return Ok(over(&frame));
    };
    Ok(discreet(match resets::use_reset(sign_in, &client, &token, &submitted.password, true).await {
        Ok(Some(begun)) => enter(&begun, &client, "/"),
        // Whoever has a second factor shows it as always.
        Ok(None) => redirect("/sign-in?done=reset"),
        Err(problem) if problem.status() == StatusCode::NOT_FOUND => over(&frame),
        Err(problem) => refused(&problem, reset_page(&frame, &token, &user, Some(&problem))),
    }))
}

/// Keeps the address of a page out of the next one's Referer.
fn discreet(mut response: Response) -> Response {
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin"));
    response
}

/// Returns the page for a link that is not good any more.
fn over(frame: &Frame) -> Response {
    let problem = link_expired();
    let content = html! {
        div.narrow {
            h1 { "This link is not valid" }
            p { (problem.sentence()) }
            p { a.button href="/" { "Back to Records" } }
        }
    };
    discreet(refused(&problem, frame.page("This link is not valid", &content)))
}

fn invitation_page(
    frame: &Frame,
    token: &str,
    role: Role,
    submitted: &FilledPerson,
    refusal: Option<&Problem>,
) -> Markup {
    let fields = Fields::new("join", refusal);
    let content = html! {
        div.narrow {
            h1 { "Join the household" }
            p { "You are invited to this Hearth as " strong { (role.name()) } ": you can " (can(role)) "." }
            @if let Some(viewer) = &frame.viewer {
                p.note {
                    "You are signed in as " (viewer.name) ". Joining creates a new user and signs you out of \
                     this account."
                }
            }
            form.card method="post" action={ "/invitation/" (token) } {
                (fields.summary("You have not joined yet."))
                (fields.input(&Input::new("text", "name", "Your name").value(&submitted.name).autocomplete("name")
                    .longest(NAME_MAX)))
                (fields.input(&Input::new("email", "email", "E-mail").value(&submitted.email).autocomplete("username")
                    .longest(EMAIL_MAX).hint("You sign in with it. Hearth sends no e-mail.")))
                (fields.input(&Input::new_password("password", "Password")))
                button.main { "Join" }
            }
        }
    };
    frame.page(&title_of("Join the household", refusal), &content)
}

/// What somebody with a role can do.
fn can(role: Role) -> &'static str {
    match role {
        Role::Guest => "view the household's records",
        Role::Member => "view, add and edit records",
        Role::Admin => "edit records and manage people",
        Role::Owner => "do everything",
    }
}

fn reset_page(frame: &Frame, token: &str, user: &user::Model, refusal: Option<&Problem>) -> Markup {
    let fields = Fields::new("reset", refusal);
    let content = html! {
        div.narrow {
            h1 { "Choose a new password" }
            p { "For " strong { (user.name) } " (" (user.email) ")" ". Changing the password ends all sessions." }
            form.card method="post" action={ "/reset/" (token) } {
                (fields.summary("The password was not changed."))
                // So that a password manager knows whose password it keeps.
                input type="text" autocomplete="username" value=(user.email) readonly hidden;
                (fields.input(&Input::new_password("password", "New password")))
                button.main { "Set password" }
            }
        }
    };
    frame.page(&title_of("Choose a new password", refusal), &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        auth::for_tests::user,
        html::for_tests::{EVIL, assert_harmless},
    };

    #[test]
    fn text_of_people_is_never_taken_for_html_and_the_password_is_not_sent_back() {
        let password = "correct horse".to_owned();
        let submitted = FilledPerson { name: EVIL.to_owned(), email: EVIL.to_owned(), password };
        let problem = Problem::conflict(EVIL);
        let page = invitation_page(&Frame::default(), EVIL, Role::Member, &submitted, Some(&problem));
        assert_harmless(&page);
        assert!(!page.into_string().contains("correct horse"));
        assert_harmless(&reset_page(&Frame::default(), EVIL, &user(Role::Guest), Some(&problem)));
    }

    #[test]
    fn a_link_that_is_not_good_any_more_is_a_page_and_not_found() {
        let response = over(&Frame::default());
        assert_eq!(response.status(), StatusCode::NOT_FOUND);
        assert_eq!(response.header(header::CACHE_CONTROL), Some("no-store"));
        assert_eq!(response.header(header::REFERRER_POLICY), Some("strict-origin"));
    }
}
