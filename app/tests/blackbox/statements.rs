//! Which statements this release prepares: `migrator/releases/<version>.statements`, which later releases'
//! migrations are tested against, together with a database that this release filled.
//!
//! **When a release is made** (its version is in Cargo.toml and no such files are there yet):
//!
//! ```text
//! HEARTH_RELEASE_DATABASE=/tmp/app.db cargo test -p app --test blackbox -- --ignored release_files
//! cargo run -p migrator --example release_database -- /tmp/app.db > migrator/releases/<version>.sql
//! ```

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::harness::{App, Data, Start};

fn release_file() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../migrator/releases")
        .join(format!("{}.statements", env!("CARGO_PKG_VERSION")))
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
    for body in records() {
        app.create(&body);
    }
    let ok = |path: &str| {
        let answer = app.get(path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer
    };
    for order in ["updated", "due", "title"] {
        for search in ["", "&search=insur", "&search=%E4%BF%9D", "&search=insur%20ca"] {
            for category in ["", "&category=Insurance"] {
                for due in ["", "&due_before=2040-01-01"] {
                    // To the end, so that each kind of place to go on from is asked for.
                    let mut after = String::new();
                    while let Some(next) = ok(&format!(
                        "/api/v1/records?limit=7&order={order}{search}{category}{due}{after}"
                    ))
                    .json()["next"]
                        .as_str()
                    {
                        after = format!("&after={next}");
                    }
                }
            }
        }
        ok(&format!("/?order={order}&search=insur&added=1"));
    }
    ok("/api/v1/records/1");
    ok("/health");
    let path = "/api/v1/records/60";
    assert_eq!(app.send("PATCH", path, &json!({ "title": "Changed", "due_date": null })).status, 200);
    app.create(&json!({ "title": "To be deleted" }));
    assert_eq!(app.ask("DELETE", "/api/v1/records/61", &[], b"").status, 204);
    let form = ("content-type", "application/x-www-form-urlencoded");
    assert_eq!(app.ask("POST", "/records", &[form], b"title=From+the+page").status, 303);
}

fn recorded(file: &Path) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// Fills a database and returns it with what the app prepared for that.
fn run() -> (Data, BTreeSet<String>) {
    let data = Data::new();
    let file = data.directory.path().join("statements");
    let app = Start::alone(&data).env("HEARTH_RECORD_STATEMENTS", file.display()).start();
    use_everything(&app);
    app.stop();
    let statements = recorded(&file);
    (data, statements)
}

#[test]
#[ignore = "makes a release's files; see the top of this file"]
fn release_files() {
    let (data, statements) = run();
    let file = release_file();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    let text: String = statements.iter().map(|statement| format!("{statement}\n")).collect();
    fs::write(&file, text).unwrap();
    println!("{}", file.display());
    if let Some(target) = std::env::var_os("HEARTH_RELEASE_DATABASE") {
        fs::copy(data.database(), &target).unwrap();
        println!("{}", Path::new(&target).display());
    }
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
    let file = release_file();
    if file.exists() {
        assert_eq!(recorded(&file), statements, "make {} again; see the top of this file", file.display());
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
