//! What people see, in figures, by which the supervisor compares two versions on one database.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::process::ExitStatusExt,
    process::Command,
    time::Instant,
};

use serde_json::{Value, json};

use crate::{
    accounts::browser::join,
    harness::{App, Data, Start},
    served,
};

const AT: &str = "/proof?at=2026-11-30T12:00:00Z";

/// A household of an owner, a member, a guest and somebody disabled, with records of each kind.
fn household() -> Data {
    let data = Data::new();
    data.add_person("guest", "hearth_guest");
    let app = Start::alone(&data).start();
    let mut anna = join(&app, "member", "anna@example.org");
    join(&app, "member", "ben@example.org");
    let place = app.send("POST", "/api/v1/places", &json!({ "name": "Attic" })).json()["id"].clone();
    for (title, due, visibility) in [
        ("Heating contract", "2026-11-01", "household"),
        ("Heating manual", "2026-12-10", "household"),
        ("Passport", "2027-06-01", "private"),
        ("Roof", "", "household"),
    ] {
        let mut body = json!({
            "title": title, "visibility": visibility, "tags": ["warm"], "place_id": place,
            "fields": [{ "label": "Number", "value": title }],
        });
        if !due.is_empty() {
            body["due_date"] = due.into();
        }
        let added = anna.post(&app, "/api/v1/records", &body);
        assert_eq!(added.status, 201, "{added:?}");
    }
    for record in [1, 4] {
        let file = [("content-type", "application/octet-stream")];
        let path = format!("/api/v1/records/{record}/attachments?name=a.txt");
        assert_eq!(app.ask("POST", &path, &file, b"content").status, 201);
    }
    let gone = app.create(&json!({ "title": "Gone" }))["id"].clone();
    assert_eq!(app.ask("DELETE", &format!("/api/v1/records/{gone}"), &[], b"").status, 204);
    app.stop();
    data.sql("UPDATE user SET disabled = TRUE WHERE email = 'ben@example.org'");
    data
}

/// The figures by their names: a value, and how it is compared.
type Figures = BTreeMap<String, (String, String)>;

fn figures(app: &App, path: &str) -> Figures {
    let answer = app.ask_private(path);
    assert_eq!(answer.status, 200, "{answer:?}");
    let proof = answer.json();
    assert_eq!((&proof["format"], &proof["version"]), (&json!(1), &json!(env!("CARGO_PKG_VERSION"))));
    let list = proof["figures"].as_array().unwrap();
    let text = |figure: &Value, key: &str| figure[key].as_str().unwrap().to_owned();
    let all: Figures =
        list.iter().map(|figure| (text(figure, "name"), (text(figure, "value"), text(figure, "compare")))).collect();
    assert_eq!(all.len(), list.len(), "each name is there once");
    for (name, (value, compare)) in &all {
        match &**compare {
            "equal" => {}
            "grow" => drop(value.parse::<u64>().unwrap()),
            other => panic!("{name}: {other}"),
        }
    }
    all
}

fn proven(start: Start) -> Figures {
    let app = start.start();
    let figures = figures(&app, AT);
    app.stop();
    figures
}

fn value<'a>(figures: &'a Figures, name: &str) -> &'a str {
    &figures.get(name).unwrap_or_else(|| panic!("no {name} in {figures:#?}")).0
}

/// The names of the figures that a comparison would find worse.
fn worse(old: &Figures, new: &Figures) -> BTreeSet<String> {
    let is_worse = |(name, (before, compare)): &(&String, &(String, String))| match new.get(*name) {
        None => true,
        Some((after, _)) if compare == "equal" => before != after,
        Some((after, _)) => after.parse::<u64>().unwrap() < before.parse::<u64>().unwrap(),
    };
    old.iter().filter(is_worse).map(|(name, _)| name.clone()).collect()
}

#[test]
fn the_figures_say_what_each_user_sees() {
    let data = household();
    let figures = proven(Start::probation(&data));
    let number = |name: &str| value(&figures, name).split(' ').next().unwrap().to_owned();
    for (name, expected) in [
        ("users, their roles and how they sign in", "4"),
        ("records that user 1 (owner) sees", "3"),
        ("records that user 2 (guest) sees", "3"),
        ("records that user 3 (member) sees", "4"),
        ("records that anybody sees", "4"),
        ("overdue records that user 3 (member) sees", "1"),
        ("records that user 3 (member) sees and that are due within 30 days", "1"),
        ("attachments with a file that user 3 (member) sees", "2"),
        ("attachments with a file that user 2 (guest) sees", "0"),
        ("records that user 1 (owner) sees in the trash", "1"),
        ("records in the trash", "1"),
        ("places", "1"),
        ("tags that user 3 (member) sees", "1"),
        ("records that user 3 (member) finds by \"heating\"", "2"),
        ("records that user 2 (guest) finds by \"roof\"", "1"),
    ] {
        assert_eq!(number(name), expected, "{name}");
    }
    assert_eq!(value(&figures, "how user 3 (member) signs in"), "found by their e-mail; email, password");
    // The words of a private title are nobody else's, and somebody disabled sees nothing.
    assert!(!figures.keys().any(|name| name.contains("passport") || name.contains("user 4")), "{figures:#?}");
    let golden: Value = serde_json::from_str(include_str!("../../../docs/contracts/app-proof.json")).unwrap();
    for figure in golden["figures"].as_array().unwrap() {
        let (_, compare) = &figures[figure["name"].as_str().unwrap()];
        assert_eq!(figure["compare"], **compare);
    }
}

#[test]
fn equal_data_gives_equal_figures_in_probation_and_while_serving_and_nothing_is_written() {
    let data = household();
    data.sql("PRAGMA wal_checkpoint(TRUNCATE)");
    let before = fs::read(data.database()).unwrap();
    let proof = proven(Start::probation(&data));
    assert_eq!(proven(Start::probation(&data)), proof);
    assert_eq!(proven(Start::probation(&data).env("HEARTH_FALLBACK", 1)), proof);
    assert_eq!(fs::read(data.database()).unwrap(), before);
    let app = Start::with_sockets(&data, &["public", "private"]).start();
    let count = data.count("PRAGMA data_version");
    assert_eq!(figures(&app, AT), proof);
    assert_eq!(data.count("PRAGMA data_version"), count);
    // It is nobody's but the supervisor's.
    for answer in [app.get(AT), app.ask_as_nobody("GET", AT, &[], b"")] {
        answer.problem(404);
    }
    for wrong in ["/proof", "/proof?at=", "/proof?at=now"] {
        app.ask_private(wrong).problem(400);
    }
    // Two versions that are asked at different times agree by the moment that is asked for.
    let later = figures(&app, "/proof?at=2026-12-11T00:00:00Z");
    assert_eq!(value(&later, "overdue records that user 3 (member) sees"), "2");
    let differing = worse(&proof, &later);
    assert!(differing.iter().all(|name| name.contains("overdue") || name.contains("due within")), "{differing:?}");
    app.stop();
}

#[test]
fn what_a_migration_would_change_for_people_is_another_figure() {
    for (sql, name) in [
        ("UPDATE record SET visibility = 'private' WHERE id = 4", "records that user 1 (owner) sees"),
        ("UPDATE record SET visibility = 'household' WHERE id = 3", "records that user 2 (guest) sees"),
        ("UPDATE record SET owner_id = 1 WHERE id = 3", "records that user 3 (member) sees"),
        ("UPDATE record SET title = 'Heating' WHERE id = 1", "records that anybody sees"),
        ("UPDATE record SET due_date = '2027-01-01' WHERE id = 1", "overdue records that user 3 (member) sees"),
        ("UPDATE record SET place_id = NULL WHERE id = 1", "records that user 3 (member) sees"),
        ("UPDATE record_field SET value = '' WHERE record_id = 1", "records that user 3 (member) sees"),
        ("UPDATE record_tag SET name = 'cold' WHERE record_id = 1", "records that user 3 (member) sees"),
        ("UPDATE attachment SET name = 'b.txt' WHERE id = 1", "attachments with a file that user 1 (owner) sees"),
        ("UPDATE user SET role = 'member' WHERE id = 2", "records that user 2 (guest) sees"),
        ("UPDATE user SET email = 'x@example.org' WHERE id = 2", "users, their roles and how they sign in"),
        ("UPDATE account SET password_hash = NULL", "how user 3 (member) signs in"),
        ("UPDATE place SET name = 'Cellar'", "places"),
        ("DELETE FROM trash", "records in the trash"),
        ("UPDATE record SET folded = 'x' WHERE id = 1", "records that user 3 (member) finds by \"heating\""),
    ] {
        let data = household();
        let before = proven(Start::probation(&data));
        data.sql(sql);
        let worse = worse(&before, &proven(Start::probation(&data)));
        assert!(worse.contains(name), "{sql}: {worse:?}");
    }
    // A file that is gone fails the self-test; while it serves, the figures say so.
    let data = household();
    let app = Start::with_sockets(&data, &["public", "private"]).start();
    let before = figures(&app, AT);
    fs::remove_dir_all(data.files()).unwrap();
    fs::create_dir(data.files()).unwrap();
    assert!(worse(&before, &figures(&app, AT)).contains("attachments with a file that user 1 (owner) sees"));
    app.stop();
}

/// Makes a release of the built program that is broken like this.
fn broken(data: &Data, fault: &str) -> String {
    let program = data.directory.path().join("broken");
    // Written by another process: a child that a test beside this one starts meanwhile would hold the file open, and it could not be run.
    let script = r#"cp "$1" "$2" && printf '\nHEARTH_FAULT=%s\n' "$3" >> "$2""#;
    let mut command = Command::new("sh");
    let made = command.args(["-c", script, "sh", &served::program()]).arg(&program).arg(fault).status().unwrap();
    assert!(made.success());
    program.to_str().unwrap().to_owned()
}

#[test]
fn a_release_that_hides_a_record_loses_a_file_or_finds_nothing_is_found_out_although_it_tests_itself() {
    let data = household();
    let good = proven(Start::probation(&data));
    for (fault, some, not) in [
        ("app.hides", "records that user 1 (owner) sees", "places"),
        ("app.loses", "attachments with a file that user 3 (member) sees", "records that user 1 (owner) sees"),
        ("app.finds-nothing", "records that user 3 (member) finds by \"heating\"", "records that anybody sees"),
    ] {
        let bad = proven(Start::probation(&data).program(&broken(&data, fault)));
        let worse = worse(&good, &bad);
        assert!(worse.contains(some) && !worse.contains(not), "{fault}: {worse:?}");
    }
}

#[test]
fn a_proof_that_panics_is_an_error_with_a_sentence() {
    let data = household();
    let app = Start::probation(&data).program(&broken(&data, "app.proof=panic")).start();
    let problem = app.ask_private(AT).problem(500);
    assert!(problem["detail"].as_str().unwrap().ends_with('.'), "{problem}");
    assert_eq!(app.ask_private("/health").status, 200);
    app.stop();
}

#[test]
fn a_broken_release_ends_by_the_line_at_its_end() {
    let data = Data::new();
    let mut ill = Start::alone(&data).program(&broken(&data, "app.started=ill")).spawn();
    assert_eq!(ill.wait().signal(), Some(4));
    let mut app = Start::alone(&data).program(&broken(&data, "app.wrote=kill")).start();
    assert_eq!(app.get("/api/v1/records").status, 200);
    assert!(app.child.try_wait().unwrap().is_none(), "reads do it no harm");
    app.create(&json!({ "title": "Boiler" }));
    assert_eq!(app.wait().signal(), Some(9));
    assert_eq!(data.count("SELECT count(*) FROM record"), 1);
}

/// Of a binder that is too large to be walked through for each user, a view is put together, and is the same.
#[test]
fn a_large_binder_has_the_same_figures_for_each_user_and_shows_what_a_list_hides() {
    let data = Data::new();
    data.sql(
        "INSERT INTO user (id, name, email, role, created_at, updated_at)
             VALUES (2, 'Anna', 'anna@example.org', 'member', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z');
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 15000)
         INSERT INTO record (title, category, notes, created_at, updated_at, owner_id, visibility)
         SELECT 'Word ' || i, '', '', '2026-11-24T12:00:00.000Z',
             strftime('%Y-%m-%dT%H:%M:%fZ', 1800000000 + i * 7919 % 15000, 'unixepoch'), 1 + i % 2,
             iif(i % 100 IN (2, 3), 'private', 'household') FROM n",
    );
    Start::alone(&data).start().stop();
    let good = proven(Start::probation(&data));
    // Each has half of what is private: that of the owner is walked through, that of Anna put together.
    let seen = |figures: &Figures, who: &str| {
        let text = value(figures, &format!("records that user {who} sees"));
        text.split(' ').next().unwrap().parse::<u64>().unwrap()
    };
    assert_eq!((seen(&good, "1 (owner)"), seen(&good, "2 (member)")), (14_850, 14_850));
    data.sql("UPDATE record SET updated_at = '2099-01-01T00:00:00.000Z' WHERE id = 1");
    let good = proven(Start::probation(&data));
    let bad = proven(Start::probation(&data).program(&broken(&data, "app.hides")));
    for who in ["1 (owner)", "2 (member)"] {
        assert!(worse(&good, &bad).contains(&format!("records that user {who} sees")));
    }
}

#[test]
fn a_large_household_has_figures_of_the_first_and_one_of_all() {
    let data = Data::new();
    data.sql(
        "WITH RECURSIVE n (i) AS (SELECT 2 UNION ALL SELECT i + 1 FROM n WHERE i < 400)
         INSERT INTO user (id, name, email, role, created_at, updated_at)
         SELECT i, 'User ' || i, 'u' || i || '@example.org', 'member', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z' FROM n;
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 800)
         INSERT INTO record (title, category, notes, created_at, updated_at, owner_id, visibility)
         SELECT 'Word' || i % 9 || ' ' || i, '', '', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z', 1 + i % 400,
             iif(i > 400, 'private', 'household') FROM n",
    );
    Start::alone(&data).start().stop();
    let app = Start::probation(&data).start();
    let begun = Instant::now();
    let answer = app.ask_private(AT);
    println!("{:?}", begun.elapsed());
    assert!(answer.status == 200 && answer.text().len() < 256 << 10, "{}", answer.text().len());
    let before = figures(&app, AT);
    assert!(
        before.contains_key("records that user 50 (member) sees")
            && !before.contains_key("records that user 51 (member) sees")
    );
    assert_eq!(value(&before, "records that anybody sees").split(' ').next(), Some("800"));
    app.stop();
    data.sql("UPDATE record SET notes = 'x' WHERE visibility = 'private' AND owner_id = 300");
    let worse = worse(&before, &proven(Start::probation(&data)));
    assert_eq!(worse, ["records that anybody sees".to_owned()].into());
}
