//! A browser: keeps cookies, and says of each request where it comes from.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    client::Answer,
    harness::{App, Data},
};

/// A password that nobody refuses.
pub(crate) const PASSWORD: &str = "seven-green-bottles";

/// A browser of somebody's.
#[derive(Clone, Default)]
pub(crate) struct Browser {
    pub(crate) cookies: BTreeMap<String, String>,
}

impl Browser {
    /// Sends a request from a page of this site.
    pub(crate) fn send(&mut self, app: &App, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let cookies = self.cookie();
        let mut headers = vec![("sec-fetch-site", "same-origin"), ("cookie", &*cookies)];
        if body.is_some() {
            headers.push(("content-type", "application/json"));
        }
        let text = body.map(ToString::to_string).unwrap_or_default();
        let answer = app.ask_as_nobody(method, path, &headers, text.as_bytes());
        self.keep(&answer);
        answer
    }

    pub(crate) fn get(&mut self, app: &App, path: &str) -> Answer {
        self.send(app, "GET", path, None)
    }

    pub(crate) fn post(&mut self, app: &App, path: &str, body: &Value) -> Answer {
        self.send(app, "POST", path, Some(body))
    }

    /// The header that carries all cookies.
    pub(crate) fn cookie(&self) -> String {
        self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Takes in the cookies of an answer.
    pub(crate) fn keep(&mut self, answer: &Answer) {
        for line in answer.head.lines() {
            let Some((name, value)) = line.split_once(": ") else { continue };
            if !name.eq_ignore_ascii_case("set-cookie") {
                continue;
            }
            let (name, value) = value.split(';').next().unwrap().split_once('=').unwrap();
            if value.is_empty() {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
    }
}

/// Signs in with e-mail and password.
pub(crate) fn sign_in(app: &App, email: &str, password: &str) -> (Browser, Answer) {
    let mut browser = Browser::default();
    let answer = browser.post(app, "/api/v1/session", &json!({ "email": email, "password": password }));
    (browser, answer)
}

/// Makes somebody with a password, whom an admin invites by their e-mail, and returns their signed-in browser.
pub(crate) fn join(app: &App, role: &str, email: &str) -> Browser {
    let invitation = app.send("POST", "/api/v1/invitations", &json!({ "role": role, "email": email }));
    assert_eq!(invitation.status, 201, "{invitation:?}");
    let token = invitation.json()["link"]["token"].as_str().unwrap().to_owned();
    let mut browser = Browser::default();
    let body = json!({ "token": token, "name": email, "email": email, "password": PASSWORD });
    let answer = browser.post(app, "/api/v1/invitations/accept", &body);
    assert_eq!(answer.status, 201, "{answer:?}");
    browser
}

/// Reads the set-up code that lies beside the database.
pub(crate) fn setup_code(data: &Data) -> String {
    let text = std::fs::read_to_string(data.directory.path().join("setup-code")).unwrap();
    text.trim().to_owned()
}
