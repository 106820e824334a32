//! One's own name, e-mail and password.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    web::{Data, Form},
};
use serde::Deserialize;

use crate::{
    account::{
        page::{Account, Part, Said, done, refuse},
        profile::{password_change, store},
    },
    auth::{
        caller::Visitor,
        profile::{EMAIL_MAX, NAME_MAX, Profile},
    },
    html::{Frame, Input, see},
    http::Problem,
    sign_in::SignIn,
};

/// What the form of the profile sends.
#[derive(Default, Deserialize)]
pub(crate) struct Filled {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) email: String,
}

/// What the form of the password sends.
#[derive(Default, Deserialize)]
pub(crate) struct FilledPassword {
    #[serde(default)]
    current_password: String,
    #[serde(default)]
    new_password: String,
}

#[handler]
pub(crate) async fn change(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(filled): Form<Filled>,
) -> Result<Response> {
    let outcome = match Profile::check(&filled.name, &filled.email) {
        Ok(profile) => store::update(&sign_in.database, &visitor, profile).await,
        Err(errors) => Err(Problem::fields(errors)),
    };
    match outcome {
        Ok(_) => Ok(see(&done("profile"))),
        Err(problem) => {
            let said = Said { profile: Some(&filled), ..Said::refused(Part::Profile, &problem) };
            refuse(&frame, sign_in, &visitor, &problem, said).await
        }
    }
}

#[handler]
pub(crate) async fn change_password(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(filled): Form<FilledPassword>,
) -> Result<Response> {
    match password_change::change(sign_in, &visitor, &filled.current_password, &filled.new_password).await {
        Ok(()) => Ok(see(&done("password"))),
        Err(problem) => {
            let said = Said::refused(Part::Password, &problem);
            refuse(&frame, sign_in, &visitor, &problem, said).await
        }
    }
}

/// Returns the part with name and e-mail.
pub(crate) fn section(account: &Account, said: &Said<'_>) -> Markup {
    let fields = said.fields(Part::Profile);
    let (name, email) = match said.profile {
        Some(filled) => (&filled.name, &filled.email),
        None => (&account.caller.user.name, &account.caller.user.email),
    };
    let content = html! {
        form method="post" action="/account/profile#profile" {
            (fields.summary("Your profile was not saved."))
            (fields.input(&Input::new("text", "name", "Name").value(name).autocomplete("name").longest(NAME_MAX)))
            (fields.input(&Input::new("email", "email", "E-mail").value(email).autocomplete("username")
                .longest(EMAIL_MAX).hint("To sign in with. Hearth sends nothing to it.")))
            button { "Save" }
        }
    };
    Part::Profile.section(said, &content)
}

/// Returns the part with the password, whose form opens when it is wanted.
pub(crate) fn password_section(account: &Account, said: &Said<'_>) -> Markup {
    let fields = said.fields(Part::Password);
    let content = html! {
        p {
            @if account.has_password { "Changing it signs out all your other browsers." }
            @else { "You have none so far, and come in by other ways." }
        }
        details.ask open[fields.is_refused()] {
            summary { @if account.has_password { "Change the password…" } @else { "Choose a password…" } }
            form method="post" action="/account/password#password" {
                (fields.summary("Your password was not changed."))
                // So that a password manager knows whose password it keeps.
                input type="text" autocomplete="username" value=(account.caller.user.email) readonly hidden;
                @if account.has_password {
                    (fields.input(&Input::new("password", "current_password", "Present password")
                        .autocomplete("current-password")))
                }
                (fields.input(&Input::new_password("new_password", "New password")))
                button { @if account.has_password { "Change the password" } @else { "Set the password" } }
            }
        }
    };
    Part::Password.section(said, &content)
}
