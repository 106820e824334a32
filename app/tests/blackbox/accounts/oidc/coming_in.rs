//! Those whom the provider's word lets in.

use std::collections::HashMap;

use serde_json::{Value, json};
use url::Url;

use super::{ALICE, BEGIN, PENDING, SESSION, Visitor, add_alice, kinds, let_in, say, turned_away, with};
use crate::{client::Answer, harness::Data, provider::Provider};

/// The whole of a cookie that an answer sets.
fn cookie<'a>(answer: &'a Answer, name: &str) -> &'a str {
    let beginning = format!("set-cookie: {name}=");
    let found = answer.head.lines().find_map(|line| line.strip_prefix(&*beginning));
    found.unwrap_or_else(|| panic!("{name}: {answer:?}"))
}

#[test]
fn the_browser_is_sent_there_with_a_new_state_nonce_and_challenge_each_time() {
    let (provider, data) = (Provider::start(), Data::new());
    let app = with(&data, &provider).start();
    let mut visitor = Visitor::default();
    let page = visitor.open(&app, "/sign-in");
    assert!(page.text().contains("/sign-in/oidc\">Sign in with Pocket ID"), "{page:?}");
    assert_eq!(app.get("/api/v1/auth").json()["single_sign_on"]["name"], "Pocket ID");

    let answer = visitor.open(&app, BEGIN);
    assert_eq!((answer.status, answer.header("cache-control")), (303, Some("no-store")), "{answer:?}");
    let kept = cookie(&answer, PENDING);
    assert!(kept.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=600"), "{kept}");

    let query = |location: &str| -> HashMap<String, String> {
        assert!(location.starts_with(&format!("{}/authorize?", provider.issuer())), "{location}");
        Url::parse(location).unwrap().query_pairs().into_owned().collect()
    };
    let first = query(answer.header("location").unwrap());
    let second = query(&visitor.begin(&app));
    assert_eq!((&*first["code_challenge_method"], &*first["response_type"]), ("S256", "code"));
    assert_eq!(first["redirect_uri"], "https://hearth.example.org/sign-in/oidc/callback");
    // 32 bytes of SHA-256, and 128 bits that nobody guesses.
    for (key, length) in [("code_challenge", 43), ("state", 22), ("nonce", 22)] {
        assert_eq!(first[key].len(), length, "{key}");
        assert_ne!(first[key], second[key], "{key}");
        assert!(!kept.contains(&first[key]), "{key}");
    }
    assert!(!first.contains_key("code_verifier"));
    app.stop();
}

#[test]
fn whoever_has_the_same_verified_email_is_linked_and_comes_in() {
    let (provider, data) = (Provider::start(), Data::new());
    let alice = add_alice(&data);
    let app = with(&data, &provider).start();
    say(&provider, &[("email", json!("ALICE@Example.org"))]);
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    let session = cookie(&answer, SESSION);
    assert!(session.ends_with("; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=604800"), "{session}");
    let ended = cookie(&answer, PENDING);
    assert!(ended.starts_with("; ") && ended.ends_with("; Max-Age=0"), "{answer:?}");
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let user = let_in(&mut visitor, &app, &answer);
    // The household's own words about her stay.
    assert_eq!((&user["id"], &user["name"]), (&json!(alice), &json!("Alice of the house")));
    assert_eq!((&user["email"], &user["role"]), (&json!(ALICE), &json!("member")));
    assert_eq!(visitor.open(&app, "/").status, 200);

    assert_eq!(kinds(&app), json!(["signed_in", "account_linked"]));
    let events = app.get("/api/v1/audit-events").json();
    assert_eq!((&events["items"][0]["who"], &events["items"][0]["method"]), (&json!(ALICE), &json!("single sign-on")));
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM account WHERE provider = 'oidc'"), 1);
}

#[test]
fn later_somebody_is_known_by_the_link_whatever_their_email_is() {
    let (provider, data) = (Provider::start(), Data::new());
    let alice = add_alice(&data);
    let app = with(&data, &provider).env("HEARTH_AUTH__OIDC_JOIN", "member").start();
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    let_in(&mut visitor, &app, &answer);
    // A new one, one that is not verified, none, and that of somebody else of the household.
    for claims in [
        &[("email", json!("alice@elsewhere.example"))][..],
        &[("email_verified", json!(false))],
        &[("email", Value::Null), ("email_verified", Value::Null)],
        &[("email", json!("owner0@example.org"))],
    ] {
        say(&provider, claims);
        let mut visitor = Visitor::default();
        let answer = visitor.sign_in(&app, &provider);
        assert_eq!(let_in(&mut visitor, &app, &answer)["id"], alice, "{claims:?}");
    }
    say(&provider, &[]);
    data.sql(&format!("UPDATE user SET email = 'changed@example.org' WHERE id = {alice}"));
    let answer = visitor.sign_in(&app, &provider);
    let user = let_in(&mut visitor, &app, &answer);
    assert_eq!((&user["id"], &user["email"]), (&json!(alice), &json!("changed@example.org")));
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 2);
    assert_eq!(data.count("SELECT count(*) FROM account WHERE provider = 'oidc'"), 1);
}

#[test]
fn somebody_is_known_at_their_own_provider_alone() {
    let (provider, other, data) = (Provider::start(), Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).start();
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    let_in(&mut visitor, &app, &answer);
    app.stop();
    // The same subject at another one is anybody.
    let app = with(&data, &other).start();
    say(&other, &[("email_verified", json!(false))]);
    let mut stranger = Visitor::default();
    let answer = stranger.sign_in(&app, &other);
    turned_away(&mut stranger, &app, &answer, 403, "has not verified that alice@example.org is your e-mail");
    app.stop();
}

#[test]
fn whoever_is_not_of_the_household_joins_as_the_settings_say() {
    for role in ["guest", "member"] {
        let (provider, data) = (Provider::start(), Data::new());
        let app = with(&data, &provider).env("HEARTH_AUTH__OIDC_JOIN", role).start();
        say(&provider, &[("email_verified", json!(false))]);
        let mut visitor = Visitor::default();
        let answer = visitor.sign_in(&app, &provider);
        turned_away(&mut visitor, &app, &answer, 403, "so it was not linked");
        say(&provider, &[]);
        for _ in 0..2 {
            let answer = visitor.sign_in(&app, &provider);
            let user = let_in(&mut visitor, &app, &answer);
            assert_eq!((&user["role"], &user["name"], &user["email"]), (&json!(role), &json!("Alice"), &json!(ALICE)));
        }
        assert_eq!(kinds(&app), json!(["signed_in", "signed_in", "user_created", "sign_in_failed"]));
        let headers =
            [("cookie", &*visitor.0.cookie()), ("host", "hearth.example.org"), ("sec-fetch-site", "same-origin")];
        let body = [("content-type", "application/json")];
        let written = app.ask("POST", "/api/v1/records", &[&headers[..], &body].concat(), b"{\"title\":\"x\"}");
        assert_eq!(written.status, if role == "guest" { 403 } else { 201 }, "{written:?}");
        app.stop();
        assert_eq!(data.count("SELECT count(*) FROM user"), 2);
    }
}

#[test]
fn a_name_that_could_read_as_another_is_not_taken_over() {
    let (provider, data) = (Provider::start(), Data::new());
    let app = with(&data, &provider).env("HEARTH_AUTH__OIDC_JOIN", "guest").start();
    for (number, name) in [json!("\u{202e}renwo ehT"), json!("x".repeat(101)), Value::Null].into_iter().enumerate() {
        let email = format!("person{number}@example.org");
        provider.ways().info = json!({ "sub": format!("subject-{number}") });
        say(&provider, &[("sub", json!(format!("subject-{number}"))), ("email", json!(email)), ("name", name.clone())]);
        let mut visitor = Visitor::default();
        let answer = visitor.sign_in(&app, &provider);
        assert_eq!(let_in(&mut visitor, &app, &answer)["name"], email, "{name}");
    }
    app.stop();
}

#[test]
fn nobody_joins_an_instance_without_an_owner() {
    let (provider, data) = (Provider::start(), Data::unowned());
    let app = with(&data, &provider).env("HEARTH_AUTH__OIDC_JOIN", "member").start();
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    turned_away(&mut visitor, &app, &answer, 403, "No active user has the e-mail alice@example.org");
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 0);
}

#[test]
fn two_browsers_that_come_back_at_once_make_one_person() {
    let (provider, data) = (Provider::start(), Data::new());
    let app = with(&data, &provider).env("HEARTH_AUTH__OIDC_JOIN", "guest").start();
    let begun: Vec<_> = (0..5)
        .map(|_| {
            let mut visitor = Visitor::default();
            let path = visitor.visit(&app, &provider);
            (visitor, path)
        })
        .collect();
    std::thread::scope(|scope| {
        for (mut visitor, path) in begun {
            let app = &app;
            scope.spawn(move || {
                let answer = visitor.open(app, &path);
                assert_eq!(let_in(&mut visitor, app, &answer)["id"], 2);
            });
        }
    });
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 2);
    assert_eq!(data.count("SELECT count(*) FROM account WHERE provider = 'oidc'"), 1);
    assert_eq!(data.count("SELECT count(*) FROM session"), 5);
}
