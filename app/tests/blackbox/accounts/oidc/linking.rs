//! To whose account is the provider's word linked at the first time?

use serde_json::json;

use super::{ALICE, Visitor, add_alice, let_in, say, turned_away, with};
use crate::{
    accounts::browser::{Browser, PASSWORD},
    harness::{App, Data, SESSION_HTTPS},
    provider::Provider,
};

/// Joins by an invitation, with Alice's e-mail; `invited` is the e-mail that the admin wrote into it.
fn claim(app: &App, role: &str, invited: Option<&str>) {
    let mut body = json!({ "role": role });
    if let Some(email) = invited {
        body["email"] = json!(email);
    }
    let token = app.send("POST", "/api/v1/invitations", &body).json()["link"]["token"].clone();
    let body = json!({ "token": token, "name": "Claims to be Alice", "email": ALICE, "password": PASSWORD });
    assert_eq!(Browser::default().post(app, "/api/v1/invitations/accept", &body).status, 201);
}

#[test]
fn an_email_that_only_its_user_claims_is_not_linked_to_its_true_owners_first_sign_in() {
    for (role, join) in [("guest", "refuse"), ("member", "guest")] {
        let (provider, data) = (Provider::start(), Data::new());
        let app = with(&data, &provider).env("HEARTH_AUTH__OIDC_JOIN", join).start();
        claim(&app, role, None);
        let mut alice = Visitor::default();
        let answer = alice.sign_in(&app, &provider);
        turned_away(&mut alice, &app, &answer, 403, "the e-mail was never verified");
        app.stop();
        assert_eq!(data.count("SELECT count(*) FROM account WHERE provider = 'oidc'"), 0);
        assert_eq!(data.count("SELECT count(*) FROM user"), 2);
    }
}

#[test]
fn an_email_that_somebody_changed_to_is_a_claim_as_well() {
    let (provider, data) = (Provider::start(), Data::new());
    let app = with(&data, &provider).start();
    let token =
        app.send("POST", "/api/v1/invitations", &json!({ "role": "member", "email": "mallory@example.org" })).json();
    let body = json!({ "token": token["link"]["token"], "name": "Mallory", "email": "mallory@example.org", "password": PASSWORD });
    let mut mallory = Browser::default();
    assert_eq!(mallory.post(&app, "/api/v1/invitations/accept", &body).status, 201);
    assert_eq!(mallory.send(&app, "PATCH", "/api/v1/profile", Some(&json!({ "email": ALICE }))).status, 200);
    let mut alice = Visitor::default();
    let answer = alice.sign_in(&app, &provider);
    turned_away(&mut alice, &app, &answer, 403, "the e-mail was never verified");
    app.stop();
}

#[test]
fn an_invited_email_is_linked_and_so_is_one_whose_user_is_signed_in_beside_it() {
    let (provider, data) = (Provider::start(), Data::new());
    let app = with(&data, &provider).start();
    claim(&app, "member", Some("Alice@Example.org"));
    let mut alice = Visitor::default();
    let answer = alice.sign_in(&app, &provider);
    assert_eq!(let_in(&mut alice, &app, &answer)["name"], "Claims to be Alice");
    app.stop();

    let (provider, data) = (Provider::start(), Data::new());
    let app = with(&data, &provider).start();
    claim(&app, "member", None);
    let mut alice = Visitor::default();
    let body = json!({ "email": ALICE, "password": PASSWORD }).to_string();
    let headers = [
        ("host", "hearth.example.org"),
        ("content-type", "application/json"),
        ("origin", "https://hearth.example.org"),
    ];
    let answer = app.ask_as_nobody("POST", "/api/v1/session", &headers, body.as_bytes());
    assert_eq!(answer.status, 201, "{answer:?}");
    alice.0.keep(&answer);
    if !alice.0.cookies.contains_key(SESSION_HTTPS) {
        let value = alice.0.cookies.values().next().unwrap().clone();
        panic!("no session over https: {value}");
    }
    let answer = alice.sign_in(&app, &provider);
    assert_eq!(let_in(&mut alice, &app, &answer)["name"], "Claims to be Alice");
    // From now on without the password.
    let mut later = Visitor::default();
    let answer = later.sign_in(&app, &provider);
    let_in(&mut later, &app, &answer);
    app.stop();
}

#[test]
fn an_address_that_only_folds_into_somebodys_is_nobodys() {
    let (provider, data) = (Provider::start(), Data::new());
    let alice = add_alice(&data);
    let app = with(&data, &provider).env("HEARTH_AUTH__OIDC_JOIN", "member").start();
    for (email, words) in [
        ("\u{ff41}lice@example.org", "can be confused with that of another user"),
        ("al\u{131}ce@example.org", "can be confused with that of another user"),
        ("alice@\u{ff45}xample.org", "can be confused with that of another user"),
        ("bec\u{212a}@example.org", "No active user"),
    ] {
        say(&provider, &[("email", json!(email)), ("sub", json!(email))]);
        let mut visitor = Visitor::default();
        let answer = visitor.sign_in(&app, &provider);
        turned_away(&mut visitor, &app, &answer, 403, words);
    }
    app.stop();
    // Two accounts from before that collide: neither is linked, whichever is named.
    let other = data.add_person("member", "hearth_other");
    data.sql(&format!("UPDATE user SET email = '\u{ff41}lice@example.org' WHERE id = {other}"));
    let app = with(&data, &provider).start();
    say(&provider, &[]);
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    turned_away(&mut visitor, &app, &answer, 403, "can be confused with that of another user");
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM account WHERE provider = 'oidc'"), 0);
    // Who was linked before signs in all the same.
    data.sql(&format!(
        "INSERT INTO account (user_id, provider, provider_id, created_at, updated_at) VALUES ({alice}, 'oidc', '{} alice-1',
         '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z')",
        provider.issuer()
    ));
    let app = with(&data, &provider).start();
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    assert_eq!(let_in(&mut visitor, &app, &answer)["id"], alice);
    app.stop();
}
