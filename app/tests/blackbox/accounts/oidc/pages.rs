//! Where does single sign-on begin, and where does it lead?

use serde_json::json;

use super::{ALICE, BEGIN, SESSION, Visitor, back, say, with};
use crate::{
    accounts::browser::{Browser, join},
    client::Answer,
    harness::{App, Data},
    provider::Provider,
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");

/// Goes to the provider, on the way to `next`, and comes back.
fn come_back(app: &App, provider: &Provider, next: &str) -> Answer {
    let mut visitor = Visitor::default();
    let (code, state) = provider.visit(&visitor.begin_at(app, &format!("{BEGIN}?next={next}")));
    visitor.open(app, &back(&code, &state))
}

#[test]
fn single_sign_on_leads_to_where_somebody_wanted_to_go_and_nowhere_else() {
    let (provider, data) = (Provider::start(), Data::new());
    let app = with(&data, &provider).start();
    join(&app, "member", ALICE);
    let page = app.ask_as_nobody("GET", "/sign-in?next=/people", &[HTML], b"");
    assert!(page.text().contains(r#"href="/sign-in/oidc?next=%2Fpeople""#), "{}", page.text());
    let long = format!("/{}", "a".repeat(5000));
    for (next, place) in [
        ("%2Fpeople%23anna", "/people#anna"),
        ("", "/"),
        ("%2F%2Fevil.example", "/"),
        ("%2F%5Cevil.example", "/"),
        ("https%3A%2F%2Fevil.example", "/"),
        (&*long, "/"),
    ] {
        let answer = come_back(&app, &provider, next);
        assert_eq!((answer.status, answer.header("location")), (303, Some(place)), "{next}: {answer:?}");
        assert!(answer.head.contains(&format!("set-cookie: {SESSION}=")), "{answer:?}");
    }
    app.stop();
}

#[test]
fn single_sign_on_begins_where_the_provider_leads_back_to() {
    let (provider, data) = (Provider::start(), Data::new());
    let app = with(&data, &provider).start();
    let begin = |path: &str, host: &str| {
        let answer = app.ask_as_nobody("GET", path, &[HTML, ("host", host)], b"");
        assert_eq!(answer.status, 303, "{answer:?}");
        (answer.header("location").unwrap().to_owned(), answer.header("set-cookie").is_some())
    };
    let there = "/sign-in/oidc?moved=true&next=%2Fpeople";
    for host in ["nas:3000", "127.0.0.1", "localhost"] {
        let begun = begin("/sign-in/oidc?next=/people", host);
        assert_eq!(begun, (format!("https://hearth.example.org{there}"), false), "{host}");
    }
    // Once: a proxy may put another name in Host.
    for host in ["hearth.example.org", "web:3000"] {
        let (address, has_cookie) = begin(there, host);
        assert!(address.starts_with(provider.issuer()) && has_cookie, "{host}: {address}");
    }
    app.stop();
}

#[test]
fn a_proxy_that_says_nothing_of_https_makes_no_session_that_cannot_write() {
    let (provider, data) = (Provider::start(), Data::new());
    let app = with(&data, &provider).start();
    join(&app, "member", ALICE);
    // As nginx hands requests on when it is told nothing else: another Host, and not a word of the scheme.
    let proxied = |method: &str, path: &str, browser: &mut Browser, more: &[(&str, &str)], body: &[u8]| {
        let cookie = browser.cookie();
        let headers = [&[HTML, ("host", "web:3000"), ("cookie", &*cookie)], more].concat();
        let answer = app.ask_as_nobody(method, path, &headers, body);
        browser.keep(&answer);
        answer
    };
    let mut browser = Browser::default();
    let begun = proxied("GET", &format!("{BEGIN}?moved=true&next=/"), &mut browser, &[], b"");
    let (code, state) = provider.visit(begun.header("location").unwrap());
    assert_eq!(proxied("GET", &back(&code, &state), &mut browser, &[], b"").status, 303);
    assert!(browser.cookies.contains_key(SESSION), "{:?}", browser.cookies);
    assert_eq!(proxied("GET", "/account", &mut browser, &[], b"").status, 200);
    let from_a_page = [FORM, ("origin", "https://hearth.example.org"), ("sec-fetch-site", "same-origin")];
    let added = proxied("POST", "/records", &mut browser, &from_a_page, b"title=Boiler");
    assert_eq!(added.status, 303, "{added:?}");
    app.stop();
}

#[test]
fn single_sign_on_says_why_somebody_is_not_known() {
    let (provider, data) = (Provider::start(), Data::new());
    let app = with(&data, &provider).start();
    let stranger = come_back(&app, &provider, "/");
    assert_eq!(stranger.status, 403, "{stranger:?}");
    assert!(stranger.text().contains("Ask an admin or an owner for an invitation"), "{}", stranger.text());
    join(&app, "member", ALICE);
    say(&provider, &[("email_verified", json!(false))]);
    let unverified = come_back(&app, &provider, "/");
    assert_eq!(unverified.status, 403, "{unverified:?}");
    let text = unverified.text();
    assert!(text.contains("has not verified that alice@example.org is your e-mail"), "{text}");
    assert!(text.contains("not linked") && text.contains(r#"href="/sign-in">Sign in"#), "{text}");
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM account WHERE provider = 'oidc'"), 0);
}
