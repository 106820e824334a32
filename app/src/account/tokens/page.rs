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
    auth::{
        Accounts,
        caller::Visitor,
        entity::api_token,
        profile::{NAME_MAX, label},
        role::Scope,
    },
    datetime::Timestamp,
    html::{Fields, Frame, Input, PageState, Part, answer, timestamp},
    http::Problem,
};

/// The part with the tokens.
pub(crate) const TOKENS: Part =
    Part { page: "/account", id: "tokens", title: "API tokens", done: &[("token", "The token was revoked.")] };

/// What the form sends.
#[derive(Default, Deserialize)]
pub(crate) struct TokenForm {
    #[serde(default)]
    name: String,
    scope: Option<Scope>,
    #[serde(default)]
    good_for: GoodFor,
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
        (Self::Ever, "ever", "Never"),
    ];

    /// Returns what a value of the form stands for.
    fn read(value: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|(_, known, _)| *known == value).map(|(choice, ..)| choice)
    }

    /// Returns its value in the form.
    fn value(self) -> &'static str {
        Self::ALL.into_iter().find(|(choice, ..)| *choice == self).map_or("", |(_, value, _)| value)
    }

    fn end(self) -> Option<Timestamp> {
        let days = match self {
            Self::Month => 30,
            Self::Quarter => 90,
            Self::Year => 365,
            Self::Ever => return None,
        };
        Some(Timestamp::now().after(Duration::days(days)))
    }
}

/// What a scope lets a program do, in words.
fn may(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "Read only",
        Scope::Write => "Read and write records",
        Scope::Admin => "Full access to your account",
    }
}

#[handler]
pub(crate) async fn create(
    frame: Frame,
    visitor: Visitor,
    Data(accounts): Data<&Arc<Accounts>>,
    Form(submitted): Form<TokenForm>,
) -> Result<Response> {
    let mut errors = Vec::new();
    let name = label("name", &submitted.name, &mut errors);
    let outcome = match errors.is_empty() {
        true => {
            let scope = submitted.scope.unwrap_or(Scope::Read);
            store::create(accounts, &visitor, name, scope, submitted.good_for.end(), None).await
        }
        false => Err(Problem::fields(errors)),
    };
    match outcome {
        Ok((token, secret)) => Ok(answer(StatusCode::OK, made(&frame, &token.name, secret.expose()))),
        Err(problem) => Err(TOKENS
            .refuse(problem)
            .with("name", submitted.name)
            .with("scope", submitted.scope.map_or("", Scope::name))
            .with("good_for", submitted.good_for.value())
            .into()),
    }
}

#[handler]
pub(crate) async fn revoke(
    visitor: Visitor,
    Data(accounts): Data<&Arc<Accounts>>,
    Path(id): Path<i64>,
) -> Result<Response> {
    TOKENS.taken_away(store::revoke(accounts, &visitor, id).await, "token", "This token has already been revoked.")
}

/// Returns the part with the tokens.
pub(crate) fn section(tokens: &[api_token::Model], state: &PageState<'_>) -> Markup {
    let fields = TOKENS.fields(state);
    let submitted = |field| state.submitted(TOKENS.id, field);
    // A token that could not be revoked was refused without a form to fill in.
    let was_sent = submitted("name").is_some();
    let submitted = TokenForm {
        name: submitted("name").unwrap_or_default().to_owned(),
        scope: submitted("scope").and_then(|scope| Scope::ALL.into_iter().find(|known| known.name() == scope)),
        good_for: submitted("good_for").and_then(GoodFor::read).unwrap_or_default(),
    };
    let content = html! {
        p { "A token lets a program access Hearth as you, such as a script, a calendar or home automation." }
        @if !tokens.is_empty() {
            ul.things { @for token in tokens { (entry(token)) } }
        }
        @if !was_sent { (fields.summary("Nothing was changed.")) }
        details.ask open[was_sent] {
            summary { "Create token…" }
            (form(&submitted, &fields, was_sent))
        }
    };
    TOKENS.section(state, &content)
}

/// Returns the page with a new token, in the response to the form that made it: no address shows it, so going back does not.
fn made(frame: &Frame, name: &str, token: &str) -> Markup {
    let content = html! {
        div.narrow {
            h1 { "Your new token" }
            p.done role="status" { "The token “" (name) "” was created." }
            p { "Copy it now. " strong { "It is not shown again." } }
            p { code.secret { (token) } }
            p.quiet { "Programs send it as " code { "Authorization: Bearer …" } "." }
            p { a.button.main href="/account#tokens" { "Done" } }
        }
    };
    frame.page("Your new token", &content)
}

fn form(submitted: &TokenForm, fields: &Fields<'_>, was_sent: bool) -> Markup {
    let good_for = fields.id("good_for");
    html! {
        form method="post" action="/account/tokens#tokens" {
            @if was_sent { (fields.summary("The token was not created.")) }
            (fields.input(&Input::new("text", "name", "Name").value(&submitted.name).longest(NAME_MAX)))
            fieldset.choice {
                legend { "Permissions" }
                @for scope in Scope::ALL {
                    label {
                        input type="radio" name="scope" value=(scope.name())
                            checked[scope == submitted.scope.unwrap_or(Scope::Read)];
                        (may(scope))
                    }
                }
            }
            div.field {
                label for=(good_for) { "Expires after" }
                select id=(good_for) name="good_for" {
                    @for (choice, value, words) in GoodFor::ALL {
                        option value=(value) selected[choice == submitted.good_for] { (words) }
                    }
                }
            }
            button { "Create token" }
        }
    }
}

fn entry(token: &api_token::Model) -> Markup {
    let is_over = token.expires_at.is_some_and(|end| end <= Timestamp::now());
    html! {
        li {
            div {
                h3 { (token.name) @if is_over { span.mark { "Expired" } } }
                p.quiet {
                    (may(token.scope)) "; "
                    @match token.last_used_at {
                        Some(last) => { "last used " (timestamp(last)) }
                        None => "never used",
                    }
                    "; "
                    @match token.expires_at {
                        Some(end) => { @if is_over { "expired " } @else { "expires " } (timestamp(end)) }
                        None => "does not expire",
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::for_tests::{EVIL, assert_harmless};

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let now = Timestamp::now();
        let token = api_token::Model {
            id: 1,
            user_id: 1,
            name: EVIL.to_owned(),
            token_hash: EVIL.to_owned(),
            scope: Scope::Read,
            created_at: now,
            expires_at: Some(now),
            last_used_at: Some(now),
        };
        assert_harmless(&section(&[token], &PageState::default()));
        let refusal = TOKENS.refuse(Problem::conflict(EVIL)).with("name", EVIL).with("scope", EVIL);
        assert_harmless(&section(&[], &PageState { refusal: Some(&refusal), done: None }));
        assert_harmless(&made(&Frame::default(), EVIL, EVIL));
    }

    #[test]
    fn a_form_that_was_refused_keeps_what_was_filled_in() {
        let refusal = TOKENS
            .refuse(Problem::conflict("There are too many."))
            .with("name", "robot")
            .with("scope", "write")
            .with("good_for", "ever");
        let text = section(&[], &PageState { refusal: Some(&refusal), done: None }).into_string();
        assert!(text.contains(r#"value="robot""#) && text.contains(r#"value="write" checked"#), "{text}");
        assert!(text.contains(r#"value="ever" selected"#) && text.contains("<details class=\"ask\" open"), "{text}");
    }
}
