//! Invitations and links to choose a new password: good for a time, and once.

use serde_json::{Value, json};

use super::browser::{Browser, PASSWORD, join, sign_in};
use crate::harness::{App, Data, Start};

fn invite(app: &App, role: &str) -> Value {
    let answer = app.send("POST", "/api/v1/invitations", &json!({ "role": role, "email": "Anna@example.org" }));
    assert_eq!(answer.status, 201, "{answer:?}");
    answer.json()
}

fn accept(app: &App, token: &str) -> crate::client::Answer {
    let body = json!({ "token": token, "name": "Anna", "email": "anna@example.org", "password": PASSWORD });
    Browser::default().post(app, "/api/v1/invitations/accept", &body)
}

#[test]
fn an_invitation_is_good_once_until_it_is_revoked_or_expires() {
    let data = Data::new();
    let app = Start::alone(&data).env("HEARTH_HTTP__PUBLIC_URL", "http://localhost:4000").start();
    let made = invite(&app, "guest");
    let token = made["link"]["token"].as_str().unwrap();
    assert_eq!(made["link"]["url"], format!("http://localhost:4000/invitation/{token}"));
    assert_eq!(made["invitation"]["email"], "anna@example.org");
    accept(&app, "none").problem(404);
    let answer = accept(&app, token);
    assert_eq!(answer.json()["user"]["role"], "guest", "{answer:?}");
    accept(&app, token).problem(404);
    app.send("POST", "/api/v1/invitations", &json!({ "role": "guest", "email": "anna@example.org" })).problem(400);
    let revoked = app.send("POST", "/api/v1/invitations", &json!({ "role": "guest" })).json();
    let id = revoked["invitation"]["id"].as_i64().unwrap();
    assert_eq!(app.get("/api/v1/invitations").json()["items"].as_array().unwrap().len(), 1);
    assert_eq!(app.ask("DELETE", &format!("/api/v1/invitations/{id}"), &[], b"").status, 204);
    app.ask("DELETE", &format!("/api/v1/invitations/{id}"), &[], b"").problem(404);
    accept(&app, revoked["link"]["token"].as_str().unwrap()).problem(404);
    let expired = app.send("POST", "/api/v1/invitations", &json!({ "role": "guest" })).json();
    data.sql("UPDATE verification SET expires_at = '2020-01-01T00:00:00.000Z' WHERE kind = 'invitation'");
    accept(&app, expired["link"]["token"].as_str().unwrap()).problem(404);
    assert_eq!(app.get("/api/v1/invitations").json()["items"], json!([]));
    app.stop();
}

#[test]
fn an_invitation_used_by_two_at_once_makes_one() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let made = app.send("POST", "/api/v1/invitations", &json!({ "role": "member" })).json();
    let token = made["link"]["token"].as_str().unwrap();
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..5)
            .map(|number| {
                let app = &app;
                scope.spawn(move || {
                    let email = format!("person{number}@example.org");
                    let body = json!({ "token": token, "name": "P", "email": email, "password": PASSWORD });
                    Browser::default().post(app, "/api/v1/invitations/accept", &body).status
                })
            })
            .collect();
        tries.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 2);
}

#[test]
fn a_reset_sets_the_password_once_and_ends_all_sessions() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut own = join(&app, "member", "anna@example.org");
    let reset = || {
        let answer = app.send("POST", "/api/v1/users/2/reset", &json!({}));
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["token"].as_str().unwrap().to_owned()
    };
    let first = reset();
    let second = reset();
    let take = |token: &str| {
        let body = json!({ "token": token, "password": "eight-blue-bottles" });
        Browser::default().post(&app, "/api/v1/reset", &body)
    };
    // The newer link takes the older one's place.
    take(&first).problem(404);
    assert_eq!(own.get(&app, "/api/v1/session").status, 200);
    assert_eq!(take(&second).status, 204);
    take(&second).problem(404);
    own.get(&app, "/api/v1/session").problem(401);
    assert_eq!(sign_in(&app, "anna@example.org", PASSWORD).1.status, 401);
    assert_eq!(sign_in(&app, "anna@example.org", "eight-blue-bottles").1.status, 201);
    let third = reset();
    data.sql("UPDATE verification SET expires_at = '2020-01-01T00:00:00.000Z' WHERE kind = 'reset'");
    take(&third).problem(404);
    app.send("POST", "/api/v1/users/1000/reset", &json!({})).problem(404);
    app.stop();
}

#[test]
fn a_link_is_worth_no_more_than_who_made_it() {
    let data = Data::new();
    let admin = "hearth_admin";
    let admin_id = data.add_person("admin", admin);
    let app = Start::alone(&data).start();
    let mut ben = join(&app, "member", "ben@example.org");
    let id = ben.get(&app, "/api/v1/session").json()["user"]["id"].as_i64().unwrap();
    let invited = app.send_as(admin, "POST", "/api/v1/invitations", &json!({ "role": "member" })).json();
    let reset = app.send_as(admin, "POST", &format!("/api/v1/users/{id}/reset"), &json!({})).json();
    let take = |token: &Value| {
        let body = json!({ "token": token, "password": "eight-blue-bottles" });
        Browser::default().post(&app, "/api/v1/reset", &body)
    };
    // Ben has risen above who made the link.
    let role = |id: i64, role: &str| {
        assert_eq!(app.send("PATCH", &format!("/api/v1/users/{id}"), &json!({ "role": role })).status, 200);
    };
    role(id, "admin");
    take(&reset["token"]).problem(404);
    role(id, "member");
    // And who made them may do nothing of the kind any more.
    role(admin_id, "member");
    take(&reset["token"]).problem(404);
    accept(&app, invited["link"]["token"].as_str().unwrap()).problem(404);
    role(admin_id, "admin");
    assert_eq!(accept(&app, invited["link"]["token"].as_str().unwrap()).status, 201);
    assert_eq!(take(&reset["token"]).status, 204);
    // Nobody gets past the question for their own password.
    let own = format!("/api/v1/users/{admin_id}/reset");
    app.send_as(admin, "POST", &own, &json!({ "remove_totp": true })).problem(403);
    app.send("POST", "/api/v1/users/1/reset", &json!({})).problem(403);
    app.stop();
}
