//! How does somebody come in by a page, and out again?
//!
//! E-mail and password first; who has a second factor gets a second page, which remembers the first one by a secret
//! that is good for minutes and never by the password.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::{HeaderValue, StatusCode, header},
    web::{Data, Form, Query},
};
use serde::Deserialize;

use super::{
    enter::enter,
    next::local,
    passkey::page,
    password::{self, Outcome},
    setup,
};
use crate::{
    auth::{
        caller::{Caller, ClientInfo, Credential, Visitor},
        profile::EMAIL_MAX,
        sessions,
    },
    html::{Fields, Frame, Input, answer, encoded, redirect, refused, title_of},
    http::Problem,
    sign_in::SignIn,
};

/// What the address of the page may ask for.
#[derive(Default, Deserialize)]
pub(crate) struct PageQuery {
    next: Option<String>,
    done: Option<String>,
}

/// What the first form sends.
#[derive(Default, Deserialize)]
pub(crate) struct PasswordForm {
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
    next: Option<String>,
}

/// What the second form sends.
#[derive(Deserialize)]
pub(crate) struct CodeForm {
    #[serde(default)]
    step: String,
    #[serde(default)]
    code: String,
    next: Option<String>,
}

/// The ways in that the page offers beside a password.
#[derive(Debug, Default)]
struct LoginMethods<'a> {
    passkeys: bool,
    /// The label of the sign-in button.
    single_sign_on: Option<&'a str>,
}

impl<'a> LoginMethods<'a> {
    fn of(sign_in: &'a SignIn) -> Self {
        Self { passkeys: page::passkeys_on(sign_in), single_sign_on: sign_in.oidc.as_ref().map(|oidc| oidc.name()) }
    }
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Option<Visitor>,
    Data(sign_in): Data<&Arc<SignIn>>,
    Query(query): Query<PageQuery>,
) -> Result<Response> {
    if setup::is_needed(sign_in).await? {
        return Ok(redirect("/set-up"));
    }
    // Whom Tailscale answers for may be on a device of several people, and sign in as another of them; who signed in long
    // ago may want to do what takes a fresh sign-in.
    if visitor.as_deref().is_some_and(|viewer| viewer.session().is_some() && viewer.is_fresh()) {
        return Ok(redirect(local(query.next.as_deref())));
    }
    let submitted = PasswordForm { next: query.next, ..PasswordForm::default() };
    let done = match query.done.as_deref() {
        Some("signed-out") => "You are signed out.",
        Some("reset") => "Your new password is set. Sign in with it.",
        _ => "",
    };
    Ok(answer(StatusCode::OK, page(&frame, visitor.as_deref(), &LoginMethods::of(sign_in), &submitted, done, None)))
}

#[handler]
pub(crate) async fn by_password(
    frame: Frame,
    visitor: Option<Visitor>,
    client: ClientInfo,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(submitted): Form<PasswordForm>,
) -> Result<Response> {
    let outcome = match password::by_password(sign_in, &client, &submitted.email, &submitted.password, None).await {
        Ok(Outcome::In(begun)) => return Ok(enter(&begun, &client, local(submitted.next.as_deref()))),
        Ok(Outcome::CodeWanted(user)) => password::second_step(sign_in, &user).await,
        Err(problem) => Err(problem),
    };
    Ok(match outcome {
        Ok(step) => answer(StatusCode::OK, code_page(&frame, step.expose(), submitted.next.as_deref(), None)),
        Err(problem) => refused(
            &problem,
            page(&frame, visitor.as_deref(), &LoginMethods::of(sign_in), &submitted, "", Some(&problem)),
        ),
    })
}

#[handler]
pub(crate) async fn by_code(
    frame: Frame,
    client: ClientInfo,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(submitted): Form<CodeForm>,
) -> Result<Response> {
    let next = submitted.next.as_deref();
    Ok(match password::by_second_step(sign_in, &client, &submitted.step, &submitted.code).await {
        Ok(begun) => enter(&begun, &client, local(next)),
        Err(problem) => refused(&problem, code_page(&frame, &submitted.step, next, Some(&problem))),
    })
}

#[handler]
pub(crate) async fn sign_out(visitor: Visitor, Data(sign_in): Data<&Arc<SignIn>>) -> Result<Response> {
    sessions::sign_out(&sign_in.database, &visitor).await.map_err(Problem::from)?;
    let mut response = redirect("/sign-in?done=signed-out");
    if let Ok(cookie) = HeaderValue::from_str(&sessions::cookie(&visitor.client, None, sessions::LIFE)) {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    Ok(response)
}

/// Says to who signed in long ago what they cannot do until they sign in again, and where that is.
pub(crate) fn again(caller: &Caller, next: &str, what: &str) -> Markup {
    html! {
        @if !caller.is_fresh() {
            p.note {
                (what) ", you must have signed in within the last hour. "
                a href=(going_on("/sign-in", next)) { "Sign in again" } "."
            }
        }
    }
}

/// Returns the address of a way in, from where it goes on to `next`.
fn going_on(way: &str, next: &str) -> String {
    if next == "/" { way.to_owned() } else { format!("{way}?next={}", encoded(next)) }
}

fn page(
    frame: &Frame,
    viewer: Option<&Caller>,
    ways: &LoginMethods<'_>,
    submitted: &PasswordForm,
    done: &str,
    refusal: Option<&Problem>,
) -> Markup {
    let fields = Fields::new("sign-in", refusal);
    let next = local(submitted.next.as_deref());
    let content = html! {
        div.narrow {
            h1 { "Sign in" }
            @if !done.is_empty() { p.done role="status" { (done) } }
            @if let Some(viewer) = viewer.filter(|viewer| viewer.by == Credential::Tailscale || !viewer.is_fresh()) {
                p.note {
                    @if viewer.by == Credential::Tailscale {
                        "Tailscale identifies this device. " a href=(next) { "Continue as " (viewer.user.name) }
                        ", or sign in as another user."
                    } @else {
                        "You signed in more than an hour ago. Sign in again to make sensitive changes, or "
                        a href=(next) { "continue as " (viewer.user.name) } "."
                    }
                }
            }
            form.card method="post" action="/sign-in" {
                (fields.summary("You are not signed in."))
                input type="hidden" name="next" value=(next);
                (fields.input(&Input::new("email", "email", "E-mail").value(&submitted.email).longest(EMAIL_MAX)
                    .autocomplete("username")))
                (fields.input(&Input::new("password", "password", "Password").autocomplete("current-password")))
                button.main { "Sign in" }
            }
            @if ways.passkeys || ways.single_sign_on.is_some() {
                section.ways aria-label="Other ways to sign in" {
                    @if ways.passkeys {
                        div {
                            button.wide type="button" hidden data-passkey="sign-in" data-next=(next) {
                                "Sign in with a passkey"
                            }
                            (page::says())
                        }
                    }
                    @if let Some(name) = ways.single_sign_on {
                        a.button.wide href=(going_on("/sign-in/oidc", next)) { "Sign in with " (name) }
                    }
                }
            }
            details.ask {
                summary { "Forgot your password?" }
                p { "Ask an admin or an owner of this Hearth for a password reset link." }
                p { "Or create one on the server:" }
                p { code { "docker compose exec web app user reset-password <e-mail>" } }
            }
            @if ways.passkeys { (page::script()) }
        }
    };
    frame.page(&title_of("Sign in", refusal), &content)
}

fn code_page(frame: &Frame, step: &str, next: Option<&str>, refusal: Option<&Problem>) -> Markup {
    let fields = Fields::new("code", refusal);
    let next = local(next);
    let content = html! {
        div.narrow {
            h1 { "Two-factor authentication" }
            form.card method="post" action="/sign-in/code" {
                (fields.summary("You are not signed in yet."))
                input type="hidden" name="step" value=(step);
                input type="hidden" name="next" value=(next);
                (fields.input(&Input::new("text", "code", "Code").autocomplete("one-time-code").longest(200)
                    .hint("The six digits that your authenticator app shows, or one of your recovery codes.")))
                button.main { "Sign in" }
            }
            details.ask {
                summary { "Lost your phone?" }
                p { "Enter one of your recovery codes. Each works once." }
                p { "Without one, ask an admin or an owner for a reset link that also turns off two-factor authentication." }
                p { "Or create one on the server:" }
                p { code { "docker compose exec web app user reset-password --remove-totp <e-mail>" } }
            }
            p { a href=(going_on("/sign-in", next)) { "Start over" } }
        }
    };
    frame.page(&title_of("Two-factor authentication", refusal), &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::for_tests::{EVIL, assert_harmless};

    #[test]
    fn text_of_people_is_never_taken_for_html_and_the_password_is_not_sent_back() {
        let submitted =
            PasswordForm { email: EVIL.to_owned(), password: "correct horse".to_owned(), next: Some(EVIL.to_owned()) };
        let problem = Problem::unauthorized(EVIL);
        let ways = LoginMethods { passkeys: false, single_sign_on: Some(EVIL) };
        let page = page(&Frame::default(), None, &ways, &submitted, "", Some(&problem));
        assert_harmless(&page);
        let text = page.into_string();
        assert!(!text.contains("correct horse") && text.contains(r#"name="next" value="/""#), "{text}");
        assert_harmless(&code_page(&Frame::default(), EVIL, Some(EVIL), Some(&problem)));
    }

    #[test]
    fn the_page_offers_the_ways_that_are_on_and_no_script_without_passkeys() {
        let text = |ways| page(&Frame::default(), None, &ways, &PasswordForm::default(), "", None).into_string();
        let plain = text(LoginMethods::default());
        assert!(!plain.contains("<script") && !plain.contains("oidc") && !plain.contains("passkey"), "{plain}");
        let all = text(LoginMethods { passkeys: true, single_sign_on: Some("Pocket ID") });
        assert!(all.contains("/assets/passkey.js?") && all.contains(r#"data-passkey="sign-in""#), "{all}");
        assert!(all.contains(r#"href="/sign-in/oidc">Sign in with Pocket ID"#), "{all}");
        // No script asks for passkeys in that field.
        assert!(all.contains(r#"autocomplete="username""#), "{all}");
        let ways = LoginMethods { passkeys: true, single_sign_on: Some("Pocket ID") };
        let submitted = PasswordForm { next: Some("/people#anna".to_owned()), ..PasswordForm::default() };
        let on = page(&Frame::default(), None, &ways, &submitted, "", None).into_string();
        assert!(on.contains(r#"href="/sign-in/oidc?next=%2Fpeople%23anna""#), "{on}");
        assert!(on.contains(r#"data-next="/people#anna""#), "{on}");
    }

    #[test]
    fn who_is_locked_out_reads_what_to_do() {
        let first =
            page(&Frame::default(), None, &LoginMethods::default(), &PasswordForm::default(), "", None).into_string();
        assert!(first.contains("app user reset-password &lt;e-mail&gt;"), "{first}");
        let second = code_page(&Frame::default(), "", None, None).into_string();
        assert!(second.contains("recovery code"), "{second}");
        assert!(second.contains("app user reset-password --remove-totp &lt;e-mail&gt;"), "{second}");
    }
}
