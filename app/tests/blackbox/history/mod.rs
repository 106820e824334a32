//! Versions of records, and the trash: what was changed or deleted comes back as it was.

mod interrupted;

use std::thread;

use rusqlite::{Connection, ToSql};
use serde_json::{Value, json};

use crate::{
    accounts::browser::join,
    client::Answer,
    harness::{App, Data, Start, eventually},
};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HTML: (&str, &str) = ("accept", "text/html");
const MOMENT: &str = "2026-11-24T12:00:00.000Z";

fn create(app: &App, title: &str) -> i64 {
    app.create(&json!({ "title": title, "notes": "one\ntwo" }))["id"].as_i64().unwrap()
}

fn patch(app: &App, id: i64, body: &Value) {
    assert_eq!(app.send("PATCH", &format!("/api/v1/records/{id}"), body).status, 200);
}

fn delete(app: &App, id: i64) {
    assert_eq!(app.ask("DELETE", &format!("/api/v1/records/{id}"), &[], b"").status, 204);
}

/// A page as the owner sees it.
fn page(app: &App, path: &str) -> Answer {
    let answer = app.ask("GET", path, &[HTML], b"");
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer
}

fn form(app: &App, path: &str, body: &str) -> Answer {
    app.ask("POST", path, &[FORM, HTML], body.as_bytes())
}

/// Follows a form to the page that says what it did.
fn followed(app: &App, answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{answer:?}");
    page(app, answer.header("location").unwrap()).text().to_owned()
}

fn in_trash(app: &App) -> Vec<i64> {
    let page = app.get("/api/v1/trash?limit=200").json();
    page["items"].as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()).collect()
}

/// Each record is there or in the trash, and what belongs to one is nowhere else.
fn assert_whole(data: &Data, records: i64) {
    let both = "SELECT count(*) FROM (SELECT id FROM record UNION ALL SELECT record_id FROM trash)";
    assert_eq!(data.count(both), records);
    assert_eq!(data.count("SELECT count(*) FROM record WHERE id IN (SELECT record_id FROM trash)"), 0);
    for table in ["record_field", "record_tag", "attachment", "record_text"] {
        let lost = format!("SELECT count(*) FROM {table} WHERE record_id NOT IN (SELECT id FROM record)");
        assert_eq!(data.count(&lost), 0, "{table}");
    }
    assert_eq!(data.count("SELECT count(*) FROM pragma_foreign_key_check"), 0);
    data.sql("INSERT INTO record_search (record_search) VALUES ('integrity-check')");
}

#[test]
fn what_was_changed_is_listed_compared_and_restored() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut anna = join(&app, "member", "anna@example.org");
    let id = create(&app, "Boiler");
    let path = format!("/api/v1/records/{id}");
    let changed =
        anna.send(&app, "PATCH", &path, Some(&json!({ "title": "Stove", "tags": ["warm"], "notes": "one\nthree" })));
    assert_eq!(changed.status, 200, "{changed:?}");
    let versions = app.get(&format!("{path}/versions")).json()["items"].clone();
    assert_eq!(versions[0]["changed"], json!(["title", "tags", "notes"]));
    let newest = (&versions[0]["version"], &versions[0]["current"], &versions[0]["changed_by_name"]);
    assert_eq!(newest, (&json!(2), &json!(true), &json!("anna@example.org")));
    assert_eq!((&versions[1]["changed"], &versions[1]["changed_by_name"]), (&Value::Null, &json!("The owner")));
    let first = app.get(&format!("{path}/versions/1")).json();
    assert_eq!(
        (&first["title"], &first["tags"], &first["visibility"]),
        (&json!("Boiler"), &json!([]), &json!("household"))
    );
    app.get(&format!("{path}/versions/3")).problem(404);
    app.get("/api/v1/records/99/versions").problem(404);

    let list = page(&app, &format!("/records/{id}/history"));
    for text in ["History of “Stove”", "changed: Title, Tags, Notes.", "added the record.", "anna@example.org"] {
        assert!(list.text().contains(text), "{text}: {}", list.text());
    }
    let one = page(&app, &format!("/records/{id}/history/1?with=now")).text().to_owned();
    for text in ["<del>two</del>", "<ins>three</ins>", "<ins>warm</ins>", r#"name="version" value="2""#] {
        assert!(one.contains(text), "{text}: {one}");
    }
    // Somebody changes it meanwhile: nothing is restored, and the page shows what it would be for now.
    patch(&app, id, &json!({ "title": "Oven" }));
    let restore = format!("/records/{id}/history/1/restore");
    let refused = form(&app, &restore, "version=2");
    assert_eq!(refused.status, 412);
    assert!(
        refused.text().contains("was not restored") && refused.text().contains(r#"value="3""#),
        "{}",
        refused.text()
    );
    assert_eq!(form(&app, &restore, "").status, 400);
    assert!(followed(&app, &form(&app, &restore, "version=3")).contains("The record was restored."));
    assert_eq!((&app.get(&path).json()["title"], &app.get(&path).json()["version"]), (&json!("Boiler"), &json!(4)));

    let stale = app.ask("POST", &format!("{path}/versions/2/restore"), &[("if-match", "\"3\"")], b"");
    stale.problem(412);
    let restored = app.ask("POST", &format!("{path}/versions/2/restore"), &[("if-match", "\"4\"")], b"");
    assert_eq!((restored.status, restored.header("etag")), (200, Some("\"5\"")));
    let restored = restored.json();
    assert_eq!((&restored["record"]["title"], &restored["record"]["tags"]), (&json!("Stove"), &json!(["warm"])));
    assert_eq!(restored["left_out"], json!([]));
    assert_eq!(app.get(&format!("{path}/versions?limit=200")).json()["items"].as_array().unwrap().len(), 5);
    app.stop();
}

#[test]
fn what_was_deleted_is_put_back_from_the_list_and_from_the_trash() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let id = create(&app, "Boiler <b>");
    let api = format!("/api/v1/records/{id}");
    assert!(page(&app, &format!("/records/{id}")).text().contains("Move to the trash"));
    let deleted = followed(&app, &form(&app, &format!("/records/{id}/delete"), "version=1"));
    let undo = format!(r#"action="/trash/{id}/restore""#);
    assert!(deleted.contains("“Boiler &lt;b&gt;” was moved to the trash.") && deleted.contains(&undo), "{deleted}");
    app.get(&api).problem(404);
    let put_back = followed(&app, &form(&app, &format!("/trash/{id}/restore"), ""));
    assert!(
        put_back.contains("The record was restored.") && put_back.contains("<h1>Boiler &lt;b&gt;</h1>"),
        "{put_back}"
    );
    let record = app.get(&api).json();
    assert_eq!((&record["version"], &record["notes"]), (&json!(2), &json!("one\ntwo")));
    assert_eq!(app.get("/api/v1/records?search=boiler").json()["items"][0]["id"], id);

    delete(&app, id);
    let trash = page(&app, "/trash").text().to_owned();
    assert!(trash.contains("Boiler &lt;b&gt;") && trash.contains("by The owner") && trash.contains(&undo), "{trash}");
    let listed = app.get("/api/v1/trash").json()["items"][0].clone();
    assert_eq!((&listed["deleted_by"], &listed["deleted_by_name"]), (&json!(1), &json!("The owner")));
    assert!(listed["kept_until"].as_str().unwrap() > listed["deleted_at"].as_str().unwrap(), "{listed}");
    let changes = app.get("/api/v1/records/changes").json();
    assert_eq!(changes["items"].as_array().unwrap().iter().filter(|item| item["gone"] == true).count(), 1);
    let restored = app.ask("POST", &format!("/api/v1/trash/{id}/restore"), &[], b"");
    assert_eq!((restored.status, restored.header("etag")), (200, Some("\"3\"")));
    for method in ["POST", "DELETE"] {
        let path = if method == "POST" { format!("/api/v1/trash/{id}/restore") } else { format!("/api/v1/trash/{id}") };
        app.ask(method, &path, &[], b"").problem(404);
    }
    delete(&app, id);
    let erased = followed(&app, &form(&app, &format!("/trash/{id}/delete"), ""));
    assert!(erased.contains("deleted for good") && erased.contains("The trash is empty."), "{erased}");
    app.ask("POST", &format!("/api/v1/trash/{id}/restore"), &[], b"").problem(404);
    let log = app.get("/api/v1/audit-events").json();
    let kinds: Vec<_> = log["items"].as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    let expected =
        ["record_erased", "record_deleted", "record_put_back", "record_deleted", "record_put_back", "record_deleted"];
    assert_eq!(kinds[..6], expected);
    app.stop();
    assert_eq!(data.count("SELECT (SELECT count(*) FROM trash) + (SELECT count(*) FROM record_version)"), 0);
}

#[test]
fn a_file_comes_back_with_a_version_and_from_the_trash() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let id = create(&app, "Boiler");
    let record = format!("/api/v1/records/{id}");
    let headers = [("content-type", "application/octet-stream")];
    let made = app.ask("POST", &format!("{record}/attachments?name=invoice.txt"), &headers, b"some words");
    assert_eq!(made.status, 201, "{made:?}");
    let attachment = format!("/api/v1/attachments/{}", made.json()["id"]);
    let is_whole = || {
        assert_eq!(app.get(&format!("{attachment}/content")).body, b"some words");
        assert_eq!(app.get("/api/v1/records?search=invoice").json()["items"][0]["id"], id);
    };
    is_whole();
    assert_eq!(app.ask("DELETE", &attachment, &[], b"").status, 204);
    app.get(&format!("{attachment}/content")).problem(404);
    let versions = app.get(&format!("{record}/versions")).json()["items"].clone();
    let changed: Vec<_> = versions.as_array().unwrap().iter().map(|version| version["changed"].clone()).collect();
    assert_eq!(changed, [json!(["attachments"]), json!(["attachments"]), Value::Null]);
    let kept = app.get(&format!("{record}/versions/2")).json()["attachments"].clone();
    assert_eq!((&kept[0]["id"], &kept[0]["name"]), (&made.json()["id"], &json!("invoice.txt")));
    assert!(kept[0].get("hash").is_none(), "nothing is addressed by its hash");
    assert_eq!(app.ask("POST", &format!("{record}/versions/2/restore"), &[], b"").status, 200);
    is_whole();
    delete(&app, id);
    app.get(&attachment).problem(404);
    app.get(&format!("{attachment}/content")).problem(404);
    assert_eq!(app.ask("POST", &format!("/api/v1/trash/{id}/restore"), &[], b"").status, 200);
    is_whole();
    // The same file again is no other one.
    delete(&app, id);
    let other = create(&app, "Stove");
    let again = format!("/api/v1/records/{other}/attachments?name=invoice.txt");
    assert_eq!(app.ask("POST", &again, &headers, b"some words").status, 201);
    assert_eq!(app.ask("DELETE", &format!("/api/v1/trash/{id}"), &[], b"").status, 204);
    let found = app.get("/api/v1/records?search=invoice").json()["items"].clone();
    assert_eq!((found.as_array().unwrap().len(), &found[0]["id"]), (1, &json!(other)));
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM file"), 1);
    assert_whole(&data, 1);
}

#[test]
fn guests_and_others_see_nothing_of_what_was_or_what_was_private() {
    let data = Data::new();
    let (anna, ben, guest) = ("hearth_anna", "hearth_ben", "hearth_guest");
    for (role, token) in [("member", anna), ("member", ben), ("guest", guest)] {
        data.add_person(role, token);
    }
    let app = Start::alone(&data).start();
    let shared = create(&app, "Shared");
    patch(&app, shared, &json!({ "title": "Still shared" }));
    let diary = app.send_as(anna, "POST", "/api/v1/records", &json!({ "title": "Diary", "visibility": "private" }));
    let diary = diary.json()["id"].as_i64().unwrap();
    let of = |id: i64| format!("/api/v1/records/{id}");
    for path in [format!("{}/versions", of(shared)), format!("{}/versions/1", of(shared)), "/api/v1/trash".to_owned()] {
        app.get_as(guest, &path).problem(403);
    }
    app.send_as(guest, "POST", &format!("{}/versions/1/restore", of(shared)), &json!({})).problem(403);
    app.get_as(ben, &format!("{}/versions", of(diary))).problem(404);
    app.get_as(ben, &format!("{}/versions/1", of(diary))).problem(404);
    // What it says from now on is for everybody; what it said is not.
    let change = json!({ "title": "Ours", "visibility": "household" });
    assert_eq!(app.send_as(anna, "PATCH", &of(diary), &change).status, 200);
    let seen = |token: &str| app.get_as(token, &format!("{}/versions", of(diary))).json()["items"].clone();
    assert_eq!(seen(anna).as_array().unwrap().len(), 2);
    assert_eq!((seen(ben).as_array().unwrap().len(), &seen(ben)[0]["changed"]), (1, &Value::Null));
    app.get_as(ben, &format!("{}/versions/1", of(diary))).problem(404);
    assert_eq!(app.get_as(anna, &format!("{}/versions/1", of(diary))).json()["title"], "Diary");
    // In the trash, each sees their own.
    assert_eq!(app.send_as(anna, "PATCH", &of(diary), &json!({ "visibility": "private" })).status, 200);
    let as_anna = ("authorization", "Bearer hearth_anna");
    assert_eq!(app.ask("DELETE", &of(diary), &[as_anna], b"").status, 204);
    let trash = |token: &str| app.get_as(token, "/api/v1/trash").json()["items"].as_array().unwrap().len();
    assert_eq!((trash(anna), trash(ben)), (1, 0));
    let as_ben = ("authorization", "Bearer hearth_ben");
    app.ask("POST", &format!("/api/v1/trash/{diary}/restore"), &[as_ben], b"").problem(404);
    app.ask("DELETE", &format!("/api/v1/trash/{diary}"), &[as_ben], b"").problem(404);
    let list = app.ask("GET", &format!("/?deleted={diary}"), &[HTML, as_ben], b"");
    assert!(!list.text().contains("moved to the trash"), "{}", list.text());
    assert_eq!(app.ask("POST", &format!("/api/v1/trash/{diary}/restore"), &[as_anna], b"").status, 200);
    app.stop();
}

/// What 0.6.0 prepares to write a record, word for word.
fn as_released(data: &Data, beginning: &str, values: &[&dyn ToSql]) {
    let text = include_str!("../../../../migrator/releases/0.6.0.statements");
    let statement = text.lines().find(|line| line.starts_with(beginning)).unwrap();
    let connection = Connection::open(data.database()).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    assert_eq!(connection.prepare(statement).unwrap().execute(values).unwrap(), 1, "{statement}");
}

#[test]
fn what_0_6_0_changes_is_a_version_and_what_it_deletes_is_in_the_trash() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let (changed, deleted) = (create(&app, "Boiler"), create(&app, "Stove"));
    patch(&app, deleted, &json!({ "tags": ["warm"] }));
    app.stop();
    data.sql(&format!(
        "INSERT INTO file (hash, bytes, media_type) VALUES ('00', 1, 'image/png');
         INSERT INTO attachment (id, record_id, hash, name, role, position, added_at)
             VALUES (7, {deleted}, '00', 'a.png', 'photo', 0, '{MOMENT}')"
    ));
    let title_key: &[u8] = b"key";
    as_released(
        &data,
        "UPDATE \"record\"",
        &[&"oven", &"", &1, &"Oven", &"2026-12-01T12:00:00.000Z", &2, &title_key, &changed],
    );
    as_released(&data, "DELETE FROM \"record\"", &[&deleted]);
    assert_whole(&data, 2);

    let app = Start::alone(&data).start();
    let versions = app.get(&format!("/api/v1/records/{changed}/versions")).json()["items"].clone();
    assert_eq!((&versions[0]["changed"], &versions[0]["changed_by"]), (&json!(["title"]), &Value::Null));
    assert_eq!(app.get(&format!("/api/v1/records/{changed}/versions/1")).json()["title"], "Boiler");
    let trashed = eventually("its time", || {
        let record = app.get("/api/v1/trash").json()["items"][0].clone();
        record["deleted_at"].is_string().then_some(record)
    });
    assert_eq!((&trashed["title"], &trashed["deleted_by"]), (&json!("Stove"), &Value::Null));
    let restored = app.ask("POST", &format!("/api/v1/trash/{deleted}/restore"), &[], b"").json();
    assert_eq!((&restored["record"]["tags"], &restored["record"]["version"]), (&json!(["warm"]), &json!(3)));
    app.stop();
    assert_eq!(data.count(&format!("SELECT id FROM attachment WHERE record_id = {deleted} AND name = 'a.png'")), 7);
    assert_whole(&data, 2);
}

#[test]
fn of_many_who_delete_and_put_back_one_record_one_does_each() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let id = create(&app, "Boiler");
    let all = |method: &'static str, path: String, done: u16| -> usize {
        thread::scope(|scope| {
            let one = || scope.spawn(|| usize::from(app.ask(method, &path, &[], b"").status == done));
            let all: Vec<_> = (0..8).map(|_| one()).collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        })
    };
    for _ in 0..3 {
        assert_eq!(all("DELETE", format!("/api/v1/records/{id}"), 204), 1);
        assert_eq!(all("POST", format!("/api/v1/trash/{id}/restore"), 200), 1);
    }
    patch(&app, id, &json!({ "title": "Stove" }));
    let tag = app.get(&format!("/api/v1/records/{id}")).header("etag").unwrap().to_owned();
    let path = format!("/api/v1/records/{id}/versions/1/restore");
    let won: usize = thread::scope(|scope| {
        let one = || scope.spawn(|| usize::from(app.ask("POST", &path, &[("if-match", &tag)], b"").status == 200));
        let all: Vec<_> = (0..8).map(|_| one()).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
    app.stop();
    assert_whole(&data, 1);
}

/// Makes all of the trash old enough to be emptied.
fn age(data: &Data) {
    data.sql("UPDATE trash SET days = 30, deleted_at = '2026-01-01T00:00:00.000Z'");
}

#[test]
fn a_restored_backup_begins_the_thirty_days_anew() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let id = create(&app, "Boiler");
    delete(&app, id);
    app.stop();
    age(&data);
    Start::probation(&data).env("HEARTH_RESTORED", "1").start().stop();
    assert_eq!(data.count("SELECT count(*) FROM trash WHERE days = 0 AND deleted_at > '2026-02-01'"), 1);
    let app = Start::alone(&data).start();
    assert_eq!(in_trash(&app), [id]);
    assert_eq!(app.ask("POST", &format!("/api/v1/trash/{id}/restore"), &[], b"").status, 200);
    app.stop();
}
