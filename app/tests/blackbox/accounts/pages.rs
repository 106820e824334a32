//! The pages of accounts, as a browser without scripts uses them.

use super::browser::{Browser, PASSWORD, join};
use crate::{
    client::Answer,
    harness::{App, Data, Start},
    provider::{CLIENT, Provider, SECRET},
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
const PUBLIC: (&str, &str) = ("host", "hearth.example.org");

#[test]
fn a_form_sent_after_the_session_ended_is_kept_to_be_sent_again() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = join(&app, "member", "anna@example.org");
    data.sql("DELETE FROM session");
    let body = "title=Boiler+%3Cb%3E&notes=one%0D%0Atwo";
    let send = |browser: &Browser, path: &str, body: &str| {
        app.ask_as_nobody("POST", path, &[FORM, HTML, OWN, ("cookie", &browser.cookie())], body.as_bytes())
    };
    let over = send(&browser, "/records", body);
    assert_eq!(over.status, 401, "{over:?}");
    let text = over.text();
    for words in [
        "Nothing was saved.",
        r#"href="/sign-in" target="_blank" rel="noopener""#,
        r#"<form class="card" method="post" action="/records">"#,
        r#"name="title" value="Boiler &lt;b&gt;""#,
        "value=\"one\r\ntwo\"",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    // No password comes back, and who wanted to sign out is.
    let over = send(&browser, "/account/password", "current_password=old-otter&new_password=new-otter");
    assert_eq!(over.status, 401);
    assert!(!over.text().contains("otter"), "{}", over.text());
    let out = send(&browser, "/sign-out", "");
    assert_eq!((out.status, out.header("location")), (303, Some("/sign-in")));
    // A program gets a document.
    app.ask_as_nobody("POST", "/records", &[FORM, OWN], body.as_bytes()).problem(401);
    // Signed in again, in another tab.
    let answer = send(&browser, "/sign-in", &format!("email=anna%40example.org&password={PASSWORD}"));
    assert_eq!(answer.status, 303, "{answer:?}");
    browser.keep(&answer);
    assert_eq!(send(&browser, "/records", body).status, 303);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 1);
}

#[test]
fn who_is_disabled_gets_no_link_by_the_pages() {
    let data = Data::new();
    data.add_person("member", "hearth_member");
    let app = Start::alone(&data).start();
    let send = |path: &str, body: &str| app.ask("POST", path, &[FORM, HTML], body.as_bytes());
    assert!(app.get("/people").text().contains("/people/2/reset"));
    assert_eq!(send("/people/2", "disabled=true").status, 303);
    assert!(!app.get("/people").text().contains("/people/2/reset"));
    // The page was open before.
    let refused = send("/people/2/reset", "");
    assert_eq!(refused.status, 409, "{refused:?}");
    assert!(refused.text().contains("The member is disabled"), "{}", refused.text());
    assert!(refused.text().contains("<title>Error: People"), "{}", refused.text());
    assert_eq!(send("/people/2", "disabled=false").status, 303);
    assert_eq!(send("/people/2/reset", "").status, 200);
    app.stop();
}

#[test]
fn a_link_that_others_may_not_be_able_to_open_is_shown_with_a_warning() {
    let data = Data::new();
    let invite = |app: &App, host: &str| {
        let answer = app.ask("POST", "/people/invitations", &[FORM, HTML, ("host", host)], b"role=guest");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.text().to_owned()
    };
    let app = Start::alone(&data).start();
    let here = invite(&app, "nas:3000");
    assert!(here.contains("http://nas:3000/invitation/") && here.contains("HEARTH_HTTP__PUBLIC_URL"), "{here}");
    let alone = invite(&app, "localhost:3000");
    assert!(alone.contains("only on this machine") && alone.contains("HEARTH_HTTP__PUBLIC_URL"), "{alone}");
    app.stop();
    let app = Start::alone(&data).env("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.org").start();
    let everybody = invite(&app, "localhost:3000");
    assert!(everybody.contains("https://hearth.example.org/invitation/"), "{everybody}");
    assert!(!everybody.contains("HEARTH_HTTP__PUBLIC_URL"), "{everybody}");
    app.stop();
}

#[test]
fn who_is_locked_out_reads_what_to_do_and_a_refusal_is_in_the_title() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let page = app.ask_as_nobody("GET", "/sign-in", &[HTML], b"");
    assert!(page.text().contains("app user reset-password"), "{}", page.text());
    let wrong = app.ask_as_nobody("POST", "/sign-in", &[FORM, HTML], b"email=a%40example.org&password=wrong");
    assert_eq!(wrong.status, 401);
    assert!(wrong.text().contains("<title>Error: Sign in"), "{}", wrong.text());
    app.stop();
}

fn single_sign_on(data: &Data, provider: &Provider) -> App {
    Start::alone(data)
        .env("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.org")
        .env("HEARTH_AUTH__OIDC_ISSUER", provider.issuer())
        .env("HEARTH_AUTH__OIDC_CLIENT_ID", CLIENT)
        .env("HEARTH_AUTH__OIDC_CLIENT_SECRET", SECRET)
        .start()
}

/// Goes to the provider and comes back.
fn come_back(app: &App, provider: &Provider, next: &str) -> Answer {
    let begun = app.ask_as_nobody("GET", &format!("/sign-in/oidc?next={next}"), &[HTML, PUBLIC], b"");
    assert_eq!(begun.status, 303, "{begun:?}");
    let mut browser = Browser::default();
    browser.keep(&begun);
    let (code, state) = provider.visit(begun.header("location").unwrap());
    let path = format!("/sign-in/oidc/callback?code={code}&state={state}");
    app.ask_as_nobody("GET", &path, &[HTML, PUBLIC, ("cookie", &browser.cookie())], b"")
}

#[test]
fn single_sign_on_leads_to_where_somebody_wanted_to_go_and_nowhere_else() {
    let data = Data::new();
    let provider = Provider::start();
    let app = single_sign_on(&data, &provider);
    join(&app, "member", "alice@example.org");
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
        assert!(answer.head.contains("set-cookie: __Host-hearth="), "{answer:?}");
    }
    app.stop();
}

#[test]
fn single_sign_on_begins_where_the_provider_leads_back_to() {
    let data = Data::new();
    let provider = Provider::start();
    let app = single_sign_on(&data, &provider);
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
    let data = Data::new();
    let provider = Provider::start();
    let app = single_sign_on(&data, &provider);
    join(&app, "member", "alice@example.org");
    // As nginx hands requests on when it is told nothing else: another Host, and not a word of the scheme.
    let proxied = |method: &str, path: &str, browser: &mut Browser, more: &[(&str, &str)], body: &[u8]| {
        let cookie = browser.cookie();
        let headers = [&[HTML, ("host", "web:3000"), ("cookie", &*cookie)], more].concat();
        let answer = app.ask_as_nobody(method, path, &headers, body);
        browser.keep(&answer);
        answer
    };
    let mut browser = Browser::default();
    let begun = proxied("GET", "/sign-in/oidc?moved=true&next=/", &mut browser, &[], b"");
    let (code, state) = provider.visit(begun.header("location").unwrap());
    let back = format!("/sign-in/oidc/callback?code={code}&state={state}");
    assert_eq!(proxied("GET", &back, &mut browser, &[], b"").status, 303);
    assert!(browser.cookies.contains_key("__Host-hearth"), "{:?}", browser.cookies);
    assert_eq!(proxied("GET", "/account", &mut browser, &[], b"").status, 200);
    let from_a_page = [FORM, ("origin", "https://hearth.example.org"), ("sec-fetch-site", "same-origin")];
    let added = proxied("POST", "/records", &mut browser, &from_a_page, b"title=Boiler");
    assert_eq!(added.status, 303, "{added:?}");
    app.stop();
}

#[test]
fn single_sign_on_says_why_somebody_is_not_known() {
    let data = Data::new();
    let provider = Provider::start();
    let app = single_sign_on(&data, &provider);
    let stranger = come_back(&app, &provider, "/");
    assert_eq!(stranger.status, 403, "{stranger:?}");
    assert!(stranger.text().contains("Ask an admin or an owner for an invitation"), "{}", stranger.text());
    join(&app, "member", "alice@example.org");
    provider.ways().claims = Box::new(|claims| claims["email_verified"] = false.into());
    let unverified = come_back(&app, &provider, "/");
    assert_eq!(unverified.status, 403, "{unverified:?}");
    let text = unverified.text();
    assert!(text.contains("has not verified that alice@example.org is your e-mail"), "{text}");
    assert!(text.contains("not linked") && text.contains(r#"href="/sign-in">To the sign-in page"#), "{text}");
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM account WHERE provider = 'oidc'"), 0);
}
