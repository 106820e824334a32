//! Words that only a newer version knows, in each column that has a fixed set of them.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    accounts::browser::{PASSWORD, join, sign_in},
    client::Answer,
    harness::{App, Data, OWNER, SESSION, Start, digest, eventually},
};

const HTML: (&str, &str) = ("accept", "text/html");
const MOMENT: &str = "2026-11-24T12:00:00.000Z";
const LATER: &str = "2999-01-01T00:00:00.000Z";

/// A token of the owner whose scope, one of a user whose role, and a session whose method nobody knows.
const BY_SCOPE: &str = "hearth_1111111111111111111111111111111111111111111";
const BY_ROLE: &str = "hearth_2222222222222222222222222222222222222222222";
const BY_METHOD: &str = "hearth_3333333333333333333333333333333333333333333";
const INVITATION: &str = "4444444444444444444444444444444444444444444";

/// What is planted: the ids of the records with an unknown visibility, kind and attachment's role, and of one in the trash.
struct Planted {
    hidden: i64,
    kind: i64,
    files: i64,
    trashed: i64,
    changed: i64,
}

fn id(value: &Value) -> i64 {
    value["id"].as_i64().unwrap()
}

fn attach(app: &App, record: i64) {
    let file = [("content-type", "application/octet-stream")];
    let path = format!("/api/v1/records/{record}/attachments?name=a.txt");
    assert_eq!(app.ask("POST", &path, &file, b"content").status, 201);
}

fn plant(data: &Data) -> Planted {
    let app = Start::alone(data).start();
    join(&app, "member", "anna@example.org");
    let place = id(&app.send("POST", "/api/v1/places", &json!({ "name": "Attic" })).json());
    let records = ["Hidden", "Kind", "Files", "Trashed", "Changed", "Other"]
        .map(|title| id(&app.create(&json!({ "title": title, "tags": ["warm"], "place_id": place }))));
    let [hidden, kind, files, trashed, changed, _] = records;
    for record in records {
        attach(&app, record);
    }
    for record in [hidden, kind, files, changed] {
        let path = format!("/api/v1/records/{record}");
        assert_eq!(app.send("PATCH", &path, &json!({ "notes": "heating" })).status, 200);
    }
    assert_eq!(app.ask("DELETE", &format!("/api/v1/records/{trashed}"), &[], b"").status, 204);
    app.stop();
    let anna = data.count("SELECT id FROM user WHERE email = 'anna@example.org'");
    let (scope, role, method, invitation) = (digest(BY_SCOPE), digest(BY_ROLE), digest(BY_METHOD), digest(INVITATION));
    data.sql(&format!(
        "UPDATE record SET visibility = 'some_of_them' WHERE id = {hidden};
         UPDATE record SET kind = 'spaceship' WHERE id = {kind};
         UPDATE attachment SET role = 'hologram' WHERE record_id = {files};
         UPDATE record_version SET content = json_replace(content, '$.visibility', 'some_of_them', '$.kind', 'spaceship',
             '$.attachments[0].role', 'hologram') WHERE record_id IN ({trashed}, {changed});
         UPDATE record_field SET currency = 'credits';
         INSERT INTO api_token (user_id, name, token_hash, scope, created_at) VALUES (1, 's', '{scope}', 'some', '{MOMENT}');
         INSERT INTO api_token (user_id, name, token_hash, scope, created_at) VALUES ({anna}, 'r', '{role}', 'admin', '{MOMENT}');
         INSERT INTO session (user_id, token_hash, method, address, user_agent, created_at, last_seen_at, expires_at)
             VALUES (1, '{method}', 'telepathy', '', '', '{MOMENT}', '{MOMENT}', '{LATER}');
         INSERT INTO verification (kind, token_hash, role, email, created_by, created_at, expires_at)
             VALUES ('invitation', '{invitation}', 'caretaker', NULL, 1, '{MOMENT}', '{LATER}');
         INSERT INTO verification (kind, token_hash, user_id, created_at, expires_at)
             VALUES ('pairing', 'x', 1, '{MOMENT}', '{LATER}');
         INSERT INTO account (user_id, provider, provider_id, created_at, updated_at)
             VALUES (1, 'starship', 'enterprise', '{MOMENT}', '{MOMENT}');
         INSERT INTO audit_event (at, kind, user_id, who, subject, method, address, user_agent)
             VALUES ('{MOMENT}', 'beamed_up', 1, 'Scotty', 'x', 'beam', '', '');
         UPDATE file SET media_type = 'model/hologram';
         UPDATE user SET role = 'caretaker' WHERE id = {anna};"
    ));
    Planted { hidden, kind, files, trashed, changed }
}

fn ids(list: &Answer) -> Vec<i64> {
    assert_eq!(list.status, 200, "{list:?}");
    list.json()["items"].as_array().unwrap().iter().map(id).collect()
}

/// Walks through a list in pages of one.
fn walked(app: &App, list: &str) -> BTreeSet<i64> {
    let (mut found, mut after) = (BTreeSet::new(), String::new());
    loop {
        let page = app.get(&format!("{list}limit=1{after}"));
        found.extend(ids(&page));
        match page.json()["next"].as_str() {
            Some(next) => after = format!("&after={next}"),
            None => return found,
        }
    }
}

#[test]
fn rows_with_unknown_words_are_shown_to_nobody_and_let_nobody_in() {
    let data = Data::new();
    let planted = plant(&data);
    for start in [Start::probation(&data), Start::probation(&data).env("HEARTH_FALLBACK", 1)] {
        let mut app = start.spawn();
        let ready = eventually("readiness or the exit", || {
            let is_ready = app.said().iter().any(|said| said.starts_with("READY=1"));
            (is_ready || app.child.try_wait().unwrap().is_some()).then_some(is_ready)
        });
        assert!(ready, "{:?}: {:#?}", app.wait(), app.log.lines());
        app.stop();
    }
    let app = Start::alone(&data).env("HEARTH_FALLBACK", 1).start();

    // Who may see it is not known, so nobody does: in no list, at no address, by no search.
    let shown: BTreeSet<i64> = [planted.kind, planted.files, planted.changed, planted.changed + 1].into();
    for list in ["?", "?order=title&", "?order=due&", "?search=warm&", "?tag=warm&", "?search=he&", "?place_id=1&"] {
        let found = walked(&app, &format!("/api/v1/records{list}"));
        assert!(!found.is_empty() && found.is_subset(&shown), "{list}: {found:?}");
        if list == "?" {
            assert_eq!(found, shown);
        }
    }
    let path = format!("/api/v1/records/{}", planted.hidden);
    for path in [path.clone(), format!("{path}/attachments"), format!("{path}/versions"), format!("{path}/versions/1")]
    {
        app.get(&path).problem(404);
    }
    app.send("PATCH", &path, &json!({ "title": "x" })).problem(404);
    assert!(!app.get("/api/v1/records/changes").text().contains("Hidden"));
    assert!(ids(&app.get("/api/v1/trash")).is_empty());
    let trashed = format!("/api/v1/trash/{}/restore", planted.trashed);
    app.send("POST", &trashed, &json!({})).problem(404);
    let versions = app.get(&format!("/api/v1/records/{}/versions", planted.changed)).json();
    assert_eq!(versions["items"].as_array().unwrap().len(), 1, "{versions}");

    // What a record is about decides nothing, and it stays as it was written, also where the rest is changed.
    let kind = app.get(&format!("/api/v1/records/{}", planted.kind)).json();
    assert_eq!((&kind["title"], &kind["kind"]), (&json!("Kind"), &json!("note")));
    let path = format!("/api/v1/records/{}", planted.kind);
    assert_eq!(app.send("PATCH", &path, &json!({ "title": "Kind of a record" })).status, 200);
    assert_eq!(data.count("SELECT count(*) FROM record WHERE kind = 'spaceship' AND title = 'Kind of a record'"), 1);
    let files = app.get(&format!("/api/v1/records/{}/attachments", planted.files)).json();
    assert_eq!(files["items"][0]["role"], "other");
    let path = format!("/api/v1/attachments/{}", files["items"][0]["id"]);
    assert_eq!(app.send("PATCH", &path, &json!({ "name": "b.txt" })).status, 200);
    assert_eq!(data.count("SELECT count(*) FROM attachment WHERE role = 'hologram' AND name = 'b.txt'"), 1);

    // Nobody comes in by what is not known.
    for token in [BY_SCOPE, BY_ROLE] {
        app.get_as(token, "/api/v1/records").problem(401);
    }
    app.ask_as_nobody("GET", "/api/v1/session", &[("cookie", &format!("{SESSION}={BY_METHOD}"))], b"").problem(401);
    sign_in(&app, "anna@example.org", PASSWORD).1.problem(401);
    let accept =
        json!({ "token": INVITATION, "name": "Ben", "email": "ben@example.org", "password": "eight-blue-bottles" });
    let refused = app.ask_as_nobody(
        "POST",
        "/api/v1/invitations/accept",
        &[("content-type", "application/json")],
        accept.to_string().as_bytes(),
    );
    assert!((400..500).contains(&refused.status), "{refused:?}");
    assert_eq!(data.count("SELECT count(*) FROM user"), 2);
    assert_eq!(ids(&app.get("/api/v1/users")), [1]);
    assert_eq!(app.get("/api/v1/invitations").json()["items"], json!([]));
    // The e-mail is taken all the same.
    let profile = json!({ "email": "Anna@example.org" });
    app.send("PATCH", "/api/v1/account", &profile);
    assert_eq!(data.count("SELECT count(*) FROM user WHERE email LIKE 'anna@example.org'"), 1);
    app.stop();
}

/// Every page of the program, with what stands for a number in it.
const PAGES: &str = "
/ /?search=warm /?search=he /?tag=warm /?kind=note /?place_id=ID /records/new /records/ID /records/ID/edit /records/ID/history
/records/ID/history/1 /records/ID/history/2 /records/ID/history/1?with=now /places /places/ID /tags /trash /sample /export /import
/export/archive /people /audit /status /account /sign-in /invitation/4444444444444444444444444444444444444444444 /reset/none
";

#[test]
fn no_page_and_no_operation_fails_for_an_unknown_word() {
    let data = Data::new();
    plant(&data);
    data.add_person("member", "hearth_member");
    let app = Start::alone(&data).env("HEARTH_FALLBACK", 1).start();
    let numbers = || 1..=9;
    let fine = |what: &str, answer: &Answer| {
        assert!(answer.status < 500, "{what}: {answer:?}");
    };
    let all = |path: &str| -> Vec<String> {
        match path.contains("ID") {
            true => numbers().map(|number| path.replace("ID", &number.to_string())).collect(),
            false => vec![path.to_owned()],
        }
    };
    for token in [OWNER, "hearth_member"] {
        for path in PAGES.split_whitespace().flat_map(all) {
            let bearer = format!("Bearer {token}");
            fine(&path, &app.ask("GET", &path, &[HTML, ("authorization", &bearer)], b""));
        }
    }
    // Reads before writes, and what deletes at the end.
    let spec = app.get("/api/v1/openapi.json").json();
    let operations: Vec<(String, String)> = spec["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| {
            let path = path.replace("{id}", "ID").replace("{name}", "warm").replace("{version}", "1");
            methods.as_object().unwrap().keys().map(move |method| (method.to_uppercase(), path.clone()))
        })
        .collect();
    assert!(operations.len() > 60);
    for wanted in ["GET", "PATCH", "PUT", "POST", "DELETE"] {
        for (method, path) in operations.iter().filter(|(method, _)| method == wanted) {
            // These end the very session or token, or wait for the throttle.
            if path.starts_with("/session") {
                continue;
            }
            for path in all(&format!("/api/v1{path}")) {
                let what = format!("{method} {path}");
                for body in [&b"{}"[..], br#"{"name": "x", "role": "member", "title": "x"}"#] {
                    fine(&what, &app.ask(method, &path, &[("content-type", "application/json")], body));
                }
            }
        }
    }
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM record WHERE visibility = 'some_of_them'"), 1);
    assert_eq!(data.count("SELECT count(*) FROM user WHERE role = 'caretaker'"), 1);
}
