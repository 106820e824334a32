//! While the supervisor proves it on a staged database.

use std::{collections::BTreeMap, fs};

use serde_json::json;

use crate::harness::{Data, Start};

fn contents(data: &Data) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(data.directory.path()).unwrap().map(Result::unwrap);
    files
        .filter(|file| file.file_type().unwrap().is_file())
        .map(|file| (file.file_name().into_string().unwrap(), fs::read(file.path()).unwrap()))
        .collect()
}

fn filled() -> Data {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for number in 0..30 {
        let mut body = json!({ "title": format!("Versicherung 保险 {number}"), "category": "x", "notes": "y" });
        if number % 2 == 0 {
            body["due_date"] = "2027-01-01".into();
        }
        app.create(&body);
    }
    app.stop();
    data
}

#[test]
fn it_tests_itself_answers_health_and_changes_nothing() {
    for data in [Data::new(), filled()] {
        let before = contents(&data)["app.db"].clone();
        let app = Start::probation(&data).start();
        app.wait_said("STATUS=Every query could be read");
        assert_eq!(app.ask_private("/health").status, 200);
        app.stop();
        let after = contents(&data);
        assert_eq!(after["app.db"], before);
        assert!(after.get("app.db-wal").is_none_or(Vec::is_empty));
    }
}

#[test]
fn it_wants_the_private_socket_and_no_other() {
    let data = Data::new();
    for names in [&["public", "private"][..], &[]] {
        let mut app = Start::with_sockets(&data, names).env("HEARTH_PROBATION", "1").spawn();
        assert_eq!(app.wait().code(), Some(1));
        app.log.wait("error: in probation");
    }
}

#[test]
fn a_query_that_fails_is_named_and_the_app_is_not_ready() {
    for (harm, words) in [
        ("DROP TABLE record_search", "self-test could not list records by updated"),
        (
            "DROP TRIGGER record_search_update; UPDATE record SET updated_at = 'yesterday' WHERE id = 1",
            "self-test could not read the oldest records",
        ),
        (
            "DROP TRIGGER record_search_update; UPDATE record SET due_date = '2027-02-30' WHERE id = 30",
            "self-test could not read the oldest records",
        ),
        ("DROP TABLE seaql_migrations", "self-test could not read which migrations were applied"),
    ] {
        let data = filled();
        data.sql(harm);
        let mut app = Start::probation(&data).spawn();
        assert_eq!(app.wait().code(), Some(65), "{harm}");
        app.log.wait(&format!("error: the {words}"));
        app.log.wait("hint: nothing was changed");
        app.wait_said(&format!("STATUS=the {words}"));
        assert!(!app.said().iter().any(|line| line == "READY=1"));
    }
}

#[test]
fn a_damaged_database_is_not_ready() {
    let data = filled();
    let mut bytes = fs::read(data.database()).unwrap();
    let length = bytes.len();
    bytes[4096..length].fill(0xa5);
    fs::write(data.database(), bytes).unwrap();
    let mut app = Start::probation(&data).spawn();
    assert_eq!(app.wait().code(), Some(1));
    app.log.wait("error: ");
    assert!(!app.said().iter().any(|line| line == "READY=1"));
}

#[test]
fn a_restore_brings_no_session_invitation_or_link_back_to_life() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = crate::accounts::browser::join(&app, "member", "anna@example.org");
    let made = browser.post(&app, "/api/v1/tokens", &json!({ "name": "t", "scope": "read" })).json();
    let token = made["secret"].as_str().unwrap().to_owned();
    let invited = app.send("POST", "/api/v1/invitations", &json!({ "role": "guest" })).json();
    let invitation = invited["link"]["token"].as_str().unwrap().to_owned();
    let reset = app.send("POST", "/api/v1/users/2/reset", &json!({})).json()["token"].as_str().unwrap().to_owned();
    app.stop();
    let probation = Start::probation(&data).env("HEARTH_RESTORED", "1").start();
    probation.log.wait("Restored: ");
    probation.stop();
    let app = Start::alone(&data).start();
    browser.get(&app, "/api/v1/session").problem(401);
    let mut nobody = crate::accounts::browser::Browser::default();
    let accept =
        json!({ "token": invitation, "name": "B", "email": "b@example.org", "password": "eight-blue-bottles" });
    nobody.post(&app, "/api/v1/invitations/accept", &accept).problem(404);
    nobody.post(&app, "/api/v1/reset", &json!({ "token": reset, "password": "eight-blue-bottles" })).problem(404);
    // An owner's programs go on, and people sign in as before. A member may have been disabled since the backup.
    assert_eq!(app.get("/api/v1/records").status, 200);
    app.get_as(&token, "/api/v1/records").problem(401);
    let page = app.get("/people").text().to_owned();
    assert!(page.contains("Users, roles and passwords are as they were in the backup"), "{page}");
    let (_, answer) = crate::accounts::browser::sign_in(&app, "anna@example.org", crate::accounts::browser::PASSWORD);
    assert_eq!(answer.status, 201);
    assert_eq!(app.get("/api/v1/audit-events?limit=2").json()["items"][1]["kind"], "restored");
    app.stop();
}

#[test]
fn a_restore_brings_no_code_back_that_was_used_since() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut browser = crate::accounts::browser::join(&app, "member", "anna@example.org");
    let user = browser.get(&app, "/api/v1/session").json()["user"]["id"].clone();
    app.stop();
    // A second factor with a recovery code, none of them used yet in the backup.
    let recovery = "k7qm3xw9abcdefgh";
    data.sql(&format!(
        "INSERT INTO totp (user_id, secret, confirmed_at, last_step, created_at)
             VALUES ({user}, 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', '2026-11-24T12:00:00.000Z', 1, '2026-11-24T12:00:00.000Z');
         INSERT INTO verification (kind, token_hash, user_id, created_at, expires_at)
             VALUES ('recovery', '{}', {user}, '2026-11-24T12:00:00.000Z', '2999-01-01T00:00:00.000Z')",
        crate::harness::digest(recovery)
    ));
    let before = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() / 30;
    let probation = Start::probation(&data).env("HEARTH_RESTORED", "1").start();
    probation.log.wait("Restored: ");
    probation.stop();
    assert_eq!(data.count("SELECT count(*) FROM verification WHERE kind = 'recovery'"), 0);
    // No code that could have been shown until now is good.
    assert_eq!(data.count(&format!("SELECT count(*) FROM totp WHERE last_step > {before}")), 1);
}
