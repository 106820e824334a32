//! What other programs, proxies and browsers put into headers: bytes that are ours to read, and those that are not.

use std::io::Write;

use serde_json::json;

use crate::{
    accounts::browser::{Browser, PASSWORD, join, sign_in},
    client::{Answer, read_answer},
    harness::{App, Data, OWNER, SESSION, Start, eventually},
};

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Sends a request whose headers are bytes.
fn ask_in_bytes(app: &App, method: &str, path: &str, lines: &[&[u8]], body: &str) -> Answer {
    let mut request = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n", body.len());
    if !lines.iter().any(|line| line.starts_with(b"host:")) {
        request.push_str("host: hearth\r\n");
    }
    let mut request = request.into_bytes();
    for line in lines {
        request.extend_from_slice(line);
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    request.extend_from_slice(body.as_bytes());
    let mut stream = app.connect();
    stream.write_all(&request).unwrap();
    read_answer(&mut stream)
}

#[test]
fn cookies_of_other_programs_sign_nobody_out() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let browser = join(&app, "member", "anna@example.org");
    let own = format!("{SESSION}={}", browser.cookies[SESSION]).into_bytes();
    for other in [
        &b"lang=de"[..],
        "user=J\u{f6}rg".as_bytes(),
        b"user=J\xf6rg",
        b"k\xe4se=1",
        b"\x80\xff\xfe",
        b"broken",
        b"=; ==; \"",
        b"hearth=another; hearth-00000001=another; __Host-hearth-00000001=another",
    ] {
        for cookie in [[b"cookie: ", other, b"; ", &*own].concat(), [b"cookie: ", &*own, b";", other].concat()] {
            let answer = ask_in_bytes(&app, "GET", "/api/v1/session", &[&cookie], "");
            assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&cookie));
        }
        // The same in headers of their own, as proxies from HTTP/2 send them.
        let lines = [&[b"cookie: ", other].concat()[..], &[b"cookie: ", &*own].concat()];
        assert_eq!(ask_in_bytes(&app, "GET", "/api/v1/session", &lines, "").status, 200);
    }
    app.stop();
}

#[test]
fn two_instances_under_one_name_leave_each_others_people_signed_in() {
    let (first, second) = (Data::new(), Data::new());
    second.sql("PRAGMA user_version = 0");
    let apps = [Start::alone(&first).start(), Start::alone(&second).start()];
    assert_ne!(second.count("PRAGMA user_version"), 0, "an instance without a number gets one");
    for app in &apps {
        join(app, "member", "anna@example.org");
    }
    let mut browser = Browser::default();
    let body = json!({ "email": "anna@example.org", "password": PASSWORD });
    for app in &apps {
        assert_eq!(browser.post(app, "/api/v1/session", &body).status, 201);
    }
    for app in &apps {
        assert_eq!(browser.get(app, "/api/v1/session").status, 200);
    }
    // Who signs out of one is still signed in at the other.
    assert_eq!(browser.send(&apps[0], "DELETE", "/api/v1/session", None).status, 204);
    browser.get(&apps[0], "/api/v1/session").problem(401);
    assert_eq!(browser.get(&apps[1], "/api/v1/session").status, 200);
    for app in apps {
        app.stop();
    }
}

#[test]
fn a_session_from_before_cookies_had_names_of_their_own_goes_on() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let token = join(&app, "member", "anna@example.org").cookies[SESSION].clone();
    let mut browser = Browser::default();
    browser.cookies.insert("hearth".to_owned(), token.clone());
    // It is given its own name at once, for as long as it has.
    let answer = browser.get(&app, "/api/v1/session");
    assert_eq!(answer.status, 200);
    let cookie = answer.header("set-cookie").unwrap();
    assert!(cookie.starts_with(&format!("{SESSION}={token}; ")) && !cookie.contains("Max-Age=0"), "{cookie}");
    assert_eq!(browser.get(&app, "/api/v1/session").header("set-cookie"), None);
    // A change goes as well, and so does the end.
    let mut browser = Browser::default();
    browser.cookies.insert("hearth".to_owned(), token);
    assert_eq!(browser.post(&app, "/api/v1/records", &json!({ "title": "x" })).status, 201);
    assert_eq!(browser.send(&app, "DELETE", "/api/v1/session", None).status, 204);
    eventually("the end", || (browser.get(&app, "/api/v1/session").status == 401).then_some(()));
    app.stop();
}

#[test]
fn a_page_of_another_origin_may_use_a_token_and_nothing_else() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let browser = join(&app, "member", "anna@example.org");
    let body = br#"{"title":"x"}"#;
    let evil = ("origin", "http://elsewhere.example");
    let cookie = browser.cookie();
    let token = format!("Bearer {OWNER}");
    // By the session of a browser: refused, and not for its script to read.
    for headers in [
        vec![JSON, evil, ("cookie", &*cookie)],
        vec![JSON, evil, ("sec-fetch-site", "cross-site"), ("cookie", &*cookie)],
    ] {
        let refused = app.ask_as_nobody("POST", "/api/v1/records", &headers, body);
        refused.problem(403);
        assert_eq!(refused.header("access-control-allow-origin"), None);
        let read = app.ask_as_nobody("GET", "/api/v1/records", &headers, b"");
        assert_eq!((read.status, read.header("access-control-allow-origin")), (200, None));
    }
    // By a token: done, and the script reads what came of it; never with credentials.
    let headers = [JSON, evil, ("sec-fetch-site", "cross-site"), ("authorization", &*token)];
    let created = app.ask_as_nobody("POST", "/api/v1/records", &headers, body);
    assert_eq!(created.status, 201, "{created:?}");
    for answer in [
        created,
        app.ask_as_nobody("GET", "/api/v1/records", &headers, b""),
        app.ask_as_nobody("GET", "/api/v1/records/99", &headers, b""),
        app.ask_as_nobody("GET", "/api/v1/records", &[evil, ("authorization", "Bearer hearth_none")], b""),
    ] {
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{answer:?}");
        assert!(answer.header("access-control-expose-headers").unwrap().contains("location"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    // Beside a token no cookie is looked at: it is the token's owner who asks, or nobody.
    let both = [("cookie", &*cookie), ("authorization", &*token)];
    assert_eq!(app.ask_as_nobody("GET", "/api/v1/session", &both, b"").json()["user"]["id"], 1);
    for bad in [
        &b"authorization: Bearer hearth_wrong"[..],
        b"authorization: Bearer hearth_\xff",
        b"authorization: bearer \xe9",
    ] {
        let cookie = format!("cookie: {cookie}");
        ask_in_bytes(&app, "GET", "/api/v1/session", &[bad, cookie.as_bytes()], "").problem(401);
    }
    // What is for anybody is not opened by showing some token.
    let sign_in = json!({ "email": "anna@example.org", "password": PASSWORD }).to_string();
    for headers in [vec![JSON, evil], vec![JSON, evil, ("authorization", &*token)]] {
        app.ask_as_nobody("POST", "/api/v1/session", &headers, sign_in.as_bytes()).problem(403);
    }
    app.stop();
}

#[test]
fn a_browsers_question_whether_a_token_may_be_sent_is_answered() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let origin = ("origin", "http://elsewhere.example");
    let wants = |path: &str, method: &str, headers: &str| {
        let asks = [
            origin,
            ("access-control-request-method", method),
            ("access-control-request-headers", headers),
            ("sec-fetch-site", "cross-site"),
        ];
        app.ask_as_nobody("OPTIONS", path, &asks, b"")
    };
    for (path, method, methods) in [
        ("/api/v1/records", "POST", "GET, HEAD, POST"),
        ("/api/v1/records/7", "PATCH", "DELETE, GET, HEAD, PATCH"),
        ("/api/v1/session", "GET", "DELETE, GET, HEAD, POST"),
    ] {
        let answer = wants(path, method, "Authorization, content-type");
        assert_eq!(answer.status, 204, "{answer:?}");
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-methods"), Some(methods));
        let allowed = answer.header("access-control-allow-headers").unwrap();
        for name in ["authorization", "content-type", "if-match", "idempotency-key"] {
            assert!(allowed.contains(name), "{allowed}");
        }
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
    // Without a token no page of another origin gets leave, nor for what is not the API.
    for answer in [
        wants("/api/v1/records", "POST", "content-type"),
        wants("/", "GET", "authorization"),
        wants("/health", "GET", "authorization"),
        app.ask_as_nobody("OPTIONS", "/api/v1/records", &[origin], b""),
    ] {
        answer.problem(405);
        assert_eq!(answer.header("access-control-allow-origin"), None);
    }
    app.stop();
}

#[test]
fn an_origin_that_is_no_text_is_another_sites() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let browser = join(&app, "member", "anna@example.org");
    let cookie = format!("cookie: {}", browser.cookie());
    for line in [
        &b"origin: http://\xe9vil.example"[..],
        "origin: http://\u{e9}vil.example".as_bytes(),
        b"origin: \xff",
        b"sec-fetch-site: \xff",
        b"sec-fetch-site: cross-site\xff",
    ] {
        let lines = [line, cookie.as_bytes(), b"content-type: application/json"];
        ask_in_bytes(&app, "POST", "/api/v1/records", &lines, "{\"title\":\"x\"}").problem(403);
    }
    // Nonsense elsewhere changes nothing.
    let lines = [
        &b"sec-fetch-site: same-origin"[..],
        b"user-agent: J\xf6rg's browser/1.0",
        b"accept: \xff, text/html",
        b"x-forwarded-for: \xff",
        b"x-forwarded-proto: \xff",
        b"x-forwarded-host: \xff",
        b"referer: \xff",
        b"accept-language: \x80",
        cookie.as_bytes(),
        b"content-type: application/json",
    ];
    let answer = ask_in_bytes(&app, "POST", "/api/v1/records", &lines, "{\"title\":\"x\"}");
    assert_eq!(answer.status, 201, "{answer:?}");
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 1);
}

#[test]
fn a_proxy_that_changes_host_locks_nobody_out() {
    let data = Data::new();
    let app = Start::alone(&data)
        .env("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.org:8443")
        .env("HEARTH_HTTP__HOSTS", "nas.lan")
        .start();
    join(&app, "member", "anna@example.org");
    let html = ("accept", "text/html");
    let sign_in = |headers: &[(&str, &str)]| {
        let form = format!("email=anna%40example.org&password={PASSWORD}");
        let headers: Vec<_> = [FORM, html].into_iter().chain(headers.iter().copied()).collect();
        app.ask_as_nobody("POST", "/sign-in", &headers, form.as_bytes())
    };
    let public = ("origin", "https://hearth.example.org:8443");
    let upstream = ("host", "127.0.0.1:3000");
    for headers in [
        &[("host", "hearth.example.org:8443"), public][..],
        &[upstream, public, ("sec-fetch-site", "same-origin")],
        &[upstream, public],
        &[("host", "hearth:3000"), public],
        &[("host", "hearth.example.org"), public],
        &[upstream, ("origin", "http://nas.lan")],
        &[upstream, ("origin", "https://nas.lan")],
    ] {
        assert_eq!(sign_in(headers).status, 303, "{headers:?}");
    }
    for headers in [
        &[upstream, ("origin", "https://hearth.example.org")][..],
        &[upstream, ("origin", "http://nas.lan:8080")],
        &[("host", "nas.lan:3000"), ("origin", "http://nas.lan")],
        &[upstream, ("origin", "https://evil.example")],
        &[upstream, public, ("sec-fetch-site", "cross-site")],
    ] {
        let refused = sign_in(headers);
        assert_eq!(refused.status, 403, "{headers:?}");
        let names_it = refused.text().contains("HEARTH_HTTP__PUBLIC_URL");
        assert_eq!(names_it, !headers.iter().any(|(name, _)| *name == "sec-fetch-site"), "{}", refused.text());
    }
    app.stop();
}

#[test]
fn a_sign_in_beside_foreign_cookies_is_kept() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    join(&app, "member", "anna@example.org");
    let (browser, answer) = sign_in(&app, "anna@example.org", PASSWORD);
    assert_eq!(answer.status, 201);
    let cookie = format!("cookie: user=J\u{f6}rg; {}", browser.cookie());
    let first = ask_in_bytes(&app, "GET", "/", &[b"accept: text/html", cookie.as_bytes()], "");
    assert_eq!((first.status, first.header("location")), (200, None));
    app.stop();
}
