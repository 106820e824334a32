//! What a record says beside its title: a kind, fields, tags, a place. And that no version of it is lost, whoever changes it.

use rusqlite::Connection;
use serde_json::{Value, json};

use crate::harness::{App, Data, Start};

fn ids(app: &App, query: &str) -> Vec<i64> {
    let page = app.get(&format!("/api/v1/records?limit=200&{query}"));
    assert_eq!(page.status, 200, "{query}: {page:?}");
    let page = page.json();
    let mut ids: Vec<_> =
        page["items"].as_array().unwrap().iter().map(|record| record["id"].as_i64().unwrap()).collect();
    ids.sort_unstable();
    ids
}

fn washer() -> Value {
    json!({
        "title": "Washing machine",
        "kind": "thing",
        "notes": "In the *cellar*.",
        "tags": ["Appliance", "Guarantee"],
        "fields": [
            { "key": "serial_number", "label": "Serial number", "value": "FD-9907/00415" },
            { "key": "price", "label": "Price", "amount": 64900, "currency": "EUR" },
            { "label": "Delivered by", "value": "Øystein" },
        ],
    })
}

#[test]
fn a_record_comes_back_with_its_kind_fields_and_tags() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let record = app.create(&washer());
    for (name, value) in washer().as_object().unwrap() {
        assert_eq!(&record[name], value, "{name}");
    }
    let path = format!("/api/v1/records/{}", record["id"]);
    assert_eq!(app.get(&path).json(), record);
    assert_eq!(app.get("/api/v1/records").json()["items"][0], record);
    assert_eq!(app.get("/api/v1/records/changes").json()["items"][0]["record"], record);
    // Another kind loses nothing.
    let changed = app.send("PATCH", &path, &json!({ "kind": "vehicle" })).json();
    assert_eq!((&changed["fields"], &changed["tags"]), (&record["fields"], &record["tags"]));
    // Fields and tags are replaced as a whole.
    let changed = app.send("PATCH", &path, &json!({ "fields": [], "tags": ["Sold", "appliance", "SOLD"] })).json();
    assert_eq!((&changed["fields"], &changed["tags"]), (&json!([]), &json!(["appliance", "Sold"])));
    assert_eq!(changed["version"], 3);
    // What changes nothing is no change.
    assert_eq!(app.send("PATCH", &path, &json!({ "tags": ["Sold", "appliance"] })).json(), changed);
    // A client of 0.6.0 knows nothing of them, and leaves them.
    let changed = app.send("PATCH", &path, &json!({ "title": "Washer" })).json();
    assert_eq!((&changed["kind"], &changed["tags"]), (&json!("vehicle"), &json!(["appliance", "Sold"])));
    app.stop();
}

#[test]
fn what_no_record_can_say_is_refused_by_its_field() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    for (body, field) in [
        (json!({ "title": "a", "tags": ["a,b"] }), "tags"),
        (json!({ "title": "a", "tags": [" "] }), "tags"),
        (json!({ "title": "a", "fields": [{ "label": "L" }] }), "fields"),
        (json!({ "title": "a", "fields": [{ "label": "L", "value": "v", "amount": 1, "currency": "EUR" }] }), "fields"),
        (json!({ "title": "a", "fields": [{ "label": "L", "amount": 1 }] }), "fields"),
        (json!({ "title": "a", "fields": [{ "label": "L", "currency": "EUR" }] }), "fields"),
        (json!({ "title": "a", "fields": [{ "label": "L", "amount": 1, "currency": "eur" }] }), "fields"),
        (json!({ "title": "a", "fields": [{ "label": "L", "value": "v", "key": "No Key" }] }), "fields"),
        (json!({ "title": "a", "place_id": 7 }), "place_id"),
    ] {
        let problem = app.send("POST", "/api/v1/records", &body).problem(400);
        assert_eq!(problem["errors"][0]["field"], field, "{problem}");
    }
    assert_eq!(data.count("SELECT count(*) FROM record"), 0);
    app.stop();
}

#[test]
fn a_record_is_found_by_all_that_it_says() {
    let data = Data::new();
    data.sql(
        "INSERT INTO place (id, parent_id, name, name_key) VALUES
            (1, NULL, 'House', 'house'), (2, 1, 'Cellar', 'cellar'), (3, NULL, 'Garage', 'garage')",
    );
    let app = Start::alone(&data).start();
    let washer = app.create(&{
        let mut washer = washer();
        washer["place_id"] = json!(2);
        washer
    });
    assert_eq!(washer["place_id"], 2);
    app.create(&json!({ "title": "Car", "kind": "vehicle", "place_id": 3, "tags": ["guarantee"], "category": "x" }));
    app.create(&json!({ "title": "Diary" }));
    for (query, expected) in [
        ("search=9907/00415", vec![1]),
        ("search=oystein", vec![1]),
        ("search=649.00", vec![1]),
        ("search=appli", vec![1]),
        ("search=house%20cellar", vec![1]),
        ("search=garage", vec![2]),
        ("tag=GUARANTEE", vec![1, 2]),
        ("tag=guarante", vec![]),
        ("kind=vehicle", vec![2]),
        ("kind=note", vec![3]),
        ("kind=home", vec![]),
        ("place_id=1", vec![1]),
        ("place_id=2", vec![1]),
        ("place_id=3&tag=guarantee&kind=vehicle&category=X&search=car", vec![2]),
        ("place_id=1&kind=vehicle", vec![]),
        ("place_id=99", vec![]),
    ] {
        for sort in ["updated_desc", "title", "due"] {
            assert_eq!(ids(&app, &format!("{query}&sort={sort}")), expected, "{query}");
        }
    }
    let path = "/api/v1/records/1";
    app.send("PATCH", path, &json!({ "place_id": null, "fields": [], "tags": [] }));
    assert_eq!(ids(&app, "search=cellar"), [1], "its notes still say so");
    for query in ["search=oystein", "place_id=1", "tag=appliance"] {
        assert_eq!(ids(&app, query), [] as [i64; 0], "{query}");
    }
    app.stop();
}

/// The versions of a record, as they are kept: number, title, tags.
fn versions(data: &Data, record: i64) -> Vec<(i64, String, String)> {
    let connection = Connection::open(data.database()).unwrap();
    let sql =
        "SELECT version, content ->> 'title', content -> 'tags' FROM record_version WHERE record_id = ? ORDER BY id";
    let mut statement = connection.prepare(sql).unwrap();
    let rows = statement.query_map([record], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap();
    rows.map(Result::unwrap).collect()
}

#[test]
fn each_change_keeps_the_record_as_it_was_before() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    app.create(&washer());
    let path = "/api/v1/records/1";
    app.send("PATCH", path, &json!({ "title": "Washer", "tags": ["Old"] }));
    app.send("PATCH", path, &json!({ "fields": [] }));
    app.send("PATCH", path, &json!({ "fields": [] }));
    let version = |number: i64, title: &str, tags: &str| (number, title.to_owned(), tags.to_owned());
    let first = version(1, "Washing machine", r#"["Appliance","Guarantee"]"#);
    let second = version(2, "Washer", r#"["Old"]"#);
    assert_eq!(versions(&data, 1), [first.clone(), second.clone()]);
    assert_eq!(data.count("SELECT json_array_length(content, '$.fields') FROM record_version WHERE version = 2"), 3);
    assert_eq!(data.count("SELECT count(*) FROM record_version WHERE changed_by = 1"), 2);
    app.ask("DELETE", path, &[], b"");
    assert_eq!(versions(&data, 1), [first, second, version(3, "Washer", r#"["Old"]"#)]);
    for table in ["record", "record_field", "record_tag", "record_text"] {
        assert_eq!(data.count(&format!("SELECT count(*) FROM {table}")), 0, "{table}");
    }
    assert_eq!(
        data.count(
            "SELECT count(*) FROM trash JOIN record_version ON record_version.id = version_id WHERE version = 3"
        ),
        1
    );
    app.stop();
}

/// What 0.6.0 prepares to change and to delete a record, word for word.
fn of_0_6_0(beginning: &str) -> String {
    let text = include_str!("../../../migrator/releases/0.6.0.statements");
    text.lines().find(|line| line.starts_with(beginning)).unwrap().to_owned()
}

#[test]
fn what_an_older_program_changes_is_a_version_and_what_it_deletes_is_in_the_trash() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    app.create(&washer());
    app.create(&washer());
    app.stop();
    let connection = Connection::open(data.database()).unwrap();
    connection.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    // As programs before 0.5.0 do, which know nothing of versions; a trigger counts.
    connection
        .execute("UPDATE record SET title = 'Older', updated_at = '2026-11-29T12:00:00.000Z' WHERE id = 1", [])
        .unwrap();
    // As 0.5.0 and 0.6.0 do.
    let sql = "UPDATE record SET title = 'Old', version = 3, folded = 'old', fold_version = 1 WHERE id = 1";
    connection.execute(sql, []).unwrap();
    let titles: Vec<_> = versions(&data, 1).into_iter().map(|(number, title, _)| (number, title)).collect();
    assert_eq!(titles, [(1, "Washing machine".to_owned()), (2, "Older".to_owned())]);
    assert_eq!(data.count("SELECT count(*) FROM record_version WHERE changed_by IS NULL"), 1, "nobody knows who");
    let deleted = connection.execute(&of_0_6_0("DELETE FROM \"record\""), [2]).unwrap();
    assert_eq!(deleted, 1);
    assert_eq!(data.count("SELECT count(*) FROM trash WHERE record_id = 2 AND deleted_at IS NULL"), 1);
    drop(connection);
    // Its fields and tags are found again, by who knows of them.
    let app = Start::alone(&data).start();
    assert_eq!(ids(&app, "search=oystein"), [1]);
    assert_eq!(ids(&app, "tag=appliance&kind=thing"), [1]);
    assert_eq!(ids(&app, ""), [1]);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record WHERE fold_version <> 2"), 0);
}

#[test]
fn a_change_beside_the_record_itself_is_a_change_for_who_synchronizes() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    app.create(&washer());
    app.create(&json!({ "title": "Other" }));
    let cursor = |page: &Value| format!("/api/v1/records/changes?after={}", page["cursor"].as_str().unwrap());
    let first = app.get("/api/v1/records/changes").json();
    for change in [json!({ "tags": ["New"] }), json!({ "fields": [] }), json!({ "kind": "home" })] {
        app.send("PATCH", "/api/v1/records/1", &change);
        let page = app.get(&cursor(&first)).json();
        assert_eq!(page["items"].as_array().unwrap().len(), 1, "{page}");
        assert_eq!(page["items"][0]["id"], 1);
        assert!(app.get(&cursor(&page)).json()["items"].as_array().unwrap().is_empty());
    }
    app.stop();
}
