//! Which statements this release prepares: `migrator/releases/<version>.statements`, which later releases'
//! migrations are tested against, together with a database that this release filled.
//!
//! `cargo release` lets the test `release_files` make both. All of it happens on the database of the release before, upgraded, so that
//! the household of the tests grows old from release to release.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use migrator::developer::releases;
use serde_json::{Value, json};

use crate::{
    accounts::{
        browser::{Browser, PASSWORD, join},
        second_factor::code,
    },
    harness::{App, Data, Start, eventually},
};

const VERSION: &str = env!("CARGO_PKG_VERSION");

fn release_file() -> PathBuf {
    releases::directory().join(format!("{VERSION}.statements"))
}

/// The database of the release before, upgraded: with its people, their tokens and their records.
fn household() -> Data {
    let data = Data::unowned();
    let database = data.database();
    fs::remove_file(&database).unwrap();
    releases::before(&VERSION.parse().unwrap()).unwrap().make(&database).unwrap();
    releases::upgrade(&database, None).unwrap();
    releases::place_files(data.directory.path()).unwrap();
    // As every instance of the tests; releases before 0.5.0 had no number.
    // The owner's session of then is too old for what takes a fresh one.
    data.sql("PRAGMA user_version = 42; DELETE FROM session WHERE token_hash IN (SELECT token_hash FROM api_token)");
    data
}

/// Names that no release before has given to anybody.
fn of_this_release(name: &str) -> String {
    format!("{name}-{}", VERSION.replace(['.', '+'], "-"))
}

/// Records of a household in several scripts, with and without everything.
fn records() -> Vec<Value> {
    let titles = [
        ("Car insurance", "Insurance", "Policy 4711-X\nRenewed by José in spring"),
        ("保险合同", "文件", "汽车保险，每年续保。\n电话：010-1234"),
        ("自動車保険", "書類", "毎年更新する"),
        ("Страховка на дом", "Документы", "Продлить ежегодно"),
        ("التأمين على السيارة", "وثائق", "تجديد سنوي"),
        ("ביטוח רכב", "מסמכים", "לחדש כל שנה"),
        ("कार बीमा", "दस्तावेज़", "हर साल नवीनीकरण"),
        ("Führerschein", "Ämter", "100 % \"gültig\"; läuft ab – Kopie im Ordner"),
        ("Cafe\u{301} machine 🔥", "", "Descale: 👩‍👩‍👧 every month"),
        ("x", "", ""),
        ("'; DROP TABLE record; --", "\"quotes\"", "back\\slash\ttab"),
    ];
    (0..60)
        .map(|number| {
            let (title, category, notes) = titles[number % titles.len()];
            let mut body = json!({ "title": format!("{title} {number}"), "category": category, "notes": notes });
            if number % 3 == 0 {
                body["due_date"] =
                    format!("20{:02}-{:02}-{:02}", 20 + number % 30, number % 12 + 1, number % 28 + 1).into();
            }
            if number % 20 == 7 {
                body["notes"] = format!("{notes} ").repeat(1500).into();
            }
            body
        })
        .collect()
}

/// Uses everything that can be used, in each way that makes a statement of its own.
fn use_everything(app: &App) {
    let created: Vec<i64> = records().iter().map(|body| app.create(body)["id"].as_i64().unwrap()).collect();
    let last = created[created.len() - 1];
    let ok = |path: &str| {
        let answer = app.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer
    };
    // A few pages of each list, however old the household is.
    let limit = last / 8;
    for order in ["updated_desc", "updated", "due", "due_desc", "title", "title_desc"] {
        for search in ["", "&search=insur", "&search=%E4%BF%9D", "&search=insur%20ca"] {
            for category in ["", "&category=Insurance"] {
                for due in ["", "&due_before=2040-01-01", "&due_after=2021-01-01&owner_id=1&visibility=household"] {
                    // To the end, so that each kind of place to go on from is asked for.
                    let mut after = String::new();
                    while let Some(next) =
                        ok(&format!("/api/v1/records?limit={limit}&sort={order}{search}{category}{due}{after}")).json()
                            ["next"]
                            .as_str()
                    {
                        after = format!("&after={next}");
                    }
                }
            }
        }
        ok(&format!("/?sort={order}&search=insur&added=1"));
    }
    ok("/api/v1/records/changes?limit=3");
    ok("/api/v1/records/1");
    for page in ["/records/new", "/records/new?from=1", "/records/1", "/records/1/edit"] {
        ok(page);
    }
    ok("/health");
    let path = format!("/api/v1/records/{last}");
    assert_eq!(app.send("PATCH", &path, &json!({ "title": "Changed", "due_date": null })).status, 200);
    for list in ["", "?limit=1", "?limit=1&after=i2"] {
        ok(&format!("{path}/versions{list}"));
    }
    ok(&format!("{path}/versions/1"));
    ok(&format!("/records/{last}/history/1"));
    let restore = format!("{path}/versions/1/restore");
    assert_eq!(app.ask("POST", &restore, &[("if-match", "\"2\"")], b"").status, 200);
    let deleted = app.create(&json!({ "title": "To be deleted" }))["id"].clone();
    let key = of_this_release("key");
    for _ in 0..2 {
        let headers = [("content-type", "application/json"), ("idempotency-key", &*key)];
        assert_eq!(app.ask("POST", "/api/v1/records", &headers, br#"{"title":"Created once"}"#).status, 201);
    }
    let in_trash = format!("/api/v1/trash/{deleted}");
    for _ in 0..2 {
        assert_eq!(app.ask("DELETE", &format!("/api/v1/records/{deleted}"), &[], b"").status, 204);
        ok(&format!("/?deleted={deleted}"));
        assert_eq!(app.ask("POST", &format!("{in_trash}/restore"), &[], b"").status, 200);
    }
    assert_eq!(app.ask("DELETE", &format!("/api/v1/records/{deleted}"), &[], b"").status, 204);
    use_places(app);
    use_tags(app);
    use_attachments(app);
    use_portability(app);
    let next = ok("/api/v1/trash?limit=1").json()["next"].as_str().map(str::to_owned);
    ok(&next.map_or("/api/v1/trash".to_owned(), |next| format!("/api/v1/trash?after={next}")));
    assert_eq!(app.ask("DELETE", &in_trash, &[], b"").status, 204);
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(app.ask("POST", "/records", &[form], b"title=From+the+page").status, 303);
}

/// Uses all of places; some are left, with a record.
fn use_places(app: &App) {
    let name = of_this_release("house");
    let add = |body: Value| {
        let key = of_this_release(body["name"].as_str().unwrap());
        let headers = [("content-type", "application/json"), ("idempotency-key", &*key)];
        let answer = app.ask("POST", "/api/v1/places", &headers, body.to_string().as_bytes());
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.json()["id"].clone()
    };
    let house = add(json!({ "name": name }));
    assert_eq!(add(json!({ "name": name })), house);
    let attic = add(json!({ "name": "Attic", "parent_id": house }));
    app.create(&json!({ "title": "A lamp", "place_id": attic }));
    let path = format!("/api/v1/places/{attic}");
    app.ask("DELETE", &path, &[], b"").problem(409);
    for change in [json!({ "name": "Loft" }), json!({ "parent_id": null }), json!({ "parent_id": house })] {
        let answer = app.send("PATCH", &path, &change);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let empty = add(json!({ "name": "Cellar", "parent_id": house }));
    assert_eq!(app.ask("DELETE", &format!("/api/v1/places/{empty}"), &[], b"").status, 204);
    for path in ["/api/v1/places".to_owned(), "/places".to_owned(), format!("/places/{attic}")] {
        assert_eq!(app.get(&path).status, 200, "{path}");
    }
}

/// Uses all of tags; some are left.
fn use_tags(app: &App) {
    for tags in [json!(["Garden", "Tools"]), json!(["Tools"]), json!(["Old"])] {
        app.create(&json!({ "title": "A spade", "tags": tags }));
    }
    assert_eq!(app.send("PATCH", "/api/v1/tags/garden", &json!({ "name": "Tools" })).json()["merged"], true);
    assert_eq!(app.ask("DELETE", "/api/v1/tags/old", &[], b"").status, 204);
    for path in ["/api/v1/tags", "/tags"] {
        assert_eq!(app.get(path).status, 200, "{path}");
    }
}

/// Uses all of attachments; some are left, of the contents that the releases keep.
fn use_attachments(app: &App) {
    let fields = json!([
        { "key": "serial_number", "label": "Serial number", "value": "ND-7400" },
        { "key": "price", "label": "Price", "amount": 64_900, "currency": "EUR" },
    ]);
    let record = app.create(&json!({ "title": "The house", "kind": "home", "fields": fields }))["id"].clone();
    let path = format!("/api/v1/records/{record}");
    let bytes = ("content-type", "application/octet-stream");
    let done = |method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]| {
        let answer = app.ask(method, path, &[&[bytes], headers].concat(), body);
        assert!(answer.status < 300, "{method} {path}: {answer:?}");
        answer
    };
    let files = releases::files().unwrap();
    let mut attached = Vec::new();
    for (name, content) in &files {
        for _ in 0..2 {
            let key = of_this_release(name);
            let path = format!("{path}/attachments?name={name}&role=document");
            attached.push(done("POST", &path, &[("idempotency-key", &key)], content).json()["id"].clone());
        }
    }
    let (name, content) = &files[0];
    let announced = json!({ "name": name, "bytes": content.len() });
    for is_sent in [true, false] {
        let upload = app.send("POST", &format!("{path}/uploads"), &announced);
        assert_eq!(upload.status, 201, "{upload:?}");
        let upload = upload.header("location").unwrap().to_owned();
        assert_eq!(app.get(&upload).status, 200);
        if is_sent {
            done("PATCH", &upload, &[("upload-offset", "0")], content);
        } else {
            done("DELETE", &upload, &[], b"");
        }
    }
    // The text of a document and previews come a moment later.
    let is_there = |path: &str| app.get(path).text().contains("The house");
    let found = "/api/v1/records?search=zephyr&sort=updated_desc&limit=200";
    eventually("the text of a document", || is_there(found).then_some(()));
    assert!(is_there("/?search=zephyr"));
    for id in &attached {
        for path in ["", "/content", "/preview"] {
            let answer = app.get(&format!("/api/v1/attachments/{id}{path}"));
            assert!(answer.status == 200 || path == "/preview" && answer.status == 404, "{answer:?}");
        }
    }
    for page in ["", "?limit=2", "?limit=1&after=i1"] {
        let answer = app.get(&format!("{path}/attachments{page}"));
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let first = format!("/api/v1/attachments/{}", attached[0]);
    assert_eq!(app.send("PATCH", &first, &json!({ "name": "old.pdf", "role": "receipt", "position": 5 })).status, 200);
    let version = app.get(&path).json()["version"].clone();
    done("DELETE", &first, &[], b"");
    done("POST", &format!("{path}/versions/{version}/restore"), &[], b"");
    assert_eq!(app.send("PATCH", &path, &json!({ "fields": [], "guests_see_attachments": true })).status, 200);
    for page in ["", "/edit"] {
        assert_eq!(app.get(&format!("/records/{record}{page}")).status, 200);
    }
    let other = app.create(&json!({ "title": "A flat", "fields": fields }))["id"].clone();
    let (path, in_trash) = (format!("/api/v1/records/{other}"), format!("/api/v1/trash/{other}"));
    done("POST", &format!("{path}/attachments?name=letter.txt"), &[], &files[1].1);
    done("DELETE", &path, &[], b"");
    done("POST", &format!("{in_trash}/restore"), &[], b"");
    done("DELETE", &path, &[], b"");
    done("DELETE", &in_trash, &[], b"");
}

/// Exports and imports, and loads the sample where that may be.
fn use_portability(app: &App) {
    let exported = app.get("/api/v1/export");
    assert_eq!(exported.status, 200);
    let table = b"HB.name,HB.location,HB.labels,HB.asset_id\nDrill,House / Cellar,Tools,000-007\n";
    let key = of_this_release("homebox");
    for _ in 0..2 {
        let headers = [("content-type", "application/octet-stream"), ("idempotency-key", &*key)];
        let answer = app.ask("POST", "/api/v1/imports/homebox", &headers, table);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for page in ["/import", "/export", "/sample", "/trash"] {
        assert_eq!(app.get(page).status, 200, "{page}");
    }
}

/// Uses all of accounts but what takes a device or another program: the last statements of those are the same.
fn use_accounts(app: &App) {
    let email = format!("{}@example.org", of_this_release("anna"));
    let mut anna = join(app, "member", &email);
    let form = |path: &str, body: Value| {
        let answer = app.send("POST", path, &body);
        assert!(answer.status < 300, "{path}: {answer:?}");
        answer.json()
    };
    let ok = |answer: &crate::client::Answer| assert!(answer.status < 300, "{answer:?}");
    form(
        "/api/v1/invitations",
        json!({ "role": "guest", "email": format!("{}@example.org", of_this_release("guest")) }),
    );
    let revoked = form("/api/v1/invitations", json!({ "role": "guest" }));
    ok(&app.ask("DELETE", &format!("/api/v1/invitations/{}", revoked["invitation"]["id"]), &[], b""));
    for path in [
        "invitations",
        "people",
        "users",
        "audit-events?limit=2",
        "audit-events?limit=2&after=i9",
        "tokens",
        "passkeys",
    ] {
        ok(&app.get(&format!("/api/v1/{path}")));
    }
    for path in ["session", "sessions", "totp"] {
        ok(&anna.get(app, &format!("/api/v1/{path}")));
    }
    let token = anna.post(app, "/api/v1/tokens", &json!({ "name": "Phone", "scope": "read" })).json();
    ok(&app.get_as(token["secret"].as_str().unwrap(), "/api/v1/records"));
    let other = anna.post(app, "/api/v1/tokens", &json!({ "name": "Old", "scope": "read" })).json();
    ok(&anna.send(app, "DELETE", &format!("/api/v1/tokens/{}", other["token"]["id"]), None));
    ok(&anna.send(app, "PATCH", "/api/v1/profile", Some(&json!({ "name": "Anna" }))));
    let offer = anna.post(app, "/api/v1/totp", &json!({})).json();
    let code = code(offer["secret"].as_str().unwrap(), 0);
    let codes = anna.send(app, "PUT", "/api/v1/totp", Some(&json!({ "code": code }))).json();
    let sign_in = |code: Option<&str>| {
        let mut body = json!({ "email": email, "password": PASSWORD });
        if let Some(code) = code {
            body["code"] = code.into();
        }
        let mut browser = Browser::default();
        (browser.post(app, "/api/v1/session", &body).status, browser)
    };
    assert_eq!(sign_in(None).0, 401);
    assert_eq!(sign_in(Some("000000")).0, 401);
    let (status, mut second) = sign_in(codes["recovery_codes"][0].as_str());
    assert_eq!(status, 201);
    ok(&second.post(
        app,
        "/api/v1/password",
        &json!({ "current_password": PASSWORD, "new_password": "eight-blue-bottles" }),
    ));
    ok(&second.send(app, "DELETE", "/api/v1/sessions", None));
    assert_eq!(second.send(app, "DELETE", "/api/v1/sessions/1000", None).status, 404);
    ok(&second.send(app, "DELETE", "/api/v1/session", None));
    let users = app.get("/api/v1/users").json();
    let anna = users["items"].as_array().unwrap().iter().find(|user| user["email"] == *email).unwrap();
    let path = format!("/api/v1/users/{}", anna["id"]);
    ok(&app.send("PATCH", &path, &json!({ "tailscale_login": format!("{}@github", of_this_release("anna")) })));
    let link = form(&format!("{path}/reset"), json!({ "remove_totp": true }));
    let mut browser = Browser::default();
    ok(&browser.post(app, "/api/v1/reset", &json!({ "token": link["token"], "password": PASSWORD })));
    // Left behind: a second factor with its codes, a session, an open link.
    let (status, mut browser) = sign_in(None);
    assert_eq!(status, 201);
    let offer = browser.post(app, "/api/v1/totp", &json!({})).json();
    let code = self::code(offer["secret"].as_str().unwrap(), 1);
    ok(&browser.send(app, "PUT", "/api/v1/totp", Some(&json!({ "code": code }))));
    form(&format!("{path}/reset"), json!({}));
    ok(&app.send("PATCH", &path, &json!({ "role": "guest" })));
}

fn recorded(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Fills a database and returns it with what the app prepared for that.
fn run() -> (Data, BTreeSet<String>) {
    let data = household();
    let file = data.directory.path().join("statements");
    let app = Start::alone(&data).env("HEARTH_RECORD_STATEMENTS", file.display()).start();
    use_everything(&app);
    use_accounts(&app);
    app.stop();
    let statements = recorded(&file);
    // What no test here has a device for.
    let credential = format!("{:A<22}", VERSION.replace(['.', '+'], "-"));
    data.sql(&format!(
        "INSERT INTO passkey (user_id, name, credential_id, credential, created_at)
         VALUES ((SELECT max(id) FROM user), 'Phone', '{credential}', '{{}}', '2026-11-24T12:00:00.000Z')"
    ));
    (data, statements)
}

#[test]
#[ignore = "cargo release runs it, for a release's files"]
fn release_files() {
    let directory =
        std::env::var_os("HEARTH_TEST_RELEASE_FILES").expect("the directory to write to, which cargo release names");
    let directory = Path::new(&directory);
    let (data, statements) = run();
    // Everything into the file itself.
    let connection = rusqlite::Connection::open(data.database()).unwrap();
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())).unwrap();
    connection.close().unwrap();
    fs::copy(data.database(), directory.join("app.db")).unwrap();
    let text: String = statements.iter().map(|statement| format!("{statement}\n")).collect();
    fs::write(directory.join("statements"), text).unwrap();
}

#[test]
fn the_releases_statements_are_those_the_app_prepares() {
    let (data, statements) = run();
    let connection = rusqlite::Connection::open(data.database()).unwrap();
    for statement in &statements {
        connection.prepare(statement).unwrap_or_else(|error| panic!("{error}: {statement}"));
    }
    assert!(statements.iter().any(|statement| statement.starts_with("INSERT")));
    assert!(statements.iter().any(|statement| statement.starts_with("UPDATE")));
    assert!(statements.iter().any(|statement| statement.starts_with("DELETE")));
    assert!(statements.iter().any(|statement| statement.contains("MATCH")));
    // While something is unreleased, the file is about the app that was released, and this one is another.
    let is_released = !include_str!("../../../CHANGELOG.md").contains("## [Unreleased]");
    let file = release_file();
    if file.exists() && is_released {
        assert_eq!(recorded(&file), statements, "make {} again: cargo release {VERSION} --no-git", file.display());
    }
}

/// A read that a later feature adds and the self-test forgets is found here.
#[test]
fn the_self_test_covers_every_read_of_the_api() {
    let (data, statements) = run();
    let file = data.directory.path().join("self-test");
    let app = Start::probation(&data).env("HEARTH_RECORD_STATEMENTS", file.display()).start();
    app.stop();
    let tested = recorded(&file);
    // Filters are combined freely by the API and one by one by the self-test: compared are their parts.
    let parts = |statements: &BTreeSet<String>| -> BTreeSet<String> {
        statements
            .iter()
            .filter(|statement| statement.starts_with("SELECT"))
            .flat_map(|statement| statement.split(" UNION ALL "))
            .flat_map(|statement| {
                let (what, rest) = statement.split_once(" WHERE ").unwrap_or((statement, ""));
                let (conditions, order) = rest.split_once(" ORDER BY ").unwrap_or((rest, ""));
                let conditions = conditions.replace(['(', ')'], "");
                let conditions: Vec<_> = conditions
                    .split(" AND ")
                    .flat_map(|condition| condition.split(" OR "))
                    .map(str::to_owned)
                    .collect();
                [what.to_owned(), order.to_owned()].into_iter().chain(conditions)
            })
            .collect()
    };
    let (used, tested) = (parts(&statements), parts(&tested));
    let forgotten: Vec<_> = used.difference(&tested).collect();
    assert!(forgotten.is_empty(), "not read by the self-test: {forgotten:#?}");
}
