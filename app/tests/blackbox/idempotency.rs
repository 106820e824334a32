//! A request that a client sends once more, because it does not know what became of the first, creates nothing twice.

use std::thread;

use serde_json::{Value, json};

use crate::{
    accounts::browser::join,
    client::Answer,
    harness::{App, Data, Start},
};

const JSON: (&str, &str) = ("content-type", "application/json");
const RECORDS: &str = "/api/v1/records";

/// Asks for something new with a key.
fn post(app: &App, path: &str, key: &str, body: &Value) -> Answer {
    app.ask("POST", path, &[JSON, ("idempotency-key", key)], body.to_string().as_bytes())
}

fn records(data: &Data) -> i64 {
    data.count("SELECT count(*) FROM record")
}

#[test]
fn a_request_that_is_repeated_gets_the_record_that_the_first_one_created() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let body = json!({ "title": "Boiler", "notes": "x", "due_date": "2027-01-01" });
    let first = post(&app, RECORDS, "8e03978e", &body);
    assert_eq!(first.status, 201, "{first:?}");
    let same = |answer: &Answer| {
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.header("location"), first.header("location"));
        answer.json()
    };
    assert_eq!(same(&post(&app, RECORDS, "8e03978e", &body)), first.json());
    // Bare or in quotation marks, and whatever the order of the fields and the blanks between them.
    assert_eq!(same(&post(&app, RECORDS, "\"8e03978e\"", &body)), first.json());
    let other_spelling = br#"{ "due_date" : "2027-01-01", "notes":"x","title":"Boiler"}"#;
    let answer = app.ask("POST", RECORDS, &[JSON, ("idempotency-key", "8e03978e")], other_spelling);
    assert_eq!(same(&answer), first.json());
    // After a restart, and as the record is by then.
    app.stop();
    let app = Start::alone(&data).start();
    let path = first.header("location").unwrap();
    assert_eq!(app.send("PATCH", path, &json!({ "title": "Stove" })).status, 200);
    let again = post(&app, RECORDS, "8e03978e", &body);
    assert_eq!(same(&again)["title"], "Stove");
    assert_eq!(again.header("etag"), Some("\"2\""));
    assert_eq!(records(&data), 1);
    // What was deleted is not created again.
    assert_eq!(app.ask("DELETE", path, &[], b"").status, 204);
    let gone = post(&app, RECORDS, "8e03978e", &body).problem(410);
    assert_eq!(gone["code"], "gone");
    assert!(gone["detail"].as_str().unwrap().contains("deleted"), "{gone}");
    assert_eq!(records(&data), 0);
    app.stop();
}

#[test]
fn a_creation_whose_answer_was_lost_is_not_done_twice() {
    let data = Data::new();
    let mut app = Start::alone(&data).env("HEARTH_FAULT", "app.committed=kill").start();
    let mut stream = app.connect();
    let body = r#"{"title":"Boiler"}"#;
    let request = format!(
        "POST {RECORDS} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nidempotency-key: lost\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        crate::harness::OWNER,
        body.len()
    );
    std::io::Write::write_all(&mut stream, request.as_bytes()).unwrap();
    app.wait();
    let app = Start::alone(&data).start();
    let again = post(&app, RECORDS, "lost", &json!({ "title": "Boiler" }));
    assert_eq!(again.status, 201, "{again:?}");
    assert_eq!(again.json()["id"], app.get(RECORDS).json()["items"][0]["id"]);
    assert_eq!(records(&data), 1);
    app.stop();
}

#[test]
fn a_key_is_for_one_request_of_one_user() {
    let data = Data::new();
    data.add_person("member", "hearth_member");
    let app = Start::alone(&data).start();
    let mut anna = join(&app, "member", "anna@example.org");
    let body = json!({ "title": "Boiler" });
    let id = |answer: &Answer| {
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].as_i64().unwrap()
    };
    let own = id(&post(&app, RECORDS, "k", &body));
    // Another body; another operation.
    for answer in [
        post(&app, RECORDS, "k", &json!({ "title": "Stove" })),
        post(&app, RECORDS, "k", &json!({ "title": "Boiler", "notes": "" })),
        post(&app, "/api/v1/invitations", "k", &json!({ "role": "guest" })),
        post(&app, "/api/v1/tokens", "k", &json!({ "name": "x", "scope": "read" })),
    ] {
        assert_eq!(answer.problem(422)["code"], "idempotency_key_reused", "{answer:?}");
    }
    // Another user.
    let headers = [JSON, ("idempotency-key", "k"), ("authorization", "Bearer hearth_member")];
    let others = id(&app.ask("POST", RECORDS, &headers, body.to_string().as_bytes()));
    assert_ne!(own, others);
    // A token and a session of one user.
    let token = anna.post(&app, "/api/v1/tokens", &json!({ "name": "t", "scope": "write" })).json();
    let bearer = format!("Bearer {}", token["secret"].as_str().unwrap());
    let cookie = anna.cookie();
    let text = body.to_string();
    let by_token = [JSON, ("idempotency-key", "k"), ("authorization", &*bearer)];
    let by_session = [JSON, ("idempotency-key", "k"), ("cookie", &*cookie), ("sec-fetch-site", "same-origin")];
    let annas = id(&app.ask_as_nobody("POST", RECORDS, &by_token, text.as_bytes()));
    assert_eq!(id(&app.ask_as_nobody("POST", RECORDS, &by_session, text.as_bytes())), annas);
    assert_eq!(records(&data), 3);
    // Without a key each request creates.
    app.create(&body);
    app.create(&body);
    assert_eq!(records(&data), 5);
    app.stop();
}

#[test]
fn a_refused_request_leaves_no_key() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    post(&app, RECORDS, "k", &json!({ "title": " " })).problem(400);
    // Refused within the transaction: the e-mail is in use, and there are too many tokens.
    let invitation = json!({ "role": "guest", "email": "owner0@example.org" });
    post(&app, "/api/v1/invitations", "k", &invitation).problem(400);
    data.sql(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < 100)
         INSERT INTO api_token (user_id, name, token_hash, scope, created_at)
             SELECT 1, 'x', 'hash ' || n, 'read', '2026-11-24T12:00:00.000Z' FROM n",
    );
    post(&app, "/api/v1/tokens", "k", &json!({ "name": "x", "scope": "read" })).problem(409);
    post(&app, "/api/v1/users/999/reset", "k", &json!({})).problem(404);
    assert_eq!(data.count("SELECT count(*) FROM idempotency_key"), 0);
    assert_eq!(post(&app, RECORDS, "k", &json!({ "title": "Boiler" })).status, 201);
    app.stop();
}

#[test]
fn a_secret_is_shown_once() {
    let data = Data::new();
    let member = data.add_person("member", "hearth_member");
    let app = Start::alone(&data).start();
    for (path, table, body, secret) in [
        ("/api/v1/tokens".to_owned(), "api_token", json!({ "name": "x", "scope": "read" }), "/secret"),
        ("/api/v1/invitations".to_owned(), "verification", json!({ "role": "guest" }), "/link/token"),
        (format!("/api/v1/users/{member}/reset"), "verification", json!({}), "/token"),
    ] {
        let first = post(&app, &path, &path, &body);
        assert_eq!(first.status, 201, "{first:?}");
        let secret = first.json().pointer(secret).unwrap().as_str().unwrap().to_owned();
        let before = data.count(&format!("SELECT count(*) FROM {table}"));
        let again = post(&app, &path, &path, &body);
        assert_eq!(again.problem(409)["code"], "already_created", "{again:?}");
        assert!(!again.text().contains(&secret), "{again:?}");
        assert_eq!(data.count(&format!("SELECT count(*) FROM {table}")), before, "{path}");
    }
    app.stop();
}

#[test]
fn a_key_is_kept_for_a_day() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let body = json!({ "title": "Boiler" });
    let age = |hours: u32| {
        data.sql(&format!(
            "UPDATE idempotency_key SET created_at = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', '-{hours} hours')"
        ));
    };
    post(&app, RECORDS, "old", &body);
    post(&app, RECORDS, "k", &body);
    age(23);
    assert_eq!(post(&app, RECORDS, "k", &body).status, 201);
    assert_eq!(records(&data), 2);
    age(25);
    assert_eq!(post(&app, RECORDS, "k", &body).status, 201);
    assert_eq!(records(&data), 3);
    // The old ones go with a new one, and when somebody signs in.
    assert_eq!(data.count("SELECT count(*) FROM idempotency_key"), 1);
    age(25);
    join(&app, "member", "anna@example.org");
    assert_eq!(data.count("SELECT count(*) FROM idempotency_key"), 0);
    app.stop();
}

#[test]
fn what_is_no_key_is_refused_and_not_passed_over() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let body = json!({ "title": "Boiler" });
    let too_long = "x".repeat(256);
    for key in ["", "\"\"", "\"a", "a b", "a\\b", "\u{e9}", "\u{4fdd}", "a\tb", &*too_long] {
        let problem = post(&app, RECORDS, key, &body).problem(400);
        assert_eq!(problem["code"], "invalid_fields", "{key}: {problem}");
        assert_eq!(problem["errors"][0]["field"], "Idempotency-Key", "{key}: {problem}");
        assert!(problem["errors"][0]["message"].as_str().unwrap().contains("255"), "{key}: {problem}");
    }
    let two = [JSON, ("idempotency-key", "a"), ("idempotency-key", "b")];
    app.ask("POST", RECORDS, &two, body.to_string().as_bytes()).problem(400);
    assert_eq!(records(&data), 0);
    app.stop();
}

#[test]
fn of_many_at_once_one_creates() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let ids: Vec<_> = thread::scope(|scope| {
        let one = |_| scope.spawn(|| post(&app, RECORDS, "k", &json!({ "title": "Boiler" })).json()["id"].clone());
        let all: Vec<_> = (0..16).map(one).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| id.is_number() && *id == ids[0]), "{ids:?}");
    assert_eq!(records(&data), 1);
    app.stop();
}
