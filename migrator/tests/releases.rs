//! What earlier releases left in `migrator/releases` is whole, and what was released stays as it was.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::fs;
use std::path::Path;

use migrator::Release;
use migrator::developer::content::Content;
use migrator::developer::delta::{self, Header, content};
use migrator::developer::{pins, releases, statements};
use rusqlite::Connection;

#[test]
fn released_migrations_execute_what_they_executed_when_they_were_released() {
    let directory = releases::directory();
    let newest = releases::all().unwrap().pop().unwrap();
    let released = newest.migrations().unwrap();
    assert!(!released.is_empty());
    let executed = statements::on_empty(&Release::current()).unwrap();
    for migration in &released {
        let executed = executed.iter().find(|one| one.migration == *migration).unwrap();
        assert_eq!(pins::compare(&directory, executed).unwrap(), None);
    }
}

/// Makes the release before 0.6.0, upgrades it twice, lets `use_it` be the API of "0.6.0" on it, and writes the delta. Returns the
/// directory with the releases' files, the new one among them, and the database that it was made from.
fn released(use_it: &str) -> (tempfile::TempDir, common::Place) {
    let files = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(releases::directory()).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("0.4.0.") {
            fs::copy(&path, files.path().join(name)).unwrap();
        }
    }
    let before = releases::of(files.path()).unwrap().pop().unwrap();
    assert_eq!(before.version.to_string(), "0.4.0");
    let make = |upgraded: bool| {
        let place = common::Place::empty();
        fs::remove_file(&place.database).unwrap();
        before.make(&place.database).unwrap();
        let schema = if upgraded { releases::upgrade(&place.database, None).unwrap() } else { String::new() };
        (place, schema)
    };
    let ((pristine, _), (one, schema), (other, _), (target, _)) = (make(false), make(true), make(true), make(true));
    target.open().execute_batch(use_it).unwrap();
    let header =
        Header { from: before.version.clone(), migrations: Release::current().names(), schema, inputs: "0".to_owned() };
    let of = |place: &common::Place| content(&place.database).unwrap();
    let text = delta::write(&header, &of(&pristine), [&of(&one), &of(&other)], &of(&target)).unwrap();
    fs::write(files.path().join("0.6.0.delta.sql"), &text).unwrap();
    let again = delta::write(&header, &of(&pristine), [&of(&other), &of(&one)], &of(&target)).unwrap();
    assert_eq!(text, again);
    (files, target)
}

/// Makes the newest release of a directory.
fn newest(directory: &Path) -> common::Place {
    let place = common::Place::empty();
    fs::remove_file(&place.database).unwrap();
    releases::of(directory).unwrap().pop().unwrap().make(&place.database).unwrap();
    place
}

/// What an app does in all its ways, and what a dump is easily wrong about.
const USED: &str = "
    INSERT INTO record (title, notes, created_at, updated_at, owner_id) VALUES
        ('New; -- it''s \"odd\"', 'two' || char(10) || 'lines, ' || char(0) || ' and 家', '', '', 1), ('', '', '', '', 2);
    UPDATE record SET title = 'Changed', due_date = NULL WHERE id % 5 = 0;
    DELETE FROM record WHERE id % 7 = 0;
    DELETE FROM record WHERE id = (SELECT max(id) FROM record);
    INSERT INTO record (id, title, created_at, updated_at) VALUES (9000000000000000000, 'last', '', '');
    DELETE FROM record WHERE id = 9000000000000000000;
    UPDATE sqlite_sequence SET seq = 9000000 WHERE name = 'record';
    INSERT INTO record_search (rowid, title) SELECT id, '0 .new .it''s' FROM record WHERE id > 60;
    DELETE FROM record_search WHERE rowid = 1;
    INSERT INTO idempotency_key (user_id, key, request_hash, created_id, created_at)
        SELECT 1, 'k' || id, 'hash', id, '' FROM record LIMIT 3;
    UPDATE user SET name = 'Änne' WHERE id = 2;
    DELETE FROM session;
    PRAGMA user_version = 77;";

#[test]
fn a_release_database_made_of_its_delta_is_the_one_that_it_was_written_from() {
    let (files, target) = released(USED);
    let made = newest(files.path());
    let (is, was) = (content(&made.database).unwrap(), content(&target.database).unwrap());
    assert_eq!(is.schema, was.schema);
    assert_eq!(is.user_version, 77);
    for (name, table) in &was.tables {
        assert_eq!(is.tables.get(name), Some(table), "{name}");
    }
    assert_eq!(is, was);
    assert_eq!(made.content().rows, target.content().rows);
    // And it is the same each time.
    assert_eq!(content(&newest(files.path()).database).unwrap(), was);
    let status = made.status(common::migrator()).succeeded().documents().remove(0);
    assert_eq!((&status["drift"], &status["pending"]), (&serde_json::json!([]), &serde_json::json!([])));
    for check in ["PRAGMA integrity_check", "INSERT INTO record_search (record_search) VALUES ('integrity-check')"] {
        let connection = made.open();
        let mut statement = connection.prepare(check).unwrap();
        let said: Option<String> = statement.query([]).unwrap().next().unwrap().map(|row| row.get(0).unwrap());
        assert!(said.is_none_or(|said| said == "ok"));
    }
}

#[test]
fn a_delta_has_what_is_new_and_what_comes_out_differently_each_time() {
    let (files, _target) = released("UPDATE record SET title = 'Changed' WHERE id = 3");
    let text = fs::read_to_string(files.path().join("0.6.0.delta.sql")).unwrap();
    let of = |begin: &str| text.lines().filter(|line| line.starts_with(begin)).count();
    assert_eq!((of("DELETE FROM \"record\" "), of("INSERT INTO \"record\" ")), (1, 1));
    let before = releases::of(files.path()).unwrap().remove(0).migrations().unwrap();
    let new = Release::current().names().len() - before.len();
    assert!(new > 0);
    assert_eq!((of("DELETE FROM \"migration_ledger\" "), of("INSERT INTO \"migration_ledger\" ")), (new, new));
    assert_eq!((of("DELETE FROM \"record_state\" "), of("INSERT INTO \"record_state\" ")), (1, 1), "its random epoch");
    assert_eq!(of("INSERT INTO \"user\" "), 0);
}

#[test]
fn a_chain_of_deltas_goes_back_to_a_whole_database_and_to_nothing_else() {
    let (files, target) = released("UPDATE record SET title = 'Changed' WHERE id = 3");
    let path = files.path().join("0.6.0.delta.sql");
    let text = fs::read_to_string(&path).unwrap();
    let second = text.replace("-- from: 0.4.0", "-- from: 0.6.0");
    let second =
        second[..second.find("PRAGMA").unwrap()].to_owned() + "UPDATE record SET title = 'Twice' WHERE id = 4;";
    fs::write(files.path().join("0.7.0.delta.sql"), second).unwrap();
    let made = newest(files.path());
    let titles = common::query(&made.open(), "SELECT title FROM record WHERE id IN (3, 4) ORDER BY id");
    assert_eq!(titles.iter().map(|row| common::text(&row[0])).collect::<Vec<_>>(), ["Changed", "Twice"]);
    drop(target);
    fs::remove_file(files.path().join("0.7.0.delta.sql")).unwrap();
    let refused = |from: &str, to: &str, words: &str| {
        fs::write(&path, text.replace(from, to)).unwrap();
        let place = common::Place::empty();
        let path = place.dir.path().join("made.db");
        let problem = releases::of(files.path()).unwrap().pop().unwrap().make(&path).unwrap_err();
        assert!(problem.message.contains(words), "{problem:?}");
    };
    refused("-- from: 0.4.0", "-- from: 0.6.0", "it is from 0.6.0, which is not older");
    refused("-- from: 0.4.0", "-- from: 0.3.9", "0.3.9.sql");
    let schema = text.lines().find_map(|line| line.strip_prefix("-- schema: ")).unwrap().to_owned();
    refused(
        &schema,
        "0000000000000000",
        &format!("make the schema {schema}, and those of 0.6.0 made 0000000000000000"),
    );
    refused("-- schema", "-- s", "the line \"-- schema: …\" is missing");
    fs::write(files.path().join("0.6.0.sql"), "").unwrap();
    assert!(releases::of(files.path()).unwrap_err().message.contains("0.6.0 has two databases"));
}

#[test]
fn what_a_delta_cannot_hold_is_said() {
    let header =
        Header { from: "0.5.0".parse().unwrap(), migrations: Vec::new(), schema: String::new(), inputs: String::new() };
    let made = |sql: &str| {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(&format!("CREATE TABLE t (id INTEGER PRIMARY KEY, x); {sql}")).unwrap();
        Content::read(&connection).unwrap()
    };
    let says = |bases: [&str; 2], target: &str| {
        let (before, one, other, target) = (made(""), made(bases[0]), made(bases[1]), made(target));
        delta::write(&header, &before, [&one, &other], &target).unwrap_err().message
    };
    let words = says(["", ""], "CREATE TABLE made_by_the_app (x)");
    assert!(words.contains("table made_by_the_app") && words.contains("its app changed the schema"), "{words}");
    let words = says(["INSERT INTO t VALUES (4711, 1)", "INSERT INTO t VALUES (815, 1)"], "");
    assert!(words.contains("gives table t a row with another key each time it runs: \"id\" IS 4711"), "{words}");
}

#[test]
fn a_database_that_is_whole_can_be_read_as_text_and_made_again() {
    for release in releases::all().unwrap() {
        let place = common::Place::empty();
        fs::remove_file(&place.database).unwrap();
        release.make(&place.database).unwrap();
        let read = content(&place.database).unwrap();
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        for (of, _, sql) in read.schema.iter().filter(|(_, name, _)| name != "sqlite_sequence") {
            // Triggers at the end: the inserts are what they made already.
            if of == "table" {
                connection.execute_batch(sql).unwrap();
            }
        }
        for table in read.tables.iter().filter(|(name, _)| *name != "sqlite_sequence").map(|(_, table)| table) {
            table.rows.iter().for_each(|row| connection.execute_batch(&row.insert).unwrap());
        }
        let again = Content::read(&connection).unwrap();
        for (name, table) in read.tables.iter().filter(|(name, _)| *name != "sqlite_sequence") {
            assert_eq!(again.tables.get(name), Some(table), "{} {name}", release.version);
        }
    }
}
