//! What stops an upgrade, and how the operator lets it through: by the very sentence, and never more than that.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::process::Command;

use common::{DUE_DATE_GOES, Place, Ran, migrator, next, query};
use rusqlite::types::Value as Sql;

const MADE_BY_HAND: &str = "table made_by_hand was added";
const INDEX: &str = "index record_category does not have one entry for each row of its table";

/// The findings that `status` prints for the next release.
fn findings(place: &Place, arguments: &[&str]) -> Vec<String> {
    let document = place.run(next("good"), arguments).succeeded().documents().remove(0);
    let findings = document["findings"].as_array().unwrap();
    findings.iter().map(|finding| finding.as_str().unwrap().to_owned()).collect()
}

const THOROUGHLY: [&str; 3] = ["status", "--json", "--quick-check"];

fn up(place: &Place, command: Command, accepted: &[&str]) -> Ran {
    let mut arguments = vec!["up", "--json"];
    arguments.extend(accepted.iter().flat_map(|finding| ["--accept", finding]));
    place.run(command, &arguments)
}

/// What `up` said that it was let through in spite of.
fn let_through(ran: &Ran) -> Vec<String> {
    let accepted = ran.documents().into_iter().filter(|document| document["event"] == "accepted");
    accepted.map(|document| document["finding"].as_str().unwrap().to_owned()).collect()
}

/// Refused by this kind, and the file is as it was; what was said.
#[track_caller]
fn refused(place: &Place, list: &str, accepted: &[&str], kind: &str) -> String {
    let before = place.bytes();
    let ran = up(place, next(list), accepted);
    let said = ran.failed(kind);
    assert!(place.is_tidy() && place.bytes() == before);
    said
}

/// Rows that refer to none, as SQL by hand leaves them: of a table with numbered rows, and of one without.
fn with_dangling_rows() -> Place {
    let place = Place::with_records(5);
    place
        .open()
        .execute_batch(
            "PRAGMA foreign_keys = OFF;
             INSERT INTO api_token (id, user_id, name, token_hash, scope, created_at) VALUES (7, 99, 'x', 'x', 'read', '2026-11-30');
             INSERT INTO idempotency_key (user_id, key, request_hash, created_id, created_at)
                VALUES (98, 'a', '', 1, '2026'), (98, 'b', '', 1, '2026')",
        )
        .unwrap();
    place
}

const TOKEN: &str = "row 7 of table api_token refers to a row of table user that is not there";
const KEYS: &str = "2 rows of table idempotency_key refer to rows of table user that are not there";

/// An index in which five rows are missing: they were written while it was not known.
fn with_a_poor_index() -> Place {
    let place = Place::with_records(40);
    let connection = place.open();
    let hide = "CREATE TABLE hidden AS SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE name = 'record_category';
        PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'record_category'";
    connection.execute_batch(hide).unwrap();
    drop(connection);
    common::fill(&place.database, 5);
    let connection = place.open();
    let show = "PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) SELECT * FROM hidden;
        PRAGMA writable_schema = RESET; DROP TABLE hidden";
    connection.execute_batch(show).unwrap();
    drop(connection);
    place
}

#[test]
fn drift_is_let_through_by_its_sentences_and_all_of_them() {
    let place = Place::with_records(20);
    place.open().execute_batch(DUE_DATE_GOES).unwrap();
    place.open().execute_batch("CREATE TABLE made_by_hand (x)").unwrap();
    let all = findings(&place, &["status", "--json"]);
    assert!(all.contains(&MADE_BY_HAND.to_owned()) && all.len() > 3, "{all:?}");
    assert_eq!(findings(&place, &THOROUGHLY), all);
    let all: Vec<&str> = all.iter().map(String::as_str).collect();
    // One of them is not enough, and neither is nearly the sentence.
    let said = refused(&place, "good", &all[1..], "drift");
    assert!(said.contains(all[0]) && !said.contains(all[1]), "{said}");
    assert!(said.contains("supervisor resume --accept"), "{said}");
    let nearly = format!("{}.", all[0]);
    refused(&place, "good", &[&[nearly.as_str()], &all[1..]].concat(), "drift");
    // With nothing pending nothing is refused, and nothing has to be accepted.
    assert_eq!(let_through(&up(&place, migrator(), &all).succeeded()), [""; 0]);
    let ran = up(&place, next("good"), &all).succeeded();
    assert_eq!(
        (ran.applied(), let_through(&ran)),
        (vec!["m9001_good".to_owned()], all.iter().map(ToString::to_string).collect())
    );
    // What the migration made is what the next one starts from.
    assert_eq!(findings(&place, &THOROUGHLY), [""; 0]);
    place.up(next("good,rebuilds")).succeeded();
}

#[test]
fn people_read_what_was_accepted_in_the_log() {
    let place = Place::with_records(1);
    place.open().execute_batch("CREATE TABLE made_by_hand (x)").unwrap();
    let ran = place.run(next("good"), &["up", "--accept", MADE_BY_HAND]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    let line = format!("[Migrate] Accepted: {MADE_BY_HAND}\n[Migrate] Applying: m9001_good\n");
    assert!(ran.stderr.contains(&line), "{}", ran.stderr);
}

#[test]
fn a_row_that_refers_to_none_is_let_through_and_never_joined_by_another() {
    let place = with_dangling_rows();
    assert_eq!(findings(&place, &["status", "--json"]), [""; 0], "a look at the schema reads no rows");
    for _ in 0..2 {
        assert_eq!(findings(&place, &THOROUGHLY), [TOKEN, KEYS]);
    }
    let words = place.run(migrator(), &["status", "--quick-check"]).succeeded().stdout;
    assert!(words.contains(&format!("\nfinding   {TOKEN}\n")), "{words}");
    let said = refused(&place, "good", &[TOKEN], "finding");
    assert!(said.contains(KEYS) && !said.contains(TOKEN), "{said}");
    // A migration that adds one is refused, whatever is accepted.
    let note = "row 1 of table note refers to a row of table record that is not there";
    let said = refused(&place, "good,breaks-foreign-key", &[TOKEN, KEYS, note], "check");
    assert!(said.contains("would leave row 1 of table note without the row of table record"), "{said}");
    let ran = up(&place, next("good"), &[TOKEN, KEYS]).succeeded();
    assert_eq!(let_through(&ran), [TOKEN, KEYS]);
    let kept = query(&place.open(), "SELECT id FROM api_token WHERE user_id = 99");
    assert_eq!(kept, [[Sql::Integer(7)]]);
    assert_eq!(findings(&place, &THOROUGHLY), [TOKEN, KEYS], "they are as they were");
}

#[test]
fn an_index_that_does_not_fit_is_let_through_and_made_again() {
    let place = with_a_poor_index();
    for _ in 0..2 {
        assert_eq!(findings(&place, &THOROUGHLY), [INDEX]);
    }
    // The migration is not to blame.
    let said = refused(&place, "good", &[], "finding");
    assert!(said.contains(INDEX), "{said}");
    refused(&place, "good", &["index record_title does not have one entry for each row of its table"], "finding");
    // Accepted, what a migration does wrong is still refused.
    refused(&place, "good,loses-row", &[INDEX], "check");
    let ran = up(&place, next("good"), &[INDEX]).succeeded();
    assert_eq!(let_through(&ran), [INDEX]);
    assert_eq!(findings(&place, &THOROUGHLY), [""; 0]);
    let check = query(&place.open(), "PRAGMA integrity_check");
    assert_eq!(check, [[Sql::Text("ok".to_owned())]]);
}

#[test]
fn a_unique_index_that_cannot_be_made_again_stays_a_finding() {
    let place = Place::with_records(1);
    let hide = "INSERT INTO user (id, email, name, role, created_at, updated_at) VALUES (50, 'a@example.org', '', 'member', '2026', '2026');
        CREATE TABLE hidden AS SELECT type, name, tbl_name, rootpage, sql FROM sqlite_schema WHERE name = 'api_token_token';
        PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = 'api_token_token'";
    place.open().execute_batch(hide).unwrap();
    let show = "INSERT INTO api_token (user_id, name, token_hash, scope, created_at) VALUES (50, 'x', 'same', 'read', '2026'), (50, 'y', 'same', 'read', '2026');
        PRAGMA writable_schema = ON;
        INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql) SELECT * FROM hidden;
        PRAGMA writable_schema = RESET; DROP TABLE hidden";
    place.open().execute_batch(show).unwrap();
    let all = findings(&place, &THOROUGHLY);
    assert_eq!(all, ["index api_token_token does not have one entry for each row of its table"]);
    let said = refused(&place, "good", &[&all[0]], "finding");
    assert!(
        said.contains("index api_token_token cannot be made again: UNIQUE constraint failed: api_token.token_hash"),
        "{said}"
    );
}

#[test]
fn damage_of_a_table_is_never_accepted() {
    let place = Place::with_records(2000);
    let connection = place.open();
    let page = "SELECT pageno FROM dbstat WHERE name = 'record' AND pagetype = 'leaf' ORDER BY pageno LIMIT 1 OFFSET 3";
    let page: i64 = connection.query_row(page, [], |row| row.get(0)).unwrap();
    drop(connection);
    let mut file = fs::OpenOptions::new().write(true).open(&place.database).unwrap();
    file.seek(SeekFrom::Start(u64::try_from((page - 1) * 4096).unwrap())).unwrap();
    file.write_all(&[0x5a; 4096]).unwrap();
    let said = place.run(migrator(), &THOROUGHLY).failed("damaged");
    let words = said.split(" is damaged: ").nth(1).unwrap().lines().next().unwrap().to_owned();
    refused(&place, "good", &[&words, &said, INDEX], "damaged");
}

#[test]
fn a_newer_or_foreign_database_and_one_without_books_are_never_accepted() {
    let place = Place::with_records(1);
    place.up(next("good")).succeeded();
    let before = place.bytes();
    let said = up(&place, migrator(), &["m9001_good"]).failed("newer");
    up(&place, migrator(), &[said.lines().next().unwrap()]).failed("newer");
    assert!(place.bytes() == before);
    let place = Place::from_sql("PRAGMA application_id = 7; CREATE TABLE t (x)");
    let said = up(&place, migrator(), &[]).failed("foreign");
    up(&place, migrator(), &[said.lines().next().unwrap()]).failed("foreign");
    let place = Place::with_records(1);
    place.open().execute_batch("DROP TABLE migration_ledger; DROP TABLE seaql_migrations").unwrap();
    refused(&place, "good", &["table migration_ledger is missing or empty"], "drift");
    // Nor is another release that has to come first.
    let place = Place::with_records(1);
    let stopped = |accepted: &[&str]| {
        let mut command = next("good");
        command.env("TEST_OLDEST", "9.0.0");
        up(&place, command, accepted).failed("stop")
    };
    let said = stopped(&[]);
    stopped(&[said.lines().next().unwrap()]);
}
