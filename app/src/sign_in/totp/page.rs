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
    account::page::{Account, Part, Said, SecondFactor, done, refuse},
    auth::caller::Visitor,
    household::secrets,
    html::{Fields, Frame, Input, answer, see},
    sign_in::SignIn,
};

/// What the form with the first code sends.
#[derive(Deserialize)]
pub(crate) struct FilledCode {
    #[serde(default)]
    code: String,
}

/// What the form of the removal sends.
#[derive(Deserialize)]
pub(crate) struct FilledPassword {
    #[serde(default)]
    password: String,
}

#[handler]
pub(crate) async fn begin(frame: Frame, visitor: Visitor, Data(sign_in): Data<&Arc<SignIn>>) -> Result<Response> {
    match store::begin(sign_in, &visitor).await {
        Ok(_) => Ok(see("/account?totp=begun#second-factor")),
        Err(problem) => {
            let said = Said::refused(Part::SecondFactor, &problem);
            refuse(&frame, sign_in, &visitor, &problem, said).await
        }
    }
}

#[handler]
pub(crate) async fn confirm(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(filled): Form<FilledCode>,
) -> Result<Response> {
    match store::confirm(sign_in, &visitor, &filled.code).await {
        Ok(codes) => Ok(answer(StatusCode::OK, secrets::recovery_codes(&frame, &codes))),
        Err(problem) => {
            let said = Said { offering: true, ..Said::refused(Part::SecondFactor, &problem) };
            refuse(&frame, sign_in, &visitor, &problem, said).await
        }
    }
}

#[handler]
pub(crate) async fn remove(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(filled): Form<FilledPassword>,
) -> Result<Response> {
    match store::remove(sign_in, &visitor, &filled.password).await {
        Ok(()) => Ok(see(&done("totp-removed"))),
        Err(problem) => {
            let said = Said::refused(Part::SecondFactor, &problem);
            refuse(&frame, sign_in, &visitor, &problem, said).await
        }
    }
}

/// Returns the part with the second factor.
pub(crate) fn section(account: &Account, said: &Said<'_>) -> Markup {
    let fields = said.fields(Part::SecondFactor);
    let content = match &account.second_factor {
        SecondFactor::Off => off(account.has_password, &fields),
        SecondFactor::Offered(offer) => offered(&offer.secret, &offer.uri, &fields),
        SecondFactor::On { recovery_codes } => on(*recovery_codes, &account.caller.user.email, &fields),
    };
    Part::SecondFactor.section(said, &content)
}

fn off(has_password: bool, fields: &Fields<'_>) -> Markup {
    html! {
        (fields.summary("Nothing was changed."))
        @if has_password {
            p { "With a second factor, signing in takes a code from an app on your phone as well as your password." }
            form method="post" action="/account/totp#second-factor" {
                button { "Set up a second factor" }
            }
        } @else {
            p { "It guards signing in with a password. Choose a password first." }
        }
    }
}

fn offered(secret: &str, uri: &str, fields: &Fields<'_>) -> Markup {
    html! {
        p { "Scan this with an authenticator app, then type the code that it shows." }
        @if let Some(picture) = qr::picture(uri, "QR code for your authenticator app; below is its secret as text") {
            div.picture { (picture) }
        }
        p.quiet { "Or type this secret into the app:" }
        p { code.secret { (in_fours(secret)) } }
        form method="post" action="/account/totp/confirm#second-factor" {
            (fields.summary("The second factor is not on yet."))
            (fields.input(&Input::new("text", "code", "Code").autocomplete("one-time-code").numeric().longest(20)))
            div.buttons {
                button { "Turn it on" }
                a.button.plain href="/account#second-factor" { "Not now" }
            }
        }
    }
}

fn on(recovery_codes: usize, email: &str, fields: &Fields<'_>) -> Markup {
    html! {
        p {
            strong { "It is on. " }
            @match recovery_codes {
                0 => "You have no recovery codes left: remove it and set it up again to get new ones.",
                1 => "You have one recovery code left.",
                number => { "You have " (number) " recovery codes left." }
            }
        }
        details.ask open[fields.is_refused()] {
            summary { "Remove the second factor…" }
            form method="post" action="/account/totp/remove#second-factor" {
                (fields.summary("The second factor was not removed."))
                input type="text" autocomplete="username" value=(email) readonly hidden;
                (fields.input(&Input::new("password", "password", "Your password").autocomplete("current-password")))
                button.danger { "Remove it" }
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
    use crate::account::page::tests::evil;

    #[test]
    fn a_secret_reads_in_fours() {
        assert_eq!(in_fours("ABCDEFGHIJ"), "ABCD EFGH IJ");
    }

    #[test]
    fn each_state_has_its_forms() {
        let text = |second_factor, has_password| {
            section(&Account { second_factor, has_password, ..evil() }, &Said::default()).into_string()
        };
        assert!(text(SecondFactor::Off, true).contains(r#"action="/account/totp#second-factor""#));
        assert!(!text(SecondFactor::Off, false).contains("<form"));
        let on = text(SecondFactor::On { recovery_codes: 1 }, true);
        assert!(on.contains("/account/totp/remove") && on.contains("one recovery code left"), "{on}");
        let offered = text(evil().second_factor, true);
        assert!(offered.contains("<svg") && offered.contains("/account/totp/confirm"), "{offered}");
    }
}
