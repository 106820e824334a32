//! How does the first person become the owner? With the code that only who runs the server can read.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Form},
};
use serde::Deserialize;

use super::store;
use crate::{
    auth::{
        caller::ClientInfo,
        profile::{EMAIL_MAX, NAME_MAX},
    },
    html::{Fields, Frame, Input, answer, redirect, refused, title_of},
    http::Problem,
    sign_in::{
        SignIn,
        enter::{check_person, enter},
    },
};

/// What the form sends.
#[derive(Default, Deserialize)]
pub(crate) struct SetupForm {
    #[serde(default)]
    code: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    email: String,
    #[serde(default)]
    password: String,
}

#[handler]
pub(crate) async fn show(frame: Frame, Data(sign_in): Data<&Arc<SignIn>>) -> Result<Response> {
    if !store::is_needed(sign_in).await? {
        return Ok(redirect("/sign-in"));
    }
    Ok(answer(StatusCode::OK, page(&frame, &SetupForm::default(), None)))
}

#[handler]
pub(crate) async fn set_up(
    frame: Frame,
    client: ClientInfo,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(submitted): Form<SetupForm>,
) -> Result<Response> {
    if !store::is_needed(sign_in).await? {
        return Ok(redirect("/sign-in"));
    }
    let outcome = match check_person(sign_in, &submitted.name, &submitted.email, &submitted.password) {
        Ok(profile) => store::set_up(sign_in, &client, &submitted.code, profile, &submitted.password).await,
        Err(problem) => Err(problem),
    };
    Ok(match outcome {
        Ok(begun) => enter(&begun, &client, "/"),
        Err(problem) => refused(&problem, page(&frame, &submitted, Some(&problem))),
    })
}

fn page(frame: &Frame, submitted: &SetupForm, refusal: Option<&Problem>) -> Markup {
    let fields = Fields::new("set-up", refusal);
    let content = html! {
        div.narrow {
            h1 { "Welcome to Hearth" }
            p {
                "This Hearth has no owner yet. The person who enters the set-up code becomes the owner and can then invite \
                 others."
            }
            form.card method="post" action="/set-up" {
                (fields.summary("The account was not created."))
                div.note {
                    p { "You find the set-up code in Hearth's log. Or print it on the server:" }
                    p { code { "docker compose exec web app setup-code" } }
                }
                (fields.input(&Input::new("text", "code", "Set-up code").value(&submitted.code).longest(200)))
                (fields.input(&Input::new("text", "name", "Your name").value(&submitted.name).autocomplete("name")
                    .longest(NAME_MAX)))
                (fields.input(&Input::new("email", "email", "E-mail").value(&submitted.email).autocomplete("username")
                    .longest(EMAIL_MAX).hint("You sign in with it. Hearth sends no e-mail.")))
                (fields.input(&Input::new_password("password", "Password")))
                button.main { "Create owner account" }
            }
        }
    };
    frame.page(&title_of("Set up", refusal), &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        html::for_tests::{EVIL, assert_harmless},
        http::FieldError,
    };

    #[test]
    fn text_of_people_is_never_taken_for_html_and_the_password_is_not_sent_back() {
        let submitted = SetupForm {
            code: EVIL.to_owned(),
            name: EVIL.to_owned(),
            email: EVIL.to_owned(),
            password: "correct horse".to_owned(),
        };
        let problem = Problem::fields(vec![FieldError::new("code", EVIL)]);
        let page = page(&Frame::default(), &submitted, Some(&problem));
        assert_harmless(&page);
        assert!(!page.into_string().contains("correct horse"));
    }
}
