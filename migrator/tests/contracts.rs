//! What the supervisor and people read: documents, lines, exit statuses.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::fs;
use std::path::Path;

use common::{DUE_DATE_GOES, Place, migrator, next};
use serde_json::{Value, json};

fn golden(name: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contracts").join(name);
    let text = fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A document with each value replaced by the name of its type.
fn shape(value: &Value) -> Value {
    match value {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), shape(value))).collect(),
        Value::Array(elements) => elements.first().map(shape).into_iter().collect(),
        Value::String(_) => json!("text"),
        Value::Number(_) => json!("number"),
        Value::Bool(_) => json!("boolean"),
        Value::Null => json!("null"),
    }
}

#[test]
fn status_has_the_shape_of_its_contract() {
    let place = Place::with_records(1);
    place.up({
        let mut later = next("good");
        later.env("TEST_VERSION", "0.6.0");
        later
    });
    place.open().execute_batch(DUE_DATE_GOES).unwrap();
    // `good` is unknown to this one and `good2` is pending.
    let mut stopped = next("good2");
    stopped.env("TEST_OLDEST", "9.0.0").env("TEST_DIFFERENCES", "records=more are found");
    let documents = place.status(stopped).succeeded().documents();
    let golden = golden("migrator-status.json");
    assert_eq!(shape(&documents[0]), shape(&golden[0]));
    assert_eq!((documents.len(), &documents[0]["format"]), (1, &golden[0]["format"]));
    assert_eq!(documents[0]["unknown"][0]["version"], "0.6.0");
    assert_eq!(documents[0]["pending"], json!(["m9002_good2"]));
    let drift = documents[0]["drift"].as_array().unwrap();
    assert!(drift.contains(&json!("table record: column due_date is missing")), "{drift:?}");
    assert!(drift.contains(&json!("index record_due_date is missing")), "{drift:?}");
}

#[test]
fn up_has_the_shape_of_its_contract() {
    let place = Place::with_records(20_000);
    place.open().execute_batch("CREATE TABLE made_by_hand (x)").unwrap();
    let accept = ["up", "--json", "--accept", "table made_by_hand was added"];
    let mut documents = place.run(next("helpers"), &accept).succeeded().documents();
    let mut golden = golden("migrator-up.jsonl");
    // How often it is told how far it is, and that it works, depends on how fast this machine is.
    for documents in [&mut documents, &mut golden] {
        documents.retain(|one| one["event"] != "working");
        documents.dedup_by(|one, other| one["event"] == "progress" && other["event"] == "progress");
    }
    // The golden one skips one migration, and this one all of this release.
    let skipped = golden.remove(1);
    assert_eq!(skipped["event"], "skipping");
    golden.splice(1..1, migrator::Release::current().names().iter().map(|_| skipped.clone()));
    let shapes = |documents: &[Value]| documents.iter().map(shape).collect::<Vec<_>>();
    assert_eq!(shapes(&documents), shapes(&golden));
    let events = |documents: &[Value]| documents.iter().map(|one| one["event"].clone()).collect::<Vec<_>>();
    assert_eq!(events(&documents), events(&golden));
    assert!(documents.iter().all(|one| one["format"] == golden[0]["format"]));
}

#[test]
fn an_error_has_the_shape_of_its_contract() {
    let place = Place::with_records(20);
    let ran = place.up(next("loses-row"));
    ran.failed("check");
    assert_eq!(shape(ran.documents().last().unwrap()), shape(&golden("migrator-error.json")[0]));
    // One document and nothing else when even the first look fails.
    fs::remove_file(&place.database).unwrap();
    let ran = place.status(migrator());
    ran.failed("missing");
    assert_eq!(ran.documents().len(), 1);
}

#[test]
fn people_read_the_lines_of_the_log_contract() {
    let place = Place::empty();
    let ran = place.run(migrator(), &["up"]);
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""));
    let lines = |done: &str| {
        format!(
            "[Migrate] Checking database state...\n[Migrate] {done}: m0001_records\n[Migrate] {done}: m0002_accounts\n\
             [Migrate] {done}: m0003_search_and_changes\n[Migrate] {done}: m0004_binder\n[Migrate] All migrations complete!\n"
        )
    };
    assert_eq!(ran.stderr, lines("Applying"));
    assert_eq!(place.run(migrator(), &["up"]).stderr, lines("Skipping"));
}

#[test]
fn programs_can_have_the_log_as_json_lines() {
    let place = Place::empty();
    let mut command = migrator();
    command.env("HEARTH_LOG__FORMAT", "json");
    let ran = place.run(command, &["up"]);
    let lines: Vec<Value> = ran.stderr.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let messages: Vec<&str> = lines.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(
        messages,
        [
            "Checking database state...",
            "Applying: m0001_records",
            "Applying: m0002_accounts",
            "Applying: m0003_search_and_changes",
            "Applying: m0004_binder",
            "All migrations complete!"
        ]
    );
    assert_eq!((&lines[1]["migration"], &lines[2]["migration"]), (&json!("m0001_records"), &json!("m0002_accounts")));
}

#[test]
fn a_new_database_is_marked_and_in_wal_mode_and_its_ledger_tells_how() {
    let place = Place::with_records(0);
    let connection = place.open();
    let pragma = |name: &str| common::query(&connection, &format!("PRAGMA {name}"))[0][0].clone();
    assert_eq!(pragma("application_id"), rusqlite::types::Value::Integer(0x4852_5448));
    assert_eq!(common::text(&pragma("journal_mode")), "wal");
    let status = place.status(migrator()).succeeded().documents();
    let rows = common::query(
        &connection,
        "SELECT name, version, applied_at, schema, listing FROM migration_ledger WHERE duration_ms >= 0 ORDER BY id",
    );
    let ledger: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(common::text).collect()).collect();
    let names: Vec<&str> = ledger.iter().map(|row| row[0].as_str()).collect();
    assert_eq!(names, ["m0001_records", "m0002_accounts", "m0003_search_and_changes", "m0004_binder"]);
    let applied = |row: &Vec<String>| json!({"name": row[0], "version": row[1], "applied_at": row[2]});
    assert_eq!(json!(ledger.iter().map(applied).collect::<Vec<_>>()), status[0]["applied"]);
    for row in &ledger {
        assert_eq!(row[1], env!("CARGO_PKG_VERSION"));
        assert!(row[2].len() == "2026-11-24T22:30:00Z".len() && row[2].ends_with('Z'), "{row:?}");
        assert!(row[4].contains("table record: column due_date\ttext\n"));
    }
    // Each has the schema that it made, so that of the last one is the database's.
    assert_eq!(json!(ledger[3][3]), status[0]["schema"]);
    let has_sessions = |row: &[String]| row[4].contains("table session: column token_hash\ttext not null\n");
    assert!(!has_sessions(&ledger[0]) && has_sessions(&ledger[1]));
}

/// Of the schema after each migration. Those of released migrations never change. If one did, say with another
/// SQLite, that would be taken for drift in every database there is.
const FINGERPRINTS: [&str; 4] = ["553b03932514f3a0", "17dd5f536623f4a1", "711e98a534c6e9a9", "8c54872378f1ef0b"];

#[test]
fn the_fingerprint_is_that_of_the_release_whatever_wrote_the_schema() {
    let place = Place::with_records(0);
    let ledger = common::query(&place.open(), "SELECT schema FROM migration_ledger ORDER BY id");
    assert_eq!(ledger.iter().map(|row| common::text(&row[0])).collect::<Vec<_>>(), FINGERPRINTS);
    assert_eq!(place.status(migrator()).documents()[0]["schema"], FINGERPRINTS[FINGERPRINTS.len() - 1]);
}

#[test]
fn a_database_in_rollback_mode_is_put_into_wal_mode() {
    let place = Place::with_records(10);
    place.open().pragma_update(None, "journal_mode", "delete").unwrap();
    place.up(next("good")).succeeded();
    assert_eq!(common::text(&common::query(&place.open(), "PRAGMA journal_mode")[0][0]), "wal");
}

#[test]
fn a_link_to_a_database_is_read_with_the_log_it_leads_to() {
    let place = Place::with_records(1);
    let writer = place.open();
    writer.execute_batch("CREATE TABLE in_the_log (x)").unwrap();
    let elsewhere = Place::empty();
    fs::remove_file(&elsewhere.database).unwrap();
    std::os::unix::fs::symlink(&place.database, &elsewhere.database).unwrap();
    let documents = elsewhere.status(migrator()).succeeded().documents();
    assert_eq!(documents[0]["drift"], json!(["table in_the_log was added"]));
    drop(writer);
}

#[test]
fn a_second_up_finds_nothing_to_do_and_writes_nothing() {
    let place = Place::with_records(10);
    let before = place.bytes();
    let ran = place.up(migrator()).succeeded();
    assert_eq!(ran.applied(), [""; 0]);
    assert!(place.is_tidy() && place.bytes() == before);
}

#[test]
fn status_leaves_no_trace() {
    for place in [Place::empty(), Place::with_records(50)] {
        let before = place.bytes();
        place.run(migrator(), &["status", "--json", "--quick-check"]).succeeded();
        place.run(migrator(), &["status"]).succeeded();
        place.run(migrator(), &["schema"]).succeeded();
        assert!(place.is_tidy() && place.bytes() == before);
    }
}

#[test]
fn status_reads_what_a_crash_left_in_the_write_ahead_log() {
    let place = Place::empty();
    let mut command = migrator();
    command.env("HEARTH_FAULT", "migrate.committed=kill");
    assert_eq!(place.up(command).signal, Some(9));
    let before = place.bytes();
    let documents = place.status(migrator()).succeeded().documents();
    assert_eq!(documents[0]["applied"][0]["name"], "m0001_records");
    assert_eq!(documents[0]["pending"], json!([]));
    assert_eq!(place.bytes(), before);
    // And `up` has nothing to apply, but puts the log away.
    assert_eq!(place.up(migrator()).succeeded().applied(), [""; 0]);
    assert!(place.is_tidy());
}

#[test]
fn status_reads_beside_a_running_writer() {
    let place = Place::with_records(10);
    let writer = place.open();
    writer.execute_batch("BEGIN IMMEDIATE; UPDATE record SET title = 'x'").unwrap();
    let documents = place.status(migrator()).succeeded().documents();
    assert_eq!(documents[0]["pending"], json!([]));
    writer.execute_batch("COMMIT").unwrap();
}

#[test]
fn schema_prints_statements_that_make_the_same_schema() {
    let place = Place::with_records(0);
    let printed = place.run(migrator(), &["schema"]).succeeded().stdout;
    let fingerprint = &place.status(migrator()).documents()[0]["schema"];
    assert_eq!(printed.lines().next().unwrap(), format!("-- schema {}", fingerprint.as_str().unwrap()));
    let again = Place::from_sql(&format!("PRAGMA application_id = 0x48525448; {printed}"));
    assert_eq!(&again.status(migrator()).documents()[0]["schema"], fingerprint);
    let document = &place.run(migrator(), &["schema", "--json"]).succeeded().documents()[0];
    assert_eq!(&document["schema"], fingerprint);
}

#[test]
fn wrong_usage_is_exit_2_with_a_hint() {
    let run = |arguments: &[&str], variable: (&str, &str)| {
        let ran = common::ran(migrator().args(arguments).env(variable.0, variable.1));
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), ""), "{ran:?}");
        ran.stderr
    };
    let none = ("HEARTH_UNKNOWN", "belongs to others");
    assert_eq!(
        run(&["up"], none),
        "error: no database is named\nhint: pass --database PATH or set HEARTH_DATABASE; nothing but the app changes a live database\n"
    );
    assert!(run(&[], none).starts_with("error: no command is given\nhint: "));
    assert!(run(&["down"], none).contains("down"));
    assert_eq!(
        run(&["status"], ("HEARTH_LOG__FORMAT", "xml")),
        "error: HEARTH_LOG__FORMAT: unknown variant: found `xml`, expected `text` or `json`\nhint: see migrator --help\n"
    );
}

#[test]
fn help_has_examples_and_the_version_is_told() {
    let help = common::ran(migrator().arg("--help"));
    assert!(help.code == Some(0) && help.stdout.contains("Examples:\n  migrator status"), "{help:?}");
    let version = common::ran(migrator().arg("--version"));
    assert_eq!(version.stdout, format!("migrator {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_database_can_come_from_the_environment() {
    let place = Place::with_records(0);
    let mut command = migrator();
    command.arg("status").env("HEARTH_DATABASE", &place.database);
    let ran = common::ran(&mut command);
    assert!(ran.code == Some(0) && ran.stdout.contains("Nothing is pending."), "{ran:?}");
}

#[test]
fn the_live_database_is_looked_at_by_itself_and_never_migrated_by_itself() {
    let place = Place::with_records(0);
    let data = place.database.parent().unwrap().join("data");
    std::fs::create_dir_all(data.join("live")).unwrap();
    std::fs::copy(&place.database, data.join("live/app.db")).unwrap();
    let run = |command: &str| common::ran(migrator().arg(command).env("HEARTH_DATA_DIR", &data));
    let looked = run("status");
    assert!(looked.code == Some(0) && looked.stdout.contains("data/live/app.db"), "{looked:?}");
    assert_eq!(run("schema").code, Some(0));
    let refused = run("up");
    assert!(refused.code == Some(2) && refused.stderr.starts_with("error: no database is named"), "{refused:?}");
}

/// The floor that `status` tells, in both forms.
fn floor(place: &Place) -> Value {
    let told = place.status(migrator()).succeeded().documents()[0]["floor"].clone();
    let words = place.run(migrator(), &["status"]).succeeded().stdout;
    let expected = told.as_str().map_or("none".to_owned(), |floor| format!("v{floor}"));
    assert!(words.lines().any(|line| line == format!("floor     {expected}")), "{words}");
    told
}

fn declaring(list: &str, version: &str, floor: Option<&str>) -> std::process::Command {
    let mut command = next(list);
    command.env("TEST_VERSION", version);
    if let Some(floor) = floor {
        command.env("TEST_FLOOR", floor);
    }
    command
}

#[test]
fn the_floor_is_what_the_release_declares_or_itself_and_never_falls() {
    let place = Place::empty();
    assert_eq!(floor(&place), Value::Null);
    place.up(migrator()).succeeded();
    let declared = migrator::migrations::FLOOR.unwrap_or(env!("CARGO_PKG_VERSION"));
    assert_eq!(floor(&place), declared);
    place.up(declaring("good", "9.1.0", Some("0.9.0"))).succeeded();
    assert_eq!(floor(&place), "0.9.0");
    place.up(declaring("good,good2", "9.10.0", None)).succeeded();
    assert_eq!(floor(&place), "9.10.0");
    place.up(declaring("good,good2,rebuilds", "9.11.0", Some("9.9.0"))).succeeded();
    assert_eq!(floor(&place), "9.10.0", "what 9.10.0 made is still there");
    let rows = "SELECT count(*) FROM migration_ledger WHERE floor = '9.10.0'";
    assert_eq!(common::query(&place.open(), rows)[0][0], rusqlite::types::Value::Integer(2));
}

#[test]
fn a_floor_that_cannot_be_stops_the_upgrade_and_changes_nothing() {
    let place = Place::with_records(3);
    let before = place.bytes();
    for (wrong, words) in [
        ("the one before", "v9.1.0 declares the floor \"the one before\", which is no version"),
        ("9.2.0", "v9.1.0 declares the floor v9.2.0, which is later than itself"),
    ] {
        let said = place.up(declaring("good", "9.1.0", Some(wrong))).failed("check");
        assert_eq!(said, format!("{words}\nnothing was changed; report this as a bug of the release"));
        assert_eq!(place.bytes(), before);
    }
}

#[test]
fn the_ledger_of_an_older_migrator_has_no_floor_and_gets_one_without_drift() {
    for release in migrator::developer::releases::all().unwrap() {
        let place = Place::empty();
        fs::remove_file(&place.database).unwrap();
        release.make(&place.database).unwrap();
        if release.version <= "0.5.0".parse().unwrap() {
            assert_eq!(floor(&place), Value::Null, "{}", release.version);
        }
        place.up(next("good")).succeeded();
        let after = place.status(next("good")).succeeded().documents().remove(0);
        assert_eq!(after["drift"], json!([]), "{}", release.version);
        assert_eq!(after["floor"], "9.1.0", "{}", release.version);
    }
}

#[test]
fn an_older_migrator_reads_and_writes_a_ledger_with_floors() {
    let place = Place::with_records(3);
    // As 0.5.0 does it, word for word.
    let connection = place.open();
    connection
        .execute(
            "INSERT INTO migration_ledger (name, version, applied_at, duration_ms, schema, listing)
             VALUES ('m0099_older', '0.5.0', '2026-11-29T10:00:00Z', 1, 'x', (SELECT listing FROM migration_ledger ORDER BY id DESC LIMIT 1))",
            [],
        )
        .unwrap();
    connection.execute("INSERT INTO seaql_migrations VALUES ('m0099_older', 0)", []).unwrap();
    for sql in [
        "SELECT name, id, version, applied_at FROM migration_ledger ORDER BY id",
        "SELECT listing FROM migration_ledger ORDER BY id DESC LIMIT 1",
    ] {
        assert!(!common::query(&connection, sql).is_empty());
    }
    drop(connection);
    let status = place.status(migrator()).succeeded().documents().remove(0);
    assert_eq!((&status["unknown"][0]["name"], &status["drift"]), (&json!("m0099_older"), &json!([])));
    assert_eq!(status["floor"], migrator::migrations::FLOOR.unwrap_or(env!("CARGO_PKG_VERSION")), "the others' stay");
}

#[test]
fn status_names_the_oldest_version_that_is_upgraded_from_and_what_stops_the_upgrade() {
    let place = Place::with_records(1);
    let of = |oldest: &str| {
        let mut command = declaring("good", "99.0.0", None);
        command.env("TEST_OLDEST", oldest);
        place.status(command).succeeded().documents().remove(0)
    };
    let this = env!("CARGO_PKG_VERSION");
    let reached = of(this);
    assert_eq!((&reached["oldest"], &reached["stop"]), (&json!(this), &Value::Null));
    let stop = format!(
        "this database was last upgraded by v{this}, and v99.0.0 upgrades from v98.0.0 on; start v98.0.0 first, then this version"
    );
    let stopped = of("98.0.0");
    assert_eq!((&stopped["oldest"], &stopped["stop"]), (&json!("98.0.0"), &json!(stop)));
    let mut command = declaring("good", "99.0.0", None);
    command.env("TEST_OLDEST", "98.0.0");
    let words = place.run(command, &["status"]).succeeded().stdout;
    assert!(words.lines().any(|line| line == format!("stop      {stop}")), "{words}");
    let own = place.status(migrator()).succeeded().documents().remove(0);
    assert_eq!((&own["oldest"], &own["stop"]), (&json!(migrator::migrations::OLDEST), &Value::Null));
}

#[test]
fn status_tells_the_differences_that_the_release_means() {
    let place = Place::empty();
    let of = |command| place.status(command).succeeded().documents()[0]["differences"].clone();
    let mut command = next("good");
    command.env("TEST_DIFFERENCES", "records that user=roles are new;due dates=a day is a day of TZ");
    let expected = json!([
        {"figure": "records that user", "reason": "roles are new"},
        {"figure": "due dates", "reason": "a day is a day of TZ"},
    ]);
    assert_eq!(of(command), expected);
    let own = migrator::migrations::DIFFERENCES.iter();
    let own: Vec<Value> = own.map(|(figure, reason)| json!({"figure": figure, "reason": reason})).collect();
    assert_eq!(of(migrator()), json!(own));
}
