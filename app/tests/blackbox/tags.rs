//! Tags, as programs and people use them.

use serde_json::{Value, json};

use crate::harness::{App, Data, OWNER, Start};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml");
const BEN: &str = "hearth_ben";
const GUEST: &str = "hearth_guest";

/// The tags that somebody sees, each with its records.
fn seen(app: &App, token: &str) -> Vec<(String, i64)> {
    let page = app.get_as(token, "/api/v1/tags?limit=200").json();
    let tag = |tag: &Value| (tag["name"].as_str().unwrap().to_owned(), tag["records"].as_i64().unwrap());
    page["items"].as_array().unwrap().iter().map(tag).collect()
}

fn of(tags: &[(&str, i64)]) -> Vec<(String, i64)> {
    tags.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()
}

fn tags(app: &App, token: &str, id: i64) -> Value {
    app.get_as(token, &format!("/api/v1/records/{id}")).json()["tags"].clone()
}

/// A household in which Ben keeps a record to himself, whose tags are in part those of others.
fn household() -> Data {
    let data = Data::new();
    data.add_person("member", BEN);
    data.add_person("guest", GUEST);
    data
}

fn fill(app: &App) {
    app.create(&json!({ "title": "Spade", "tags": ["Garden", "Tools"] }));
    app.create(&json!({ "title": "Rake", "tags": ["garden"] }));
    app.create(&json!({ "title": "Drill", "tags": ["Tools"] }));
    app.create(&json!({ "title": "Diary", "tags": ["Garden", "Mine"], "visibility": "private" }));
    let secret = json!({ "title": "Secret", "tags": ["GARDEN", "Lover"], "visibility": "private" });
    assert_eq!(app.send_as(BEN, "POST", "/api/v1/records", &secret).status, 201);
}

#[test]
fn each_viewer_sees_the_tags_of_the_records_that_they_see() {
    let data = household();
    let app = Start::alone(&data).start();
    fill(&app);
    assert_eq!(seen(&app, OWNER), of(&[("Garden", 3), ("Mine", 1), ("Tools", 2)]));
    assert_eq!(seen(&app, BEN), of(&[("GARDEN", 3), ("Lover", 1), ("Tools", 2)]));
    assert_eq!(seen(&app, GUEST), of(&[("Garden", 2), ("Tools", 2)]));
    app.stop();
}

#[test]
fn a_renamed_tag_is_renamed_where_the_user_sees_it_and_nowhere_else() {
    let data = household();
    let app = Start::alone(&data).start();
    fill(&app);
    let renamed = app.send("PATCH", "/api/v1/tags/garden", &json!({ "name": " Green/Yard 猫 " }));
    assert_eq!(renamed.json(), json!({ "name": "Green/Yard 猫", "changed": 3, "merged": false }));
    assert_eq!(seen(&app, OWNER), of(&[("Green/Yard 猫", 3), ("Mine", 1), ("Tools", 2)]));
    // As if it had not happened.
    assert_eq!(
        (tags(&app, BEN, 5), data.count("SELECT version FROM record WHERE id = 5")),
        (json!(["GARDEN", "Lover"]), 1)
    );
    // Each record that changed has the version before.
    assert_eq!(data.count("SELECT count(*) FROM record_version WHERE content ->> '$.tags' LIKE '%arden%'"), 3);
    for (search, number) in [("garden", 0), ("yard", 3)] {
        let found = app.get(&format!("/api/v1/records?search={search}")).json();
        assert_eq!(found["items"].as_array().unwrap().len(), number, "{search}");
    }
    // A slash and other letters are a part of an address as well.
    let path = "/api/v1/tags/green%2Fyard%20%E7%8C%AB";
    assert_eq!(app.send("PATCH", path, &json!({ "name": "Green/Yard 猫" })).json()["changed"], 0);
    assert_eq!(app.send("PATCH", path, &json!({ "name": "green/yard 猫" })).json()["changed"], 3);
    app.stop();
}

#[test]
fn a_tag_that_gets_the_name_of_another_becomes_one_with_it() {
    let data = household();
    let app = Start::alone(&data).start();
    fill(&app);
    // Somebody else's secret tag is no other tag.
    let renamed = app.send("PATCH", "/api/v1/tags/mine", &json!({ "name": "Lover" })).json();
    assert_eq!(renamed, json!({ "name": "Lover", "changed": 1, "merged": false }));
    let renamed = app.send("PATCH", "/api/v1/tags/Garden", &json!({ "name": "tools" })).json();
    assert_eq!(renamed, json!({ "name": "tools", "changed": 3, "merged": true }));
    assert_eq!(seen(&app, GUEST), of(&[("Tools", 3)]));
    assert_eq!(tags(&app, OWNER, 1), json!(["tools"]));
    app.stop();
}

#[test]
fn a_removed_tag_leaves_the_records() {
    let data = household();
    let app = Start::alone(&data).start();
    fill(&app);
    let delete = |path: &str| app.ask("DELETE", path, &[], b"");
    assert_eq!(delete("/api/v1/tags/G%C3%A1rden").status, 204);
    assert_eq!(seen(&app, OWNER), of(&[("Mine", 1), ("Tools", 2)]));
    assert_eq!(tags(&app, BEN, 5), json!(["GARDEN", "Lover"]));
    for path in ["/api/v1/tags/garden", "/api/v1/tags/lover", "/api/v1/tags/x"] {
        delete(path).problem(404);
        app.send("PATCH", path, &json!({ "name": "y" })).problem(404);
    }
    for name in ["", " ", "a,b", "a\nb", &"x".repeat(51)] {
        let problem = app.send("PATCH", "/api/v1/tags/tools", &json!({ "name": name })).problem(400);
        assert_eq!(problem["errors"][0]["field"], "name", "{problem}");
    }
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record"), 5);
}

#[test]
fn a_tag_of_many_records_is_renamed_in_each_of_them() {
    let data = Data::new();
    data.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 250)
         INSERT INTO record (id, title, category, notes, created_at, updated_at)
             SELECT i, 'Thing', '', '', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z' FROM n;
         INSERT INTO record_tag (record_id, name_key, name) SELECT id, 'old', 'Old' FROM record",
    );
    let app = Start::alone(&data).start();
    assert_eq!(app.send("PATCH", "/api/v1/tags/old", &json!({ "name": "New" })).json()["changed"], 250);
    assert_eq!(seen(&app, OWNER), of(&[("New", 250)]));
    assert_eq!(app.ask("DELETE", "/api/v1/tags/new", &[], b"").status, 204);
    assert_eq!(seen(&app, OWNER), of(&[]));
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record_version"), 500);
}

#[test]
fn people_rename_and_remove_tags_by_forms() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let post = |path: &str, form: &str| app.ask("POST", path, &[FORM, HTML], form.as_bytes());
    let page = |path: &str| app.ask("GET", path, &[HTML], b"").text().to_owned();
    assert!(page("/tags").contains("There are no tags yet"));
    app.create(&json!({ "title": "x", "tags": ["R&D <b>"] }));
    app.create(&json!({ "title": "y", "tags": ["Other"] }));
    let text = page("/tags");
    assert!(text.contains("href=\"/?tag=R%26D%20%3Cb%3E\">R&amp;D &lt;b&gt;</a>"), "{text}");
    assert_eq!(app.get("/?tag=R%26D%20%3Cb%3E").status, 200);
    let wrong = post("/tags/rename", "tag=R%26D+%3Cb%3E&name=a%2Cb");
    assert_eq!(wrong.status, 400);
    assert!(wrong.text().contains("The name must not contain a comma") && wrong.text().contains("value=\"a,b\""));
    let renamed = post("/tags/rename", "tag=R%26D+%3Cb%3E&name=Research");
    assert_eq!(renamed.header("location"), Some("/tags?done=renamed"));
    assert_eq!(post("/tags/rename", "tag=Research&name=other").header("location"), Some("/tags?done=merged"));
    assert!(page("/tags?done=merged").contains("The two are one now."));
    assert_eq!(post("/tags/remove", "tag=Other").header("location"), Some("/tags?done=removed"));
    assert_eq!(post("/tags/remove", "tag=Other").status, 404);
    app.stop();
}
