//! The app in place of a newer one whose upgrade failed: nothing that the newer one knows is lost, and words that only it knows harm nobody.

mod words;

use std::fs;

use serde_json::json;

use crate::{
    accounts::browser::{PASSWORD, join, sign_in},
    harness::{Data, Start},
};

const HTML: (&str, &str) = ("accept", "text/html");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

/// Hashes the password with less work than this version does.
fn weaken(data: &Data) -> String {
    use argon2::{Algorithm, Argon2, Params, PasswordHasher, Version, password_hash::SaltString};
    let argon2 = Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::new(256, 1, 1, None).unwrap());
    let salt = SaltString::from_b64("c29tZXNhbHQ").unwrap();
    let weak = argon2.hash_password(PASSWORD.as_bytes(), &salt).unwrap();
    data.sql(&format!("UPDATE account SET password_hash = '{weak}' WHERE provider = 'password'"));
    weak.to_string()
}

fn kept_hash(data: &Data) -> String {
    let connection = rusqlite::Connection::open(data.database()).unwrap();
    connection.query_row("SELECT password_hash FROM account WHERE provider = 'password'", [], |row| row.get(0)).unwrap()
}

/// What may go, and does where this version serves as ever: the trash that is due, what has expired, what interrupted requests left.
const LEFT: &str = "
    UPDATE trash SET days = 40, deleted_at = '2026-01-01T00:00:00.000Z';
    INSERT INTO session (user_id, token_hash, method, address, user_agent, created_at, last_seen_at, expires_at)
        VALUES (1, 'old', 'password', '', '', '2020-01-01T00:00:00.000Z', '2020-01-01T00:00:00.000Z', '2020-01-08T00:00:00.000Z');
    INSERT INTO verification (kind, token_hash, created_at, expires_at, used_at)
        VALUES ('pairing', 'of a newer version', '2020-01-01T00:00:00.000Z', '2020-01-08T00:00:00.000Z', NULL);
    INSERT INTO audit_event (at, kind, user_id, who, subject, method, address, user_agent)
        VALUES ('2020-01-01T00:00:00.000Z', 'sign_in_failed', NULL, 'x', '', '', '', '');";

fn left(data: &Data) -> [i64; 4] {
    [
        "SELECT count(*) FROM trash",
        "SELECT count(*) FROM session WHERE token_hash = 'old'",
        "SELECT count(*) FROM verification WHERE token_hash = 'of a newer version'",
        "SELECT count(*) FROM audit_event WHERE at < '2021'",
    ]
    .map(|sql| data.count(sql))
}

#[test]
fn nothing_goes_by_itself_and_a_password_stays_as_it_was_hashed() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    join(&app, "member", "anna@example.org");
    let id = app.create(&json!({ "title": "Boiler" }))["id"].as_i64().unwrap();
    assert_eq!(app.ask("DELETE", &format!("/api/v1/records/{id}"), &[], b"").status, 204);
    app.stop();
    data.sql(LEFT);
    let weak = weaken(&data);
    let unfinished = data.files().join("ab").join(".adding-7-1");
    let upload = data.directory.path().join("uploads").join("left");
    for file in [&unfinished, &upload] {
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "left").unwrap();
    }

    let app = Start::alone(&data).env("HEARTH_FALLBACK", 1).start();
    app.log.wait("This version serves in place of a newer one");
    let (_, came_in) = sign_in(&app, "anna@example.org", PASSWORD);
    assert_eq!(came_in.status, 201, "{came_in:?}");
    // What would have gone at the start has gone by the time that a later write is answered.
    app.create(&json!({ "title": "Stove" }));
    assert_eq!(left(&data), [1, 1, 1, 1]);
    assert_eq!(kept_hash(&data), weak);
    assert!(unfinished.exists() && upload.exists());
    app.stop();
    assert_eq!(left(&data), [1, 1, 1, 1]);

    // The same without it, so that the test can fail.
    let app = Start::alone(&data).start();
    app.log.wait("Emptied the trash: 1 record was deleted for good");
    assert_eq!(sign_in(&app, "anna@example.org", PASSWORD).1.status, 201);
    assert_eq!(left(&data), [0, 0, 0, 0]);
    assert_ne!(kept_hash(&data), weak);
    app.stop();
    assert!(!unfinished.exists());
}

#[test]
fn what_is_deleted_goes_to_the_trash_and_nothing_goes_for_good() {
    let data = Data::new();
    let app = Start::alone(&data).env("HEARTH_FALLBACK", 1).start();
    let place = app.send("POST", "/api/v1/places", &json!({ "name": "Attic" })).json()["id"].as_i64().unwrap();
    let id = app.create(&json!({ "title": "Boiler", "tags": ["warm"] }))["id"].as_i64().unwrap();
    let file = [("content-type", "application/octet-stream")];
    let attached = app.ask("POST", &format!("/api/v1/records/{id}/attachments?name=a.txt"), &file, b"content");
    assert_eq!(attached.status, 201, "{attached:?}");
    assert_eq!(app.ask("DELETE", &format!("/api/v1/records/{id}"), &[], b"").status, 204);
    for path in [format!("/api/v1/trash/{id}"), format!("/api/v1/places/{place}")] {
        let refused = app.ask("DELETE", &path, &[], b"").problem(409);
        let why = refused["detail"].as_str().unwrap();
        assert!(why.contains("an upgrade failed") && why.contains("as soon as an upgrade succeeds"), "{why}");
    }
    for path in [format!("/trash/{id}/delete"), format!("/places/{place}/delete")] {
        let refused = app.ask("POST", &path, &[FORM, HTML], b"");
        assert_eq!(refused.status, 409, "{path}: {refused:?}");
        assert!(refused.text().contains("an upgrade failed"), "{}", refused.text());
    }
    let back = app.send("POST", &format!("/api/v1/trash/{id}/restore"), &json!({})).json();
    assert_eq!((&back["record"]["tags"], &back["left_out"]), (&json!(["warm"]), &json!([])));
    assert_eq!(app.get(&format!("/api/v1/records/{id}/attachments")).json()["items"].as_array().unwrap().len(), 1);
    app.stop();
}

#[test]
fn it_is_proven_before_it_serves() {
    let data = Data::new();
    let app = Start::probation(&data).env("HEARTH_FALLBACK", 1).start();
    assert_eq!(app.ask_private("/health").json()["status"], "ok");
    app.stop();
    let mut wrong = Start::alone(&data).env("HEARTH_FALLBACK", "yes").spawn();
    assert_eq!(wrong.wait().code(), Some(2));
    wrong.log.wait("HEARTH_FALLBACK is \"yes\", but it must be 1 or unset");
}
