//! One's own second factor: begun with a picture for the phone, confirmed with a first code.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Form},
};
use serde::Deserialize;

use super::{qr, store};
use crate::{
    auth::{
        caller::{Caller, Visitor},
        entity::verification::Kind::Recovery,
        verification,
    },
    html::{Fields, Frame, Input, PageState, Part, answer, redirect},
    http::Problem,
    sign_in::{SignIn, totp::Offer},
};

/// What the form with the first code sends.
#[derive(Deserialize)]
pub(crate) struct CodeForm {
    #[serde(default)]
    code: String,
}

/// What the form of the removal sends.
#[derive(Deserialize)]
pub(crate) struct PasswordForm {
    #[serde(default)]
    password: String,
}

/// The part of one's account with the second factor.
pub(crate) const SECOND_FACTOR: Part = Part {
    page: "/account",
    id: "second-factor",
    title: "Two-factor authentication",
    done: &[("totp-removed", "Two-factor authentication was turned off.")],
};

/// Where the second factor stands.
pub(crate) enum SecondFactor {
    Off,
    /// It waits for a first code.
    Offered(Offer),
    On {
        recovery_codes: usize,
    },
}

impl SecondFactor {
    /// Returns the caller's; one that waits for its first code is shown again only to whoever is `offering` it.
    pub(crate) async fn of(sign_in: &SignIn, caller: &Caller, offering: bool) -> Result<Self, Problem> {
        let (reads, id) = (sign_in.reads(), caller.user.id);
        let failed = |error| Problem::from(sign_in.database.failed(error));
        if store::of(reads, id).await.map_err(failed)?.is_some() {
            let left = verification::list_of(reads, Recovery, id).await.map_err(failed)?.len();
            return Ok(Self::On { recovery_codes: left });
        }
        let offer = match offering && caller.is_fresh() {
            true => store::offered(sign_in, caller).await?,
            false => None,
        };
        Ok(offer.map_or(Self::Off, Self::Offered))
    }
}

/// Whether the form with the first code was refused, and its secret is to be shown again.
pub(crate) fn is_offering(state: &PageState<'_>) -> bool {
    state.submitted(SECOND_FACTOR.id, OFFERING).is_some()
}

/// What tells a refusal of the first code from others.
const OFFERING: &str = "offering";

#[handler]
pub(crate) async fn begin(visitor: Visitor, Data(sign_in): Data<&Arc<SignIn>>) -> Result<Response> {
    match store::begin(sign_in, &visitor).await {
        Ok(_) => Ok(redirect("/account?totp=begun#second-factor")),
        Err(problem) => Err(SECOND_FACTOR.refuse(problem).into()),
    }
}

#[handler]
pub(crate) async fn confirm(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(submitted): Form<CodeForm>,
) -> Result<Response> {
    match store::confirm(sign_in, &visitor, &submitted.code).await {
        Ok(codes) => Ok(answer(StatusCode::OK, recovery_codes_page(&frame, &codes))),
        Err(problem) => Err(SECOND_FACTOR.refuse(problem).with(OFFERING, "").into()),
    }
}

#[handler]
pub(crate) async fn remove(
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(submitted): Form<PasswordForm>,
) -> Result<Response> {
    match store::remove(sign_in, &visitor, &submitted.password).await {
        Ok(()) => Ok(SECOND_FACTOR.done("totp-removed")),
        Err(problem) => Err(SECOND_FACTOR.refuse(problem).into()),
    }
}

/// Returns the part with the second factor.
pub(crate) fn section(now: &SecondFactor, has_password: bool, email: &str, state: &PageState<'_>) -> Markup {
    let fields = SECOND_FACTOR.fields(state);
    let content = match now {
        SecondFactor::Off => off(has_password, &fields),
        SecondFactor::Offered(offer) => offered(&offer.secret, &offer.uri, &fields),
        SecondFactor::On { recovery_codes } => on(*recovery_codes, email, &fields),
    };
    SECOND_FACTOR.section(state, &content)
}

/// Returns the page with the recovery codes, in the response to the form that made them: no address shows them, so going back
/// does not.
fn recovery_codes_page(frame: &Frame, codes: &[String]) -> Markup {
    let content = html! {
        div.narrow {
            h1 { "Your recovery codes" }
            p.done role="status" { "Two-factor authentication is on." }
            p {
                "If you lose your phone, each of these codes signs you in once. Print this page or save them in a \
                 password manager. " strong { "They are not shown again." }
            }
            ul.codes { @for code in codes { li { code { (code) } } } }
            p { a.button.main href="/account#second-factor" { "Done" } }
        }
    };
    frame.page("Your recovery codes", &content)
}

fn off(has_password: bool, fields: &Fields<'_>) -> Markup {
    html! {
        (fields.summary("Nothing was changed."))
        @if has_password {
            p { "Two-factor authentication asks for a code from an app on your phone in addition to your password." }
            form method="post" action="/account/totp#second-factor" {
                button { "Set up two-factor authentication" }
            }
        } @else {
            p { "Two-factor authentication protects your password. Set a password first." }
        }
    }
}

fn offered(secret: &str, uri: &str, fields: &Fields<'_>) -> Markup {
    html! {
        p { "Scan this QR code with an authenticator app, then enter the code that it shows." }
        @if let Some(picture) = qr::picture(uri, "QR code for your authenticator app. Its secret is shown below as text.") {
            div.picture { (picture) }
        }
        p.quiet { "Or enter this key in the app:" }
        p { code.secret { (in_fours(secret)) } }
        form method="post" action="/account/totp/confirm#second-factor" {
            (fields.summary("Two-factor authentication was not turned on."))
            (fields.input(&Input::new("text", "code", "Code").autocomplete("one-time-code").numeric().longest(20)))
            div.buttons {
                button { "Turn on" }
                a.button.plain href="/account#second-factor" { "Cancel" }
            }
        }
    }
}

fn on(recovery_codes: usize, email: &str, fields: &Fields<'_>) -> Markup {
    html! {
        p {
            strong { "On. " }
            @match recovery_codes {
                0 => "You have no recovery codes left. Turn two-factor authentication off and on again to get new ones.",
                1 => "You have one recovery code left.",
                number => { "You have " (number) " recovery codes left." }
            }
        }
        details.ask open[fields.is_refused()] {
            summary { "Turn off…" }
            form method="post" action="/account/totp/remove#second-factor" {
                (fields.summary("Two-factor authentication was not turned off."))
                input type="text" autocomplete="username" value=(email) readonly hidden;
                (fields.input(&Input::new("password", "password", "Your password").autocomplete("current-password")))
                button.danger { "Turn off two-factor authentication" }
            }
        }
    }
}

/// Puts a space behind each four characters, for who types them. Apps ignore spaces.
fn in_fours(secret: &str) -> String {
    let letters: Vec<_> = secret.chars().collect();
    letters.chunks(4).map(String::from_iter).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::for_tests::{EVIL, assert_harmless};

    #[test]
    fn a_secret_reads_in_fours() {
        assert_eq!(in_fours("ABCDEFGHIJ"), "ABCD EFGH IJ");
    }

    #[test]
    fn each_state_has_its_forms() {
        let text =
            |now: &SecondFactor, has_password| section(now, has_password, EVIL, &PageState::default()).into_string();
        assert!(text(&SecondFactor::Off, true).contains(r#"action="/account/totp#second-factor""#));
        assert!(!text(&SecondFactor::Off, false).contains("<form"));
        let on = text(&SecondFactor::On { recovery_codes: 1 }, true);
        assert!(on.contains("/account/totp/remove") && on.contains("one recovery code left"), "{on}");
        let offer = Offer { secret: EVIL.to_owned(), uri: EVIL.to_owned() };
        let offered = text(&SecondFactor::Offered(offer), true);
        assert!(offered.contains("<svg") && offered.contains("/account/totp/confirm"), "{offered}");
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        assert_harmless(&section(&SecondFactor::On { recovery_codes: 10 }, true, EVIL, &PageState::default()));
        assert_harmless(&recovery_codes_page(&Frame::default(), &[EVIL.to_owned()]));
    }
}
