//! No update is lost: a change is for the version that its author saw.

use std::thread;

use serde_json::json;

use crate::{
    accounts::browser::join,
    harness::{Data, Start},
};

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");

#[test]
fn a_change_or_deletion_is_for_the_version_that_was_read() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let created = app.send("POST", "/api/v1/records", &json!({ "title": "Boiler" }));
    assert_eq!((created.header("etag"), &created.json()["version"]), (Some("\"1\""), &json!(1)));
    let path = created.header("location").unwrap().to_owned();
    let patch = |tag: &str, title: &str| {
        app.ask("PATCH", &path, &[JSON, ("if-match", tag)], json!({ "title": title }).to_string().as_bytes())
    };
    let changed = patch("\"1\"", "Stove");
    assert_eq!((changed.status, changed.header("etag"), &changed.json()["version"]), (200, Some("\"2\""), &json!(2)));
    // Somebody else's, an unknown one, a weak one.
    for tag in ["\"1\"", "\"3\", \"1\"", "W/\"2\"", "\"\"", "\"02\""] {
        assert_eq!(patch(tag, "lost").problem(412)["code"], "precondition_failed", "{tag}");
        let refused = app.ask("DELETE", &path, &[("if-match", tag)], b"");
        assert_eq!(refused.problem(412)["code"], "precondition_failed", "{tag}");
    }
    // Not ASCII, which is a tag of nobody's, and a second line of the header.
    assert_eq!(patch("\"\u{e9}\"", "lost").problem(412)["code"], "precondition_failed");
    let two = [JSON, ("if-match", "\"1\""), ("if-match", "\"x\"")];
    app.ask("PATCH", &path, &two, br#"{"title":"lost"}"#).problem(412);
    for tag in ["2", "\"2", "\"2\" \"3\"", ","] {
        assert_eq!(patch(tag, "lost").problem(400)["errors"][0]["field"], "If-Match", "{tag}");
    }
    assert_eq!(app.get(&path).json()["title"], "Stove");
    assert_eq!(patch("\"1\", \"2\"", "Oven").status, 200);
    assert_eq!(patch("*", "Range").status, 200);
    // What changes nothing is no new version; scripts without the header go on.
    assert_eq!(patch("\"4\"", "Range").header("etag"), Some("\"4\""));
    assert_eq!(app.send("PATCH", &path, &json!({ "category": "house" })).header("etag"), Some("\"5\""));
    let unchanged = |tag: &str| app.ask("GET", &path, &[("if-none-match", tag)], b"");
    for tag in ["\"5\"", "W/\"5\"", "\"4\", \"5\"", "*"] {
        let answer = unchanged(tag);
        assert_eq!((answer.status, answer.header("etag"), answer.body.len()), (304, Some("\"5\""), 0), "{tag}");
    }
    assert_eq!(unchanged("\"4\"").json()["version"], 5);
    assert_eq!(app.ask("DELETE", &path, &[("if-match", "\"5\"")], b"").status, 204);
    // What is not there has no version to disagree with.
    app.ask("DELETE", &path, &[("if-match", "\"5\"")], b"").problem(404);
    app.stop();
}

#[test]
fn of_many_who_change_one_version_one_wins() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let path = format!("/api/v1/records/{}", app.create(&json!({ "title": "Boiler" }))["id"]);
    let won: usize = thread::scope(|scope| {
        let change = |number: usize| {
            let (app, path) = (&app, &path);
            scope.spawn(move || {
                let body = json!({ "notes": format!("{number}") }).to_string();
                let answer = app.ask("PATCH", path, &[JSON, ("if-match", "\"1\"")], body.as_bytes());
                if answer.status != 200 {
                    answer.problem(412);
                }
                usize::from(answer.status == 200)
            })
        };
        let all: Vec<_> = (0..12).map(change).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum()
    });
    assert_eq!(won, 1);
    app.stop();
}

#[test]
fn a_page_that_is_out_of_date_shows_both_versions() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let cookie = join(&app, "member", "anna@example.org").cookie();
    let record = app.create(&json!({ "title": "Boiler" }));
    let page = format!("/records/{}", record["id"]);
    let api = format!("/api/v1{page}");
    let own = [FORM, ("cookie", &*cookie), ("origin", "http://hearth"), ("accept", "text/html")];
    for address in [page.clone(), format!("{page}/edit")] {
        let shown = app.ask("GET", &address, &own[1..], b"");
        assert_eq!(shown.text().matches(r#"name="version" value="1""#).count(), 1, "{}", shown.text());
    }
    app.send("PATCH", &api, &json!({ "title": "Stove of Ben" }));
    let save = |version: &str| {
        let body = format!("title=Oven+of+Anna&category=&notes=&due_date={version}");
        app.ask("POST", &page, &own, body.as_bytes())
    };
    let refused = save("&version=1");
    assert_eq!(refused.status, 412);
    for text in ["Stove of Ben", "Oven of Anna", "Saved version", "Your version", r#"name="version" value="2""#] {
        assert!(refused.text().contains(text), "{text}: {}", refused.text());
    }
    assert_eq!(app.ask("POST", &format!("{page}/delete"), &own, b"version=1").status, 412);
    // A form without a version is none of ours.
    for answer in [save(""), app.ask("POST", &format!("{page}/delete"), &own, b"x=1")] {
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    assert_eq!(app.get(&api).json()["title"], "Stove of Ben");
    assert_eq!(save("&version=2").status, 303);
    assert_eq!(app.get(&api).json()["title"], "Oven of Anna");
    assert_eq!(app.ask("POST", &format!("{page}/delete"), &own, b"version=3").status, 303);
    app.get(&api).problem(404);
    app.stop();
}

#[test]
fn a_copy_keeps_up_and_learns_nothing_of_what_was_always_private() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let mut anna = join(&app, "member", "anna@example.org");
    let get = |after: &str| app.get(&format!("/api/v1/records/changes?limit=200{after}"));
    let seen = |page: &serde_json::Value| -> Vec<(i64, bool)> {
        let items = page["items"].as_array().unwrap().iter();
        items.map(|item| (item["id"].as_i64().unwrap(), item["gone"] == true)).collect()
    };
    let mut add = |title: &str, visibility: &str| {
        anna.post(&app, "/api/v1/records", &json!({ "title": title, "visibility": visibility })).json()["id"].clone()
    };
    let (shared, diary, gone) = (add("Shared", "household"), add("Diary", "private"), add("Gone", "household"));
    let first = get("").json();
    assert_eq!(seen(&first), [(shared.as_i64().unwrap(), false), (gone.as_i64().unwrap(), false)]);
    assert_eq!(first["items"][0]["record"]["title"], "Shared");
    let after = format!("&after={}", first["cursor"].as_str().unwrap());
    assert_eq!(seen(&get(&after).json()), []);
    let of = |id: &serde_json::Value| format!("/api/v1/records/{id}");
    assert_eq!(anna.send(&app, "PATCH", &of(&diary), Some(&json!({ "notes": "x" }))).status, 200);
    assert_eq!(anna.send(&app, "PATCH", &of(&shared), Some(&json!({ "visibility": "private" }))).status, 200);
    assert_eq!(anna.send(&app, "DELETE", &of(&gone), None).status, 204);
    assert_eq!(anna.send(&app, "DELETE", &of(&diary), None).status, 204);
    let second = get(&after).json();
    assert_eq!(seen(&second), [(shared.as_i64().unwrap(), true), (gone.as_i64().unwrap(), true)]);
    // Page by page the same.
    let one = app.get(&format!("/api/v1/records/changes?limit=1{after}")).json();
    assert_eq!((seen(&one).len(), &one["has_more"]), (1, &json!(true)));
    assert_eq!(seen(&get(&format!("&after={}", one["cursor"].as_str().unwrap())).json()), seen(&second)[1..]);
    // Another's cursor, and one from before a restore.
    assert_eq!(anna.get(&app, &format!("/api/v1/records/changes?{}", &after[1..])).problem(410)["code"], "gone");
    // A database put back by hand has not reached the number yet.
    data.sql("CREATE TABLE aside AS SELECT * FROM record_change; DELETE FROM record_change WHERE scope = 0");
    assert_eq!(get(&after).problem(410)["code"], "gone");
    data.sql("INSERT INTO record_change SELECT * FROM aside WHERE scope = 0");
    assert_eq!(get(&after).status, 200);
    data.sql("UPDATE record_state SET epoch = 'restored'");
    assert_eq!(get(&after).problem(410)["code"], "gone");
    get("&after=nonsense").problem(400);
    app.stop();
}
