//! Who gets at a file.

use serde_json::json;

use super::{FILE, attach, begin, record};
use crate::harness::{Data, Start};

#[test]
fn the_attachment_of_anothers_private_record_is_nowhere() {
    let data = Data::new();
    for (role, token) in [("member", "hearth_anna"), ("admin", "hearth_admin"), ("guest", "hearth_guest")] {
        data.add_person(role, token);
    }
    let app = Start::alone(&data).start();
    let private = app.create(&json!({ "title": "Diary", "visibility": "private" }))["id"].as_i64().unwrap();
    let made = attach(&app, private, "diary.txt", b"secret words");
    let upload = begin(&app, private, "more.txt", 5);
    let id = &made["id"];
    let hash = blake3::hash(b"secret words").to_hex().to_string();
    for token in ["hearth_anna", "hearth_admin", "hearth_guest"] {
        for path in [
            format!("/api/v1/records/{private}/attachments"),
            format!("/api/v1/attachments/{id}"),
            format!("/api/v1/attachments/{id}/content"),
            format!("/api/v1/attachments/{hash}/content"),
        ] {
            let answer = app.get_as(token, &path);
            assert!(matches!(answer.status, 400 | 404), "{token} {path}: {answer:?}");
            // As for one that never was.
            let never =
                app.get_as(token, &path.replace(&format!("/{id}"), "/4711").replace(&format!("/{private}/"), "/4711/"));
            assert_eq!(never.status, answer.status, "{path}");
        }
        if token == "hearth_guest" {
            continue;
        }
        assert_eq!(
            app.send_as(token, "PATCH", &format!("/api/v1/attachments/{id}"), &json!({ "name": "x" })).status,
            404
        );
        assert_eq!(app.send_as(token, "DELETE", &format!("/api/v1/attachments/{id}"), &json!({})).status, 404);
        let bearer = format!("Bearer {token}");
        let headers = [FILE, ("authorization", &*bearer)];
        app.ask("POST", &format!("/api/v1/records/{private}/attachments?name=x"), &headers, b"x").problem(404);
        let begun = json!({ "name": "x", "bytes": 1 });
        app.send_as(token, "POST", &format!("/api/v1/records/{private}/uploads"), &begun).problem(404);
        app.get_as(token, &upload).problem(404);
    }
    // Who knows a hash, or has the same file, has to send it all the same.
    let own = app.send_as("hearth_anna", "POST", "/api/v1/records", &json!({ "title": "Mine" })).json()["id"].clone();
    let headers = [FILE, ("authorization", "Bearer hearth_anna")];
    let answer =
        app.ask("POST", &format!("/api/v1/records/{own}/attachments?name=same.txt"), &headers, b"secret words");
    assert_eq!(answer.status, 201);
    assert!(!answer.text().contains(&hash[..8]), "{answer:?}");
    assert_eq!(app.get(&format!("/api/v1/attachments/{id}/content")).body, b"secret words");
    app.stop();
}

#[test]
fn a_guest_sees_the_attachments_of_a_record_that_says_so() {
    let data = Data::new();
    data.add_person("guest", "hearth_guest");
    let app = Start::alone(&data).start();
    let record = record(&app);
    let made = attach(&app, record, "manual.txt", b"how to heat");
    let paths = ["", "/content"].map(|end| format!("/api/v1/attachments/{}{end}", made["id"]));
    let listed = || {
        let list = app.get_as("hearth_guest", &format!("/api/v1/records/{record}/attachments")).json();
        list["items"].as_array().unwrap().len()
    };
    assert_eq!(listed(), 0);
    for path in &paths {
        app.get_as("hearth_guest", path).problem(404);
    }
    data.sql(&format!("UPDATE record SET guests_see_attachments = 1 WHERE id = {record}"));
    assert_eq!(listed(), 1);
    for path in &paths {
        assert_eq!(app.get_as("hearth_guest", path).status, 200);
    }
    app.stop();
}

#[test]
fn nobody_changes_a_record_by_an_upload_that_is_no_longer_theirs_to_change() {
    let data = Data::new();
    let anna = data.add_person("member", "hearth_anna");
    let app = Start::alone(&data).start();
    let record = record(&app);
    let begun = app.send_as(
        "hearth_anna",
        "POST",
        &format!("/api/v1/records/{record}/uploads"),
        &json!({ "name": "a.txt", "bytes": 5 }),
    );
    let upload = begun.header("location").unwrap().to_owned();
    // The record became the owner's alone.
    assert_eq!(
        app.send("PATCH", &format!("/api/v1/records/{record}"), &json!({ "visibility": "private" })).status,
        200
    );
    let headers = [FILE, ("authorization", "Bearer hearth_anna"), ("upload-offset", "0")];
    app.ask("PATCH", &upload, &headers, b"hello").problem(404);
    app.get_as("hearth_anna", &upload).problem(404);
    assert_eq!(data.count(&format!("SELECT count(*) FROM attachment WHERE added_by = {anna}")), 0);
    app.stop();
}
