//! How does somebody come in by the household's own provider, and who does not?
//!
//! The provider is the unit tests' stand-in: it checks the challenge against the verifier and signs with a key of its own.
//! What somebody does in its pages, `Provider::visit` does.

mod coming_in;
mod linking;
mod pages;
mod providers;
mod refused;
mod secrets;
mod unreachable;

use serde_json::{Value, json};

use super::browser::Browser;
use crate::{
    client::Answer,
    harness::{App, Data, SESSION_HTTPS, Start},
    provider::{CLIENT, Provider, SECRET},
};

/// Where a sign-in begins, and where the provider sends the browser back to.
const BEGIN: &str = "/sign-in/oidc";
const CALLBACK: &str = "/sign-in/oidc/callback";

/// The cookies of a session and of a sign-in that was begun; the household comes over https.
const SESSION: &str = SESSION_HTTPS;
const PENDING: &str = "__Host-hearth-0000002a-oidc";

/// Whom the stand-in speaks of unless told otherwise.
const ALICE: &str = "alice@example.org";

/// An app that knows this provider.
fn with<'a>(data: &'a Data, provider: &Provider) -> Start<'a> {
    at(data, provider.issuer())
}

fn at<'a>(data: &'a Data, issuer: &str) -> Start<'a> {
    Start::alone(data)
        .env("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.org")
        .env("HEARTH_AUTH__OIDC_ISSUER", issuer)
        .env("HEARTH_AUTH__OIDC_CLIENT_ID", CLIENT)
        .env("HEARTH_AUTH__OIDC_CLIENT_SECRET", SECRET)
        .env("HEARTH_AUTH__OIDC_NAME", "Pocket ID")
}

/// Makes Alice a member, whom an admin invited by her e-mail and who has not come by the provider yet.
fn add_alice(data: &Data) -> i64 {
    let id = data.add_person("member", "hearth_alice");
    data.sql(&format!(
        "UPDATE user SET email = '{ALICE}', name = 'Alice of the house' WHERE id = {id};
         INSERT INTO account (user_id, provider, provider_id, created_at, updated_at)
         VALUES ({id}, 'email', '{ALICE}', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z')"
    ));
    id
}

/// Makes the stand-in say something else in its ID token; null leaves the claim out.
fn say(provider: &Provider, claims: &[(&'static str, Value)]) {
    let claims = claims.to_vec();
    provider.ways().claims = Box::new(move |said| {
        for (key, value) in &claims {
            match value {
                Value::Null => drop(said.as_object_mut().unwrap().remove(*key)),
                value => said[*key] = value.clone(),
            }
        }
    });
}

/// Somebody at a browser, who follows links.
#[derive(Clone, Default)]
struct Visitor(Browser);

impl Visitor {
    /// Opens an address of Hearth's.
    fn open(&mut self, app: &App, path: &str) -> Answer {
        let cookies = self.0.cookie();
        let headers = [("host", "hearth.example.org"), ("accept", "text/html"), ("cookie", &*cookies)];
        let answer = app.ask_as_nobody("GET", path, &headers, b"");
        self.0.keep(&answer);
        answer
    }

    /// Presses the button; returns the address at the provider.
    fn begin(&mut self, app: &App) -> String {
        self.begin_at(app, BEGIN)
    }

    /// The same at this address of Hearth's, which begins with [`BEGIN`].
    fn begin_at(&mut self, app: &App, path: &str) -> String {
        let answer = self.open(app, path);
        assert_eq!(answer.status, 303, "{answer:?}");
        answer.header("location").unwrap().to_owned()
    }

    /// Presses the button and signs in at the provider; returns the address that it sends the browser back to.
    fn visit(&mut self, app: &App, provider: &Provider) -> String {
        let (code, state) = provider.visit(&self.begin(app));
        back(&code, &state)
    }

    /// Does all of it.
    fn sign_in(&mut self, app: &App, provider: &Provider) -> Answer {
        let path = self.visit(app, provider);
        self.open(app, &path)
    }

    /// Says who is signed in here.
    fn user(&mut self, app: &App) -> Option<Value> {
        let answer = self.open(app, "/api/v1/session");
        if answer.status == 200 {
            return Some(answer.json()["user"].clone());
        }
        answer.problem(401);
        None
    }
}

fn back(code: &str, state: &str) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("code", code)
        .append_pair("state", state)
        .finish();
    format!("{CALLBACK}?{query}")
}

/// Expects somebody to be let in, and their browser to keep the session.
fn let_in(visitor: &mut Visitor, app: &App, answer: &Answer) -> Value {
    assert_eq!((answer.status, answer.header("location")), (303, Some("/")), "{answer:?}");
    assert!(!visitor.0.cookies.contains_key(PENDING), "{answer:?}");
    visitor.user(app).unwrap_or_else(|| panic!("nobody is signed in: {answer:?}"))
}

/// Expects a page with these words and no session, and returns its text.
fn turned_away(visitor: &mut Visitor, app: &App, answer: &Answer, status: u16, words: &str) -> String {
    assert_eq!(answer.status, status, "{words}: {answer:?}");
    assert_eq!(answer.header("content-type"), Some("text/html; charset=utf-8"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"), "{answer:?}");
    assert!(answer.text().starts_with("<!DOCTYPE html>") && answer.text().contains(words), "{words}: {answer:?}");
    assert!(!answer.head.contains(&format!("{SESSION}=")), "{answer:?}");
    assert_eq!(visitor.user(app), None, "{words}");
    answer.text().to_owned()
}

/// The kinds of what was written down, the newest first.
fn kinds(app: &App) -> Value {
    let events = app.get("/api/v1/audit-events?limit=200").json();
    json!(events["items"].as_array().unwrap().iter().map(|event| event["kind"].clone()).collect::<Vec<_>>())
}
