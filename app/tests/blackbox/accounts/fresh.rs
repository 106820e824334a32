//! A browser that was left open makes no lasting way in, and a way in that was made can be taken away.

use serde_json::{Value, json};

use super::browser::{Browser, PASSWORD, join, sign_in};
use crate::harness::{App, Data, Start, eventually};

const AGAIN: &str = "urn:hearth:sign-in-again";

/// Each request by which somebody would open a further way in, or let others in.
fn requests() -> Vec<(&'static str, &'static str, Value)> {
    vec![
        ("POST", "/api/v1/passkeys/options", Value::Null),
        ("POST", "/api/v1/tokens", json!({ "name": "robot", "scope": "read" })),
        ("POST", "/api/v1/totp", Value::Null),
        ("PUT", "/api/v1/totp", json!({ "code": "123456" })),
        ("PATCH", "/api/v1/profile", json!({ "email": "mallory@example.org" })),
        ("POST", "/api/v1/invitations", json!({ "role": "admin" })),
        ("PATCH", "/api/v1/users/1", json!({ "tailscale_login": "mallory@github" })),
        ("POST", "/api/v1/users/1/reset", json!({})),
    ]
}

fn ask(app: &App, browser: &mut Browser, (method, path, body): &(&str, &str, Value)) -> crate::client::Answer {
    browser.send(app, method, path, Some(body).filter(|body| !body.is_null()))
}

#[test]
fn an_hour_after_the_sign_in_nothing_lasting_is_made_until_the_next() {
    let data = Data::new();
    let app = Start::alone(&data).env("HEARTH_HTTP__PUBLIC_URL", "http://localhost:4000").start();
    let mut browser = join(&app, "owner", "anna@example.org");
    data.sql("UPDATE session SET created_at = '2026-11-24T12:00:00.000Z'");
    // What another process writes is seen within a second.
    eventually("the session to be old", || {
        let answer = browser.post(&app, "/api/v1/totp", &Value::Null);
        (answer.status == 403).then_some(())
    });
    for request in requests() {
        let problem = ask(&app, &mut browser, &request).problem(403);
        assert_eq!(problem["type"], AGAIN, "{request:?}");
        assert!(problem["detail"].as_str().unwrap().contains("Sign in again"), "{problem}");
    }
    // The pages say so before anything is typed, and lead to where it is mended.
    for path in ["/account", "/people"] {
        let page = browser.get(&app, path).text().to_owned();
        assert!(page.contains(&format!(r#"href="/sign-in?next=%2F{}">Sign in again"#, &path[1..])), "{page}");
    }
    let page = browser.get(&app, "/sign-in?next=/account");
    assert!(page.status == 200 && page.text().contains(r#"href="/account">continue as"#), "{page:?}");
    // All else goes on.
    assert_eq!(browser.post(&app, "/api/v1/records", &json!({ "title": "x" })).status, 201);
    assert_eq!(browser.send(&app, "PATCH", "/api/v1/profile", Some(&json!({ "name": "Anna" }))).status, 200);
    let body = json!({ "current_password": PASSWORD, "new_password": "eight-green-bottles" });
    assert_eq!(browser.post(&app, "/api/v1/password", &body).status, 204);
    let (mut again, answer) = sign_in(&app, "anna@example.org", "eight-green-bottles");
    assert_eq!(answer.status, 201, "{answer:?}");
    let page = again.get(&app, "/account").text().to_owned();
    assert!(!page.contains("sign in again"), "{page}");
    assert_eq!(again.get(&app, "/sign-in").status, 303);
    for request in requests() {
        let answer = ask(&app, &mut again, &request);
        // The code is none.
        assert!(answer.status < 300 || request.0 == "PUT" && answer.status == 400, "{request:?}: {answer:?}");
    }
    app.stop();
    // Nothing came of what was refused.
    assert_eq!(data.count("SELECT count(*) FROM api_token WHERE name = 'robot'"), 1);
}

#[test]
fn a_linked_account_is_shown_and_taken_away() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = join(&app, "member", "anna@example.org");
    let linked = |browser: &mut Browser| browser.get(&app, "/api/v1/linked-accounts").json()["items"].clone();
    assert_eq!(linked(&mut browser), json!([]), "a password is none");
    let change = json!({ "tailscale_login": "Anna@github" });
    assert_eq!(app.send("PATCH", "/api/v1/users/2", &change).status, 200);
    let found = linked(&mut browser);
    assert_eq!((&found[0]["provider"], &found[0]["provider_id"]), (&json!("tailscale"), &json!("anna@github")));
    let page = browser.get(&app, "/account").text().to_owned();
    assert!(page.contains("Linked accounts") && page.contains("anna@github"), "{page}");
    let path = format!("/api/v1/linked-accounts/{}", found[0]["id"]);
    // Nobody else's, not even for the owner.
    app.ask("DELETE", &path, &[], b"").problem(404);
    assert_eq!(browser.send(&app, "DELETE", &path, None).status, 204);
    browser.send(&app, "DELETE", &path, None).problem(404);
    assert_eq!(linked(&mut browser), json!([]));
    let events = app.get("/api/v1/audit-events").json();
    assert_eq!(events["items"][0]["kind"], "account_unlinked", "{events}");
    assert_eq!(events["items"][0]["subject"], "tailscale anna@github");
    app.stop();
}
