//! One's own programs, and the tokens by which they come in.

use std::sync::Arc;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Path},
};
use serde::Deserialize;
use time::Duration;

use super::store;
use crate::{
    account::page::{Account, Part, Said, refuse, taken_away},
    auth::{
        caller::Visitor,
        entity::api_token,
        profile::{NAME_MAX, label},
        role::Scope,
    },
    household::secrets,
    html::{Fields, Frame, Input, answer, moment},
    http::Problem,
    sign_in::SignIn,
    when::Moment,
};

/// What the form sends.
#[derive(Default, Deserialize)]
pub(crate) struct Filled {
    #[serde(default)]
    name: String,
    scope: Option<Scope>,
    #[serde(default)]
    good_for: GoodFor,
}

#[cfg(test)]
impl Filled {
    pub(crate) fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }
}

/// How long a token is good.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
enum GoodFor {
    #[serde(rename = "30d")]
    Month,
    #[default]
    #[serde(rename = "90d")]
    Quarter,
    #[serde(rename = "1y")]
    Year,
    #[serde(rename = "ever")]
    Ever,
}

impl GoodFor {
    const ALL: [(Self, &'static str, &'static str); 4] = [
        (Self::Month, "30d", "30 days"),
        (Self::Quarter, "90d", "90 days"),
        (Self::Year, "1y", "1 year"),
        (Self::Ever, "ever", "Until it is revoked"),
    ];

    fn end(self) -> Option<Moment> {
        let days = match self {
            Self::Month => 30,
            Self::Quarter => 90,
            Self::Year => 365,
            Self::Ever => return None,
        };
        Some(Moment::now().after(Duration::days(days)))
    }
}

/// What a scope lets a program do, in words.
fn may(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "Read only",
        Scope::Write => "Read and change records",
        Scope::Admin => "Everything that you may",
    }
}

#[handler]
pub(crate) async fn create(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Form(filled): Form<Filled>,
) -> Result<Response> {
    let mut errors = Vec::new();
    let name = label("name", &filled.name, &mut errors);
    let outcome = match errors.is_empty() {
        true => {
            let scope = filled.scope.unwrap_or(Scope::Read);
            store::create(sign_in, &visitor, name, scope, filled.good_for.end()).await
        }
        false => Err(Problem::fields(errors)),
    };
    match outcome {
        Ok((token, secret)) => Ok(answer(StatusCode::OK, secrets::token(&frame, &token.name, secret.expose()))),
        Err(problem) => {
            let said = Said { token: Some(&filled), ..Said::refused(Part::Tokens, &problem) };
            refuse(&frame, sign_in, &visitor, &problem, said).await
        }
    }
}

#[handler]
pub(crate) async fn revoke(
    frame: Frame,
    visitor: Visitor,
    Data(sign_in): Data<&Arc<SignIn>>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let outcome = store::revoke(sign_in, &visitor, id).await;
    let gone = "That token was revoked before.";
    taken_away(&frame, sign_in, &visitor, Part::Tokens, outcome, "token", gone).await
}

/// Returns the part with the tokens.
pub(crate) fn section(account: &Account, said: &Said<'_>) -> Markup {
    let fields = said.fields(Part::Tokens);
    let content = html! {
        p { "A token lets a program in as you: a script, a calendar, a home automation." }
        @if !account.tokens.is_empty() {
            ul.things { @for token in &account.tokens { (entry(token)) } }
        }
        // A token that could not be revoked was refused without a form to fill in.
        @if said.token.is_none() { (fields.summary("Nothing was changed.")) }
        details.ask open[said.token.is_some()] {
            summary { "Make a token…" }
            (form(said.token.unwrap_or(&Filled::default()), &fields, said.token.is_some()))
        }
    };
    Part::Tokens.section(said, &content)
}

fn form(filled: &Filled, fields: &Fields<'_>, was_sent: bool) -> Markup {
    let good_for = fields.id("good_for");
    html! {
        form method="post" action="/account/tokens#tokens" {
            @if was_sent { (fields.summary("No token was made.")) }
            (fields.input(&Input::new("text", "name", "What it is for").value(&filled.name).longest(NAME_MAX)))
            fieldset.choice {
                legend { "What it may do" }
                @for scope in Scope::ALL {
                    label {
                        input type="radio" name="scope" value=(scope.name())
                            checked[scope == filled.scope.unwrap_or(Scope::Read)];
                        (may(scope))
                    }
                }
            }
            div.field {
                label for=(good_for) { "How long it is good" }
                select id=(good_for) name="good_for" {
                    @for (choice, value, words) in GoodFor::ALL {
                        option value=(value) selected[choice == filled.good_for] { (words) }
                    }
                }
            }
            button { "Make the token" }
        }
    }
}

fn entry(token: &api_token::Model) -> Markup {
    let is_over = token.expires_at.is_some_and(|end| end <= Moment::now());
    html! {
        li {
            div {
                h3 { (token.name) @if is_over { span.mark { "Expired" } } }
                p.quiet {
                    (may(token.scope)) "; "
                    @match token.last_used_at {
                        Some(last) => { "last used " (moment(last)) }
                        None => "never used",
                    }
                    "; "
                    @match token.expires_at {
                        Some(end) => { @if is_over { "ended " } @else { "ends " } (moment(end)) }
                        None => "good until it is revoked",
                    }
                    "."
                }
            }
            form method="post" action={ "/account/tokens/" (token.id) "/revoke#tokens" } {
                button aria-label={ "Revoke " (token.name) } { "Revoke" }
            }
        }
    }
}
