//! A request whose body is held back does nothing once its author may no longer do it.

use std::{io::Write, net::TcpStream};

use serde_json::{Value, json};

use super::browser::{Browser, join};
use crate::{
    client::read_answer,
    harness::{App, Data, SESSION, Start},
};

/// A request that has sent its head and the first byte of its body. The gate has let it in: the server answers
/// `Expect: 100-continue` when the body is wanted.
struct Held {
    stream: TcpStream,
    rest: Vec<u8>,
}

fn begin(app: &App, (method, path, body): &(&str, String, Value), authority: &str) -> Held {
    let body = body.to_string().into_bytes();
    let mut stream = app.connect();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: hearth\r\n{authority}content-type: application/json\r\ncontent-length: {}\r\n\
         sec-fetch-site: same-origin\r\nexpect: 100-continue\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    if *method != "DELETE" {
        assert_eq!(read_answer(&mut stream).status, 100);
    }
    stream.write_all(&body[..1]).unwrap();
    Held { stream, rest: body[1..].to_vec() }
}

impl Held {
    fn finish(mut self) -> u16 {
        self.stream.write_all(&self.rest).unwrap();
        read_answer(&mut self.stream).status
    }
}

/// Each change of a record, and one of the accounts.
fn changes(id: &Value) -> Vec<(&'static str, String, Value)> {
    vec![
        ("PATCH", format!("/api/v1/records/{id}"), json!({ "title": "defaced" })),
        ("PATCH", format!("/api/v1/records/{id}"), json!({ "visibility": "household" })),
        ("POST", "/api/v1/records".to_owned(), json!({ "title": "planted" })),
        ("PATCH", "/api/v1/profile".to_owned(), json!({ "name": "Mallory" })),
    ]
}

fn token(app: &App, browser: &mut Browser) -> (String, Value) {
    let made = browser.post(app, "/api/v1/tokens", &json!({ "name": "robot", "scope": "admin" }));
    assert_eq!(made.status, 201, "{made:?}");
    (
        format!("authorization: Bearer {}\r\n", made.json()["secret"].as_str().unwrap()),
        made.json()["token"]["id"].clone(),
    )
}

#[test]
fn whoever_loses_their_authority_before_the_last_byte_changes_nothing() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = app.create(&json!({ "title": "Boiler" }));
    let titles = |app: &App| {
        let list = app.get("/api/v1/records").json();
        list["items"].as_array().unwrap().iter().map(|record| record["title"].clone()).collect::<Vec<_>>()
    };
    for (number, (loss, status)) in
        [("disabled", 401), ("guest", 409), ("signed out", 401), ("revoked", 401)].into_iter().enumerate()
    {
        let mut browser = join(&app, "member", &format!("person{number}@example.org"));
        let (by_token, token_id) = token(&app, &mut browser);
        let by_session = format!("cookie: {SESSION}={}\r\n", browser.cookies[SESSION]);
        let authorities = match loss {
            "signed out" => vec![by_session],
            "revoked" => vec![by_token],
            _ => vec![by_session, by_token],
        };
        let held: Vec<_> = authorities
            .iter()
            .flat_map(|authority| changes(&record["id"]).into_iter().map(move |change| (authority, change)))
            .map(|(authority, change)| (change.clone(), begin(&app, &change, authority)))
            .collect();
        let user = browser.get(&app, "/api/v1/session").json()["user"]["id"].clone();
        let path = format!("/api/v1/users/{user}");
        let lost = match loss {
            "disabled" => app.send("PATCH", &path, &json!({ "disabled": true })),
            "guest" => app.send("PATCH", &path, &json!({ "role": "guest" })),
            "signed out" => browser.send(&app, "DELETE", "/api/v1/session", None),
            _ => browser.send(&app, "DELETE", &format!("/api/v1/tokens/{token_id}"), None),
        };
        assert!(lost.status < 300, "{loss}: {lost:?}");
        for (change, held) in held {
            assert_eq!(held.finish(), status, "{loss}: {change:?}");
        }
        assert_eq!(titles(&app), ["Boiler"], "{loss}");
    }
    app.stop();
}

#[test]
fn a_form_whose_author_was_disabled_meanwhile_changes_nothing() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = app.create(&json!({ "title": "Boiler" }));
    let mut browser = join(&app, "member", "mia@example.org");
    let cookie = browser.cookie();
    let form = b"title=defaced&category=&notes=&due_date=&visibility=household&version=1";
    let mut held = Vec::new();
    for path in ["/records".to_owned(), format!("/records/{}", record["id"])] {
        let mut stream = app.connect();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: hearth\r\ncookie: {cookie}\r\nsec-fetch-site: same-origin\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {}\r\nexpect: 100-continue\r\n\
             connection: close\r\n\r\n",
            form.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        assert_eq!(read_answer(&mut stream).status, 100);
        held.push(Held { stream, rest: form.to_vec() });
    }
    let user = browser.get(&app, "/api/v1/session").json()["user"]["id"].clone();
    assert_eq!(app.send("PATCH", &format!("/api/v1/users/{user}"), &json!({ "disabled": true })).status, 200);
    for held in held {
        assert_eq!(held.finish(), 401);
    }
    assert_eq!(app.get("/api/v1/records").json()["items"][0]["title"], "Boiler");
    app.stop();
}
