//! What providers and browsers do otherwise than the simplest ones, and is right.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{CALLBACK, Visitor, add_alice, back, let_in, say, turned_away, with};
use crate::{
    harness::Data,
    provider::{CLIENT, Provider},
};

#[test]
fn of_two_tabs_each_finishes_its_own_sign_in_in_any_order() {
    for order in [[0, 1], [1, 0]] {
        let (provider, data) = (Provider::start(), Data::new());
        let alice = add_alice(&data);
        let app = with(&data, &provider).start();
        let mut visitor = Visitor::default();
        let tabs = [
            visitor.begin_at(&app, "/sign-in/oidc?next=/people"),
            visitor.begin_at(&app, "/sign-in/oidc?next=/account"),
        ];
        for tab in order {
            let (code, state) = provider.visit(&tabs[tab]);
            let answer = visitor.open(&app, &back(&code, &state));
            let next = ["/people", "/account"][tab];
            assert_eq!((answer.status, answer.header("location")), (303, Some(next)), "{order:?}: {answer:?}");
            assert_eq!(visitor.user(&app).unwrap()["id"], alice, "{order:?}");
        }
        app.stop();
    }
}

#[test]
fn a_page_that_leads_the_browser_to_the_callback_ends_no_sign_in() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).start();
    for wrong in [
        CALLBACK.to_owned(),
        format!("{CALLBACK}?code=x"),
        format!("{CALLBACK}?state=x"),
        format!("{CALLBACK}?code=x&state=x"),
        format!("{CALLBACK}?error=access_denied"),
        format!("{CALLBACK}?error=access_denied&state=x"),
        format!("{CALLBACK}?code=x&code=y&state=x&state=y"),
        back("code-0", &"x".repeat(2000)),
    ] {
        let mut visitor = Visitor::default();
        let path = visitor.visit(&app, &provider);
        let answer = visitor.open(&app, &wrong);
        assert!((400..500).contains(&answer.status), "{wrong}: {answer:?}");
        assert_eq!(visitor.user(&app), None, "{wrong}");
        let answer = visitor.open(&app, &path);
        let_in(&mut visitor, &app, &answer);
    }
    app.stop();
}

#[test]
fn what_a_token_lacks_is_asked_for_and_what_nobody_needs_may_be_anything() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let info = json!({ "sub": "alice-1", "email": "alice@example.org", "email_verified": true, "name": "Alice" });
    for claims in [
        vec![("email_verified", Value::Null)],
        vec![("email_verified", Value::Null), ("email", Value::Null), ("name", Value::Null)],
        vec![("email_verified", json!("true"))],
        vec![("updated_at", json!("2026-05-01T10:00:00.000Z"))],
        vec![("acr", json!(1)), ("amr", json!("pwd")), ("auth_time", json!("yesterday"))],
        vec![("address", json!("a street")), ("locale", json!(7)), ("picture", json!({})), ("at_hash", json!([]))],
        vec![("aud", json!([CLIENT, "264077012140818435"])), ("azp", json!(CLIENT))],
        vec![("aud", json!([CLIENT]))],
        vec![("exp", json!(now - 30)), ("iat", json!(now - 90))],
        vec![("iat", json!(now + 30)), ("nbf", json!(now + 30)), ("exp", json!(now + 300))],
    ] {
        let (provider, data) = (Provider::start(), Data::new());
        let alice = add_alice(&data);
        provider.ways().info = info.clone();
        say(&provider, &claims);
        let app = with(&data, &provider).start();
        let mut visitor = Visitor::default();
        let answer = visitor.sign_in(&app, &provider);
        assert_eq!(answer.status, 303, "{claims:?}: {answer:?}");
        assert_eq!(let_in(&mut visitor, &app, &answer)["id"], alice, "{claims:?}");
        app.stop();
    }
}

#[test]
fn a_token_that_was_made_for_another_program_is_not_believed() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).start();
    for (audience, party) in [
        (json!(CLIENT), json!("another")),
        (json!([CLIENT, "another"]), json!("another")),
        (json!([CLIENT, "another"]), Value::Null),
        (json!(["another"]), json!(CLIENT)),
    ] {
        say(&provider, &[("aud", audience.clone()), ("azp", party.clone())]);
        let mut visitor = Visitor::default();
        let answer = visitor.sign_in(&app, &provider);
        assert_eq!(answer.status, 401, "{audience} {party}: {answer:?}");
        turned_away(&mut visitor, &app, &answer, 401, "the ID token is for another client");
    }
    app.stop();
}
