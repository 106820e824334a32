//! Whose a record is, and who sees it.

use serde_json::json;

use super::browser::join;
use crate::harness::{Data, Start};

#[test]
fn a_private_record_is_not_there_for_anybody_else() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut anna = join(&app, "member", "anna@example.org");
    let mut guest = join(&app, "guest", "guest@example.org");
    let mut admin = join(&app, "admin", "admin@example.org");
    let private = anna.post(&app, "/api/v1/records", &json!({ "title": "Diary of secrets", "visibility": "private" }));
    assert_eq!(private.status, 201, "{private:?}");
    let private = private.json();
    assert_eq!(private["owner_id"], 2);
    let shared = anna.post(&app, "/api/v1/records", &json!({ "title": "Boiler secrets" })).json();
    assert_eq!(shared["visibility"], "household");
    let path = format!("/api/v1/records/{}", private["id"]);
    assert_eq!(anna.get(&app, &path).status, 200);
    for browser in [&mut guest, &mut admin] {
        browser.get(&app, &path).problem(404);
        for order in ["updated_desc", "updated", "due", "due_desc", "title", "title_desc"] {
            for search in ["", "&search=secrets"] {
                let list = browser.get(&app, &format!("/api/v1/records?sort={order}{search}")).json();
                let titles: Vec<_> = list["items"].as_array().unwrap().iter().map(|record| &record["title"]).collect();
                assert_eq!(titles, ["Boiler secrets"]);
            }
        }
    }
    // The owner of the instance neither.
    app.get(&path).problem(404);
    app.send("PATCH", &path, &json!({ "title": "Mine" })).problem(404);
    app.ask("DELETE", &path, &[], b"").problem(404);
    admin.send(&app, "PATCH", &path, Some(&json!({ "visibility": "household" }))).problem(404);
    // Only who added a record takes it out of sight, or shows it.
    let shared = format!("/api/v1/records/{}", shared["id"]);
    admin.send(&app, "PATCH", &shared, Some(&json!({ "visibility": "private" }))).problem(400);
    assert_eq!(admin.send(&app, "PATCH", &shared, Some(&json!({ "title": "Boiler" }))).status, 200);
    assert_eq!(anna.send(&app, "PATCH", &path, Some(&json!({ "visibility": "household" }))).status, 200);
    assert_eq!(guest.get(&app, &path).status, 200);
    guest.send(&app, "PATCH", &path, Some(&json!({ "title": "x" }))).problem(403);
    guest.send(&app, "DELETE", &path, None).problem(403);
    assert_eq!(anna.send(&app, "DELETE", &path, None).status, 204);
    // Who becomes a guest sees the household's alone.
    let own = anna.post(&app, "/api/v1/records", &json!({ "title": "Mine", "visibility": "private" })).json();
    assert_eq!(app.send("PATCH", "/api/v1/users/2", &json!({ "role": "guest" })).status, 200);
    anna.get(&app, &format!("/api/v1/records/{}", own["id"])).problem(404);
    app.stop();
}

#[test]
fn records_from_before_accounts_are_the_households() {
    let data = Data::new();
    data.sql(
        "INSERT INTO record (title, created_at, updated_at)
         VALUES ('Old', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z')",
    );
    let app = Start::alone(&data).start();
    let mut guest = join(&app, "guest", "guest@example.org");
    let old = guest.get(&app, "/api/v1/records/1").json();
    assert_eq!(old["visibility"], "household");
    assert!(old.get("owner_id").is_none());
    // Nobody's cannot become somebody's alone.
    app.send("PATCH", "/api/v1/records/1", &json!({ "visibility": "private" })).problem(400);
    app.stop();
}

#[test]
fn deletions_and_changes_of_visibility_are_in_the_audit_log_without_a_private_title() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut anna = join(&app, "member", "anna@example.org");
    let mut add = |title: &str, visibility: &str| {
        anna.post(&app, "/api/v1/records", &json!({ "title": title, "visibility": visibility })).json()["id"].clone()
    };
    let (diary, letters, boiler) = (add("Diary", "private"), add("Letters", "household"), add("Boiler", "household"));
    for visibility in ["private", "private", "household"] {
        let change = json!({ "visibility": visibility });
        assert_eq!(anna.send(&app, "PATCH", &format!("/api/v1/records/{letters}"), Some(&change)).status, 200);
    }
    let form = [("sec-fetch-site", "same-origin"), ("content-type", "application/x-www-form-urlencoded")];
    let cookie = anna.cookie();
    let page = [&form[..], &[("cookie", &*cookie)]].concat();
    assert_eq!(app.ask_as_nobody("POST", &format!("/records/{boiler}/delete"), &page, b"version=1").status, 303);
    assert_eq!(anna.send(&app, "DELETE", &format!("/api/v1/records/{diary}"), None).status, 204);
    let events = app.get("/api/v1/audit-events?limit=4").json();
    let events: Vec<_> = events["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| {
            assert_eq!(event["who"], "anna@example.org");
            (event["kind"].as_str().unwrap().to_owned(), event["subject"].as_str().unwrap().to_owned())
        })
        .collect();
    let event = |kind: &str, subject: String| (kind.to_owned(), subject);
    assert_eq!(
        events,
        [
            event("record_deleted", format!("record {diary}, seen by its owner only")),
            event("record_deleted", format!("record {boiler} “Boiler”")),
            event("record_visibility_changed", format!("record {letters}: private → household")),
            event("record_visibility_changed", format!("record {letters}: household → private")),
        ]
    );
    assert_eq!(data.count("SELECT count(*) FROM audit_event WHERE subject LIKE '%Diary%'"), 0);
    assert!(app.get("/audit").text().contains("deleted the record"));
    app.stop();
}
