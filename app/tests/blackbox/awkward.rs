//! The rows that `cargo migration check` lets migrations run on (`migrator/src/developer/awkward.rs`) are such as the API accepts:
//! a migration that fails on others would be refused for nothing.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{App, Data, OWNER, Start, digest};

/// The newest release's database with awkward rows in it, upgraded, and what of it the release itself had.
fn filled() -> (Data, i64) {
    let data = Data::new();
    let newest = migrator::developer::releases::all().unwrap().pop().unwrap();
    std::fs::remove_file(data.database()).unwrap();
    newest.make(&data.database()).unwrap();
    migrator::developer::releases::place_files(data.directory.path()).unwrap();
    let last = data.count("SELECT max(id) FROM record");
    migrator::developer::awkward::fill(&data.database()).unwrap();
    (data, last)
}

fn texts(data: &Data, sql: &str) -> BTreeSet<Vec<Option<String>>> {
    let connection = rusqlite::Connection::open(data.database()).unwrap();
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    let rows = statement.query_map([], |row| (0..width).map(|index| row.get(index)).collect()).unwrap();
    rows.collect::<rusqlite::Result<_>>().unwrap()
}

fn accepted(app: &App, method: &str, path: &str, body: &Value) -> Value {
    let answer = app.send(method, path, body);
    let short: String = body.to_string().chars().take(300).collect();
    assert!([200, 201].contains(&answer.status), "{method} {path} {short}: {answer:?}");
    answer.json()
}

fn read(app: &App, path: &str) -> Value {
    let answer = app.get(path);
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.json()
}

#[test]
fn every_awkward_row_is_one_that_the_api_accepts_and_keeps_as_it_is() {
    let (filled, last) = filled();
    let data = Data::new();
    let app = Start::alone(&data).start();

    let records = texts(&filled, &format!("SELECT title, category, notes, due_date FROM record WHERE id > {last}"));
    assert!(records.len() > 200, "{}", records.len());
    for record in &records {
        let [title, category, notes, due_date] = record.as_slice() else { panic!("{record:?}") };
        let body = json!({ "title": title, "category": category, "notes": notes, "due_date": due_date });
        let sent = if due_date.is_none() {
            json!({ "title": title, "category": category, "notes": notes })
        } else {
            body.clone()
        };
        let answer = accepted(&app, "POST", "/api/v1/records", &sent);
        for field in ["title", "category", "notes", "due_date"] {
            // An absent field is what is null in the database.
            assert_eq!(answer.get(field).unwrap_or(&Value::Null), &body[field], "{field}");
        }
    }

    let people = texts(&filled, "SELECT name, email FROM user");
    for person in &people {
        let body = json!({ "name": person[0], "email": person[1] });
        let answer = accepted(&app, "PATCH", "/api/v1/profile", &body);
        assert_eq!((&answer["name"], &answer["email"]), (&body["name"], &body["email"]));
    }
    for token in &texts(&filled, "SELECT DISTINCT name, scope FROM api_token") {
        let body = json!({ "name": token[0], "scope": token[1] });
        let answer = accepted(&app, "POST", "/api/v1/tokens", &body);
        assert_eq!((&answer["token"]["name"], &answer["token"]["scope"]), (&body["name"], &body["scope"]));
    }
    // Keys with a blank are the app's own, of uploads.
    let keys = texts(&filled, "SELECT key FROM idempotency_key WHERE key NOT LIKE '% %'");
    for key in keys.into_iter().flatten().flatten() {
        let headers = [("content-type", "application/json"), ("idempotency-key", key.as_str())];
        let answer = app.ask("POST", "/api/v1/records", &headers, json!({ "title": "once" }).to_string().as_bytes());
        assert_eq!(answer.status, 201, "{key}: {answer:?}");
    }
    app.stop();
}

#[test]
fn the_app_reads_every_awkward_row() {
    let (data, _) = filled();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(migrator::up(&data.database(), &migrator::Release::current(), &mut |_| {})).unwrap();
    // The token of the one who made the release's database.
    let owner = data.count(&format!("SELECT user_id FROM api_token WHERE token_hash = '{}'", digest(OWNER)));
    let expected =
        data.count(&format!("SELECT count(*) FROM record WHERE visibility = 'household' OR owner_id = {owner}"));
    let app = Start::alone(&data).start();
    for sort in ["updated_desc", "due", "title"] {
        let (mut found, mut after) = (0, String::new());
        loop {
            let page = read(&app, &format!("/api/v1/records?limit=100&sort={sort}{after}"));
            found += page["items"].as_array().unwrap().len() as i64;
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(found, expected, "{sort}");
    }
    for list in ["users", "audit-events", "tokens", "invitations"] {
        read(&app, &format!("/api/v1/{list}"));
    }
    app.stop();
}
