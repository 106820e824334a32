//! One's own name, e-mail and password.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    web::{Data, Form},
};
use serde::Deserialize;

use crate::{
    account::profile::{password_change, store},
    auth::{
        Accounts,
        caller::Visitor,
        entity::user,
        profile::{EMAIL_MAX, NAME_MAX, Profile},
    },
    html::{Input, PageState, Part},
    http::Problem,
    sign_in::SignIn,
};

/// The part with name and e-mail.
pub(crate) const PROFILE: Part =
    Part { page: "/account", id: "profile", title: "Profile", done: &[("profile", "Your profile was saved.")] };

/// The part with the password.
pub(crate) const PASSWORD: Part = Part {
    page: "/account",
    id: "password",
    title: "Password",
    done: &[("password", "Your password was changed. All your other sessions were ended.")],
};

/// What the form of the profile sends.
#[derive(Default, Deserialize)]
pub(crate) struct ProfileForm {
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
}

/// What the form of the password sends.
#[derive(Default, Deserialize)]
pub(crate) struct PasswordForm {
    #[serde(default)]
    current_password: String,
    #[serde(default)]
    new_password: String,
}

#[handler]
pub(crate) async fn change(
    visitor: Visitor,
    Data(accounts): Data<&Arc<Accounts>>,
    Form(submitted): Form<ProfileForm>,
) -> Result<Response> {
    let outcome = match Profile::check(&submitted.name, &submitted.email) {
        Ok(profile) => store::update(&accounts.database, &visitor, profile).await,
        Err(errors) => Err(Problem::fields(errors)),
    };
    match outcome {
        Ok(_) => Ok(PROFILE.done("profile")),
        Err(problem) => Err(PROFILE.refuse(problem).with("name", submitted.name).with("email", submitted.email).into()),
    }
}

#[handler]
pub(crate) async fn change_password(
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(submitted): Form<PasswordForm>,
) -> Result<Response> {
    match password_change::change(sign_in, &visitor, &submitted.current_password, &submitted.new_password).await {
        Ok(()) => Ok(PASSWORD.done("password")),
        Err(problem) => Err(PASSWORD.refuse(problem).into()),
    }
}

/// Returns the part with name and e-mail.
pub(crate) fn section(user: &user::Model, state: &PageState<'_>) -> Markup {
    let fields = PROFILE.fields(state);
    let submitted = |field| state.submitted(PROFILE.id, field);
    let (name, email) = (submitted("name").unwrap_or(&user.name), submitted("email").unwrap_or(&user.email));
    let content = html! {
        form method="post" action="/account/profile#profile" {
            (fields.summary("Your profile was not saved."))
            (fields.input(&Input::new("text", "name", "Name").value(name).autocomplete("name").longest(NAME_MAX)))
            (fields.input(&Input::new("email", "email", "E-mail").value(email).autocomplete("username")
                .longest(EMAIL_MAX).hint("You sign in with it. Hearth sends no e-mail.")))
            button { "Save" }
        }
    };
    PROFILE.section(state, &content)
}

/// Returns the part with the password, whose form opens when it is wanted.
pub(crate) fn password_section(user: &user::Model, has_password: bool, state: &PageState<'_>) -> Markup {
    let fields = PASSWORD.fields(state);
    let content = html! {
        p {
            @if has_password { "Changing your password ends all your other sessions." }
            @else { "You have not set a password. You sign in another way." }
        }
        details.ask open[fields.is_refused()] {
            summary { @if has_password { "Change password…" } @else { "Set password…" } }
            form method="post" action="/account/password#password" {
                (fields.summary("Your password was not changed."))
                // So that a password manager knows whose password it keeps.
                input type="text" autocomplete="username" value=(user.email) readonly hidden;
                @if has_password {
                    (fields.input(&Input::new("password", "current_password", "Current password")
                        .autocomplete("current-password")))
                }
                (fields.input(&Input::new_password("new_password", "New password")))
                button { @if has_password { "Change password" } @else { "Set password" } }
            }
        }
    };
    PASSWORD.section(state, &content)
}
