//! Whoever means harm: other sites' pages, forged headers and names, cookies that somebody planted.

use serde_json::json;

use super::browser::{PASSWORD, join};
use crate::harness::{App, Data, Start};

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn a_change_with_a_cookie_has_to_come_from_a_page_of_this_site() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let cookie = join(&app, "member", "anna@example.org").cookie();
    let own = "http://hearth";
    let post = |headers: &[(&str, &str)]| {
        let mut all = vec![JSON, ("cookie", &*cookie)];
        all.extend(headers);
        app.ask("POST", "/api/v1/records", &all, b"{\"title\":\"x\"}").status
    };
    for (headers, status) in [
        (&[][..], 403),
        (&[("origin", "https://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site")], 403),
        (&[("sec-fetch-site", "cross-site"), ("origin", own)], 403),
        (&[("sec-fetch-site", "same-origin")], 201),
        (&[("origin", own)], 201),
    ] {
        assert_eq!(post(headers), status, "{headers:?}");
    }
    // The pages' forms as well, and also where nobody is signed in: nobody is signed in as somebody else by a page.
    for path in ["/records", "/sign-out", "/sign-in", "/set-up", "/account/password", "/people/invitations"] {
        let headers = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", &*cookie),
            ("sec-fetch-site", "cross-site"),
        ];
        assert_eq!(app.ask("POST", path, &headers, b"title=x").status, 403, "{path}");
    }
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 2);
}

#[test]
fn a_name_that_is_not_ours_gets_nothing() {
    let data = Data::new();
    let app = Start::alone(&data)
        .env("HEARTH_HTTP__HOSTS", "hearth.example.org,nas.tail1.ts.net")
        .env("HEARTH_HTTP__PUBLIC_URL", "https://public.example.org")
        .start();
    for (host, status) in [
        ("127.0.0.1:3000", 200),
        ("[::1]:3000", 200),
        ("nas", 200),
        ("localhost:3000", 200),
        ("hearth.example.org", 200),
        ("NAS.tail1.ts.net.:443", 200),
        ("public.example.org", 200),
        ("evil.example", 421),
        ("hearth.example.org.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("hearth.example.org@evil.example", 400),
    ] {
        for path in ["/health", "/api/v1/auth", "/assets/hearth.css"] {
            let answer = app.ask_as_nobody("GET", path, &[("host", host)], b"");
            let status = if status == 200 { 200 } else { answer.status.max(status).min(421) };
            assert_eq!(answer.status, status, "{host} {path}: {answer:?}");
        }
    }
    let refused = app.ask_as_nobody("GET", "/api/v1/auth", &[("host", "evil.example")], b"").problem(421);
    assert!(refused["detail"].as_str().unwrap().contains("http.hosts"), "{refused}");
    app.stop();
}

#[test]
fn cookies_that_somebody_planted_are_nobodys() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let browser = join(&app, "member", "anna@example.org");
    let good = &browser.cookies["hearth-0000002a"];
    let ask = |cookie: &str| app.ask("GET", "/api/v1/session", &[("cookie", cookie)], b"").status;
    assert_eq!(ask(&format!("a=b; hearth-0000002a={good}; c=d")), 200);
    for cookie in [
        "hearth-0000002a=".to_owned(),
        "hearth-0000002a".to_owned(),
        format!("hearth-0000002a=planted; hearth-0000002a={good}"),
        format!("hearth-0000002a={good}; hearth-0000002a=planted"),
        format!("HEARTH-0000002A={good}"),
        format!("hearth-0000002a=\"{good}\""),
        format!("hearth-0000002a={}", &good[1..]),
        format!("hearth-0000002a={good}x"),
        format!("hearth-0000002a={good}%00"),
        "hearth-0000002a=' OR 1=1 --".to_owned(),
        format!("__Host-hearth-0000002a=planted; hearth-0000002a={good}"),
    ] {
        assert_eq!(ask(&cookie), 401, "{cookie}");
    }
    app.stop();
}

#[test]
fn no_answer_can_be_split_and_nobody_is_sent_elsewhere() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    join(&app, "member", "anna@example.org");
    let html = ("accept", "text/html");
    let form = ("content-type", "application/x-www-form-urlencoded");
    for next in [
        "//evil.example",
        "/\\evil.example",
        "https://evil.example",
        "javascript:alert(1)",
        "%2F%2Fevil.example",
        "/%0d%0aset-cookie:%20hearth=planted",
        "/%09/evil.example",
        "\\\\evil.example",
        " //evil.example",
    ] {
        let encoded: String = next.bytes().map(|byte| format!("%{byte:02X}")).collect();
        for value in [next.replace(' ', "%20"), encoded] {
            let body = format!("email=anna%40example.org&password={PASSWORD}&next={value}");
            let answer = app.ask_as_nobody("POST", "/sign-in", &[form, html], body.as_bytes());
            if answer.status == 303 {
                let location = answer.header("location").unwrap();
                assert!(location.starts_with('/') && !location.starts_with("//"), "{next}: {location}");
                assert!(!location.contains('\\') && !location.contains("evil.example/"), "{next}: {location}");
                assert!(!answer.head.to_lowercase().contains("planted;"), "{next}: {answer:?}");
            }
            let page = app.ask_as_nobody("GET", &format!("/sign-in?next={value}"), &[html], b"");
            assert_ne!(page.status, 500, "{next}");
            assert!(!page.text().contains("href=\"//evil") && !page.text().contains("javascript:"), "{next}");
        }
    }
    // What is wanted is kept in the address only as what it is.
    let answer = app.ask_as_nobody("GET", "/account?x=%0d%0ay", &[html], b"");
    assert_eq!(answer.status, 303);
    assert!(answer.header("location").unwrap().starts_with("/sign-in?next=%2Faccount"), "{answer:?}");
    app.stop();
}

fn created(app: &App, body: &serde_json::Value) -> crate::client::Answer {
    app.send("POST", "/api/v1/invitations", body)
}

#[test]
fn names_and_addresses_cannot_pass_for_others() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for email in
        ["a\r\nset-cookie: x=y@example.org", "a b@example.org", "<a@example.org>", "a@example.org,b@c.org", "@", "a"]
    {
        created(&app, &json!({ "role": "guest", "email": email })).problem(400);
    }
    let mut anna = join(&app, "member", "anna@example.org");
    for name in ["", " ", "a\nb", "\u{202e}nimda", "a\u{200b}", &*"x".repeat(101)] {
        anna.send(&app, "PATCH", "/api/v1/profile", Some(&json!({ "name": name }))).problem(400);
    }
    anna.send(&app, "PATCH", "/api/v1/profile", Some(&json!({ "email": "OWNER0@example.org" }))).problem(400);
    let changed = anna.send(&app, "PATCH", "/api/v1/profile", Some(&json!({ "name": "Anna 猫" })));
    assert_eq!(changed.json()["name"], "Anna 猫", "{changed:?}");
    app.stop();
}
