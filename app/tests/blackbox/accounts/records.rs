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
        for order in ["updated", "due", "title"] {
            for search in ["", "&search=secrets"] {
                let list = browser.get(&app, &format!("/api/v1/records?order={order}{search}")).json();
                let titles: Vec<_> =
                    list["records"].as_array().unwrap().iter().map(|record| &record["title"]).collect();
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
