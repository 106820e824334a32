//! A provider that is not there, or says nothing, or nonsense.

use std::net::TcpListener;

use serde_json::json;

use super::{BEGIN, Visitor, add_alice, at, let_in, turned_away, with};
use crate::{
    accounts::browser::{PASSWORD, join, sign_in},
    client::exchange,
    harness::{Data, eventually},
    provider::Provider,
};

/// An address at which nobody listens.
fn nobody_there() -> String {
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!("http://{unused}")
}

#[test]
fn a_provider_that_is_down_is_named_and_a_password_still_opens() {
    let data = Data::new();
    let issuer = nobody_there();
    // The app does not need it to start.
    let app = at(&data, &issuer).start();
    let mut visitor = Visitor::default();
    for _ in 0..2 {
        let answer = visitor.open(&app, BEGIN);
        turned_away(
            &mut visitor,
            &app,
            &answer,
            503,
            &format!("The provider {issuer} cannot be reached (Connection refused"),
        );
        assert_eq!(answer.header("retry-after"), Some("10"), "{answer:?}");
        assert!(visitor.0.cookies.is_empty(), "{answer:?}");
    }
    join(&app, "member", "ben@example.org");
    assert_eq!(sign_in(&app, "ben@example.org", PASSWORD).1.status, 201);
    // Once, and not for each who tried.
    let lines = app.stop();
    let said: Vec<_> = lines.iter().filter(|line| line.contains(&issuer)).collect();
    assert_eq!(said.len(), 1, "{lines:#?}");
    assert!(said[0].contains("auth.oidc_issuer"), "{said:?}");
}

#[test]
fn a_provider_that_comes_back_is_asked_again_soon() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let app = with(&data, &provider).start();
    provider.ways().metadata = Box::new(|said| said["issuer"] = json!("https://id.example.org"));
    let mut visitor = Visitor::default();
    let answer = visitor.open(&app, BEGIN);
    turned_away(&mut visitor, &app, &answer, 503, "auth.oidc_issuer must match it exactly");
    provider.ways().metadata = Box::new(|_| {});
    eventually("the provider", || (visitor.open(&app, BEGIN).status == 303).then_some(()));
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    let_in(&mut visitor, &app, &answer);
    app.stop();
}

#[test]
fn a_provider_that_fails_in_between_leaves_nobody_half_signed_in() {
    let (provider, data) = (Provider::start(), Data::new());
    add_alice(&data);
    let down = format!("{}/token", nobody_there());
    provider.ways().metadata = Box::new(move |said| said["token_endpoint"] = json!(down));
    let app = with(&data, &provider).start();
    let mut visitor = Visitor::default();
    let answer = visitor.sign_in(&app, &provider);
    turned_away(&mut visitor, &app, &answer, 401, "cannot be reached (Connection refused");
    app.stop();

    provider.ways().metadata = Box::new(|_| {});
    let app = with(&data, &provider).start();
    for (status, body, words) in [
        (401, r#"{"error":"invalid_client"}"#, "rejects the code (invalid_client); if this happens every time"),
        (500, "", "returned no tokens"),
        (200, "<html>", "returned tokens that cannot be read"),
        (200, r#"{"access_token":"a","token_type":"Bearer"}"#, "there is no ID token"),
    ] {
        provider.ways().token_answer = Some((status, body.to_owned()));
        let answer = visitor.sign_in(&app, &provider);
        turned_away(&mut visitor, &app, &answer, 401, words);
    }
    // It was one bad day.
    provider.ways().token_answer = None;
    let answer = visitor.sign_in(&app, &provider);
    let_in(&mut visitor, &app, &answer);
    // The operator is told once, not each time.
    let lines = app.stop();
    let said: Vec<_> = lines.iter().filter(|line| line.contains("Single sign-on failed.")).collect();
    assert!(said.len() == 1 && said[0].contains("invalid_client"), "{lines:#?}");
}

#[test]
fn a_provider_that_says_nothing_keeps_only_those_waiting_who_want_it() {
    let data = Data::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let issuer = format!("http://{}", silent.local_addr().unwrap());
    let app = at(&data, &issuer).start();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| {
            let mut visitor = Visitor::default();
            let answer = visitor.open(&app, BEGIN);
            turned_away(&mut visitor, &app, &answer, 503, &format!("The provider {issuer} does not answer."));
        });
        // It has been asked, and stays open without a word.
        let _asked = silent.accept().unwrap();
        let page = exchange(app.connect(), "GET", "/sign-in", &[("accept", "text/html")], b"");
        assert_eq!(page.status, 200, "{page:?}");
        assert!(!waiting.is_finished(), "nobody waited");
        waiting.join().unwrap();
    });
    app.stop();
}
