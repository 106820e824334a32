//! Programs' tokens.

use serde_json::json;

use super::browser::join;
use crate::harness::{Data, Start, eventually};

#[test]
fn a_token_is_shown_once_used_and_revoked() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = join(&app, "member", "anna@example.org");
    let made = browser.post(&app, "/api/v1/tokens", &json!({ "name": "Phone", "scope": "write" })).json();
    let secret = made["secret"].as_str().unwrap();
    assert!(secret.starts_with("hearth_"));
    let list = browser.get(&app, "/api/v1/tokens");
    assert!(!list.text().contains(secret));
    assert_eq!(list.json()["items"][0]["name"], "Phone");
    assert_eq!(app.get_as(secret, "/api/v1/records").status, 200);
    assert_eq!(app.send_as(secret, "POST", "/api/v1/records", &json!({ "title": "x" })).status, 201);
    eventually("the use", || {
        browser.clone().get(&app, "/api/v1/tokens").json()["items"][0]["last_used_at"].is_string().then_some(())
    });
    let path = format!("/api/v1/tokens/{}", made["token"]["id"]);
    // Not another one's.
    app.ask("DELETE", &path, &[], b"").problem(404);
    assert_eq!(browser.send(&app, "DELETE", &path, None).status, 204);
    app.get_as(secret, "/api/v1/records").problem(401);
    app.stop();
}

#[test]
fn an_expired_or_made_up_token_is_refused_even_beside_a_good_cookie() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = join(&app, "member", "anna@example.org");
    browser
        .post(
            &app,
            "/api/v1/tokens",
            &json!({ "name": "t", "scope": "read", "expires_at": "2020-01-01T00:00:00.000Z" }),
        )
        .problem(400);
    let body = json!({ "name": "t", "scope": "read", "expires_at": "2999-01-01T00:00:00.000Z" });
    let made = browser.post(&app, "/api/v1/tokens", &body).json();
    let secret = made["secret"].as_str().unwrap();
    assert_eq!(app.get_as(secret, "/api/v1/records").status, 200);
    data.sql("UPDATE api_token SET expires_at = '2020-01-01T00:00:00.000Z' WHERE name = 't'");
    // A write that is not the app's: what it remembers of the token is good for a second more.
    eventually("the end of the token", || (app.get_as(secret, "/api/v1/records").status == 401).then_some(()));
    app.get_as(secret, "/api/v1/records").problem(401);
    let cookie = browser.cookie();
    for value in [
        format!("Bearer {secret}"),
        "Bearer hearth_made-up".to_owned(),
        "Bearer".to_owned() + " x",
        format!("bearer {secret}"),
    ] {
        let headers = [("authorization", &*value), ("cookie", &*cookie)];
        app.ask("GET", "/api/v1/records", &headers, b"").problem(401);
    }
    // Of another scheme: some proxy's.
    let headers = [("authorization", "Basic YTpi"), ("cookie", &*cookie)];
    assert_eq!(app.ask("GET", "/api/v1/records", &headers, b"").status, 200);
    app.stop();
}

#[test]
fn the_end_of_a_token_is_taken_in_any_form_of_rfc_3339() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for (written, kept) in [
        ("2999-01-01T00:00:00Z", "2999-01-01T00:00:00.000Z"),
        ("2999-01-01t00:00:00z", "2999-01-01T00:00:00.000Z"),
        ("2999-01-01T00:00:00.5Z", "2999-01-01T00:00:00.500Z"),
        ("2999-01-01T01:00:00+01:00", "2999-01-01T00:00:00.000Z"),
        ("2998-12-31T18:45:00.123456789-05:15", "2999-01-01T00:00:00.123Z"),
        ("2998-12-31T23:59:60Z", "2998-12-31T23:59:59.999Z"),
    ] {
        let made = app.send("POST", "/api/v1/tokens", &json!({ "name": "t", "scope": "read", "expires_at": written }));
        assert_eq!(made.status, 201, "{written}: {made:?}");
        assert_eq!(made.json()["token"]["expires_at"], kept, "{written}");
    }
    for wrong in ["2999-01-01", "2999-01-01 00:00:00Z", "2999-01-01T00:00:00", "2999-02-30T00:00:00Z", "soon", ""] {
        let body = json!({ "name": "t", "scope": "read", "expires_at": wrong });
        let refused = app.send("POST", "/api/v1/tokens", &body);
        assert_eq!(refused.problem(400)["errors"][0]["field"], "expires_at", "{wrong}");
    }
    app.stop();
}
