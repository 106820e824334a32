//! Every error is an RFC 9457 document, whoever raises it.

use std::io::Write;

use serde_json::json;

use crate::{
    accounts::browser::join,
    client::read_answer,
    harness::{Data, Start},
};

const JSON: (&str, &str) = ("content-type", "application/json");

#[test]
fn what_the_framework_refuses_is_a_problem_document_too() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = app.create(&json!({ "title": "x" }));
    let path = format!("/api/v1/records/{}", record["id"]);
    let post = |headers: &[(&str, &str)], body: &[u8]| app.ask("POST", "/api/v1/records", headers, body);

    // Bodies.
    for body in ["", "{", "[]", "null", "3", "{\"title\":", "{\"title\":\"a\"} x", "\u{0}"] {
        post(&[JSON], body.as_bytes()).problem(400);
    }
    post(&[JSON], b"{\"title\":\"\xff\"}").problem(400);
    for body in [
        json!({}),
        json!({ "title": null }),
        json!({ "title": 3 }),
        json!({ "title": ["a"] }),
        json!({ "title": "a", "due_date": "tomorrow" }),
        json!({ "title": "a", "due_date": "2027-02-30" }),
        json!({ "title": "a", "due_date": 20270101 }),
        json!({ "title": "a", "categry": "typo" }),
        json!({ "title": "a", "id": 7 }),
    ] {
        app.send("POST", "/api/v1/records", &body).problem(400);
    }
    let typo = app.send("PATCH", &path, &json!({ "categry": "typo" })).problem(400);
    assert!(typo["detail"].as_str().unwrap().contains("categry"), "{typo}");

    // Content types.
    post(&[("content-type", "text/plain")], b"{\"title\":\"a\"}").problem(415);
    post(&[], b"{\"title\":\"a\"}").problem(415);
    assert_eq!(post(&[("content-type", "application/json; charset=utf-8")], b"{\"title\":\"a\"}").status, 201);

    // Parameters and addresses.
    for query in [
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=x",
        "sort=random",
        "due_before=soon",
        "after=x",
        "after=",
        "search=%ff&limit=9999999999999999999999",
    ] {
        app.get(&format!("/api/v1/records?{query}")).problem(400);
    }
    let too_many = app.get("/api/v1/records?limit=201").problem(400);
    assert_eq!(too_many["detail"], "`limit` must be a whole number from 1 to 200.");
    for path in ["/api/v1/records/x", "/api/v1/records/9223372036854775808", "/api/v1/records/1.5"] {
        app.get(path).problem(400);
    }
    for path in
        ["/nowhere", "/api", "/api/v1", "/api/v2/records", "/api/v1/nowhere", "/api/v1/records/1/x", "/assets/x"]
    {
        app.get(path).problem(404);
    }
    app.get("/api/v1/records/999999").problem(404);
    app.get("/api/v1/records/-1").problem(404);

    // A cursor of one order does not fit another.
    app.create(&json!({ "title": "y" }));
    let next = app.get("/api/v1/records?limit=1&sort=title").json()["next"].clone();
    let answer = app.get(&format!("/api/v1/records?limit=1&sort=due&after={}", next.as_str().unwrap()));
    assert_eq!(answer.problem(400)["errors"][0]["field"], "after");
    app.stop();
}

#[test]
fn a_wrong_method_is_told_the_right_ones() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for (method, path, allow) in [
        ("PUT", "/api/v1/records/1", "DELETE, GET, HEAD, PATCH"),
        ("DELETE", "/api/v1/records", "GET, HEAD, POST"),
        ("POST", "/api/v1/openapi.json", "GET, HEAD"),
        ("DELETE", "/", "GET, HEAD"),
        ("GET", "/records", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("OPTIONS", "/api/v1/records", "GET, HEAD, POST"),
    ] {
        let answer = app.ask(method, path, &[], b"");
        answer.problem(405);
        assert_eq!(answer.header("allow"), Some(allow), "{method} {path}");
    }
    app.stop();
}

#[test]
fn wrong_fields_are_all_named() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let body = json!({ "title": " ", "category": "x".repeat(101), "notes": "\u{0}" });
    let problem = app.send("POST", "/api/v1/records", &body).problem(400);
    let fields: Vec<_> =
        problem["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str().unwrap()).collect();
    assert_eq!(fields, ["title", "category", "notes"]);
    // At the limits, counted in characters.
    let body = json!({ "title": "猫".repeat(200), "category": "é".repeat(100), "notes": "\u{1F525}".repeat(100_000) });
    let record = app.create(&body);
    assert_eq!(record["notes"], body["notes"]);
    app.send("POST", "/api/v1/records", &json!({ "title": "猫".repeat(201) })).problem(400);
    app.send("PATCH", "/api/v1/records/1", &json!({ "title": "" })).problem(400);
    app.stop();
}

#[test]
fn a_large_body_is_refused_whether_or_not_it_says_so() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let large = vec![b' '; (1 << 20) + 1];
    // Announced: refused before it is sent.
    let mut stream = app.connect();
    write!(
        stream,
        "POST /api/v1/records HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hearth_0000000000000000000000000000000000000000000\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        large.len()
    )
    .unwrap();
    read_answer(&mut stream).problem(413);
    // In chunks, without a length.
    let mut stream = app.connect();
    write!(
        stream,
        "POST /api/v1/records HTTP/1.1\r\nhost: x\r\nauthorization: Bearer hearth_0000000000000000000000000000000000000000000\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n",
        large.len()
    )
    .unwrap();
    stream.write_all(&large).unwrap();
    read_answer(&mut stream).problem(413);
    // Just below is read and found to be no JSON.
    app.ask("POST", "/api/v1/records", &[JSON], &large[1..]).problem(400);
    app.ask("POST", "/records", &[("content-type", "application/x-www-form-urlencoded")], &large).problem(413);
    // A head that is too long ends the connection and nothing else.
    let mut stream = app.connect();
    let _ = write!(stream, "GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(40_000));
    assert_eq!(read_answer(&mut stream).status, 431);
    assert_eq!(app.get("/health").status, 200);
    app.stop();
}

#[test]
fn another_sites_page_cannot_change_anything() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let cookies = join(&app, "member", "anna@example.org").cookie();
    let cookie = ("cookie", &*cookies);
    let body = br#"{"title":"evil"}"#;
    let evil = [JSON, ("origin", "http://evil.example"), cookie];
    app.ask("POST", "/api/v1/records", &evil, body).problem(403);
    app.ask("POST", "/api/v1/records", &[JSON, ("sec-fetch-site", "cross-site"), cookie], body).problem(403);
    app.ask("DELETE", "/api/v1/records/1", &[("origin", "null"), cookie], b"").problem(403);
    let form = ("content-type", "application/x-www-form-urlencoded");
    app.ask("POST", "/records", &[form, ("origin", "http://evil.example"), cookie], b"title=evil").problem(403);
    // Our own page, and a program.
    let own = [JSON, ("origin", "http://hearth"), ("sec-fetch-site", "same-origin"), cookie];
    assert_eq!(app.ask("POST", "/api/v1/records", &own, body).status, 201);
    assert_eq!(app.ask("POST", "/api/v1/records", &[JSON, own[1], cookie], body).status, 201);
    assert_eq!(app.ask("GET", "/api/v1/records", &evil, b"").status, 200);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 2);
}

#[test]
fn every_answer_has_its_security_headers() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for path in ["/", "/health", "/nowhere", "/api/v1/records", "/api/v1/docs", "/assets/hearth.css"] {
        let answer = app.get(path);
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("frame-ancestors 'none'"), "{path}: {policy}");
        assert_eq!(policy.contains("unsafe-inline"), path == "/api/v1/docs", "{path}: {policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert!(answer.header("referrer-policy").is_some());
    }
    app.stop();
}
