//! The rules that every migration is held to, by running them all: additive, idempotent,
//! backward compatible, tested from every release. The fifth, transactional, is in
//! all_or_nothing.rs.
//!
//! The tests take whatever releases are in `migrator/releases` (see `developer::releases`), and a database made by this source as
//! the newest.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

#[path = "../examples/next_migrator/extra.rs"]
mod extra;

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use common::{Content, Place, migrator, next, query, text};
use migrator::developer::check::{insert, values_for};
use migrator::developer::releases::{self, Released};
use migrator::sea_orm_migration::SchemaManager;
use migrator::sea_orm_migration::sea_orm::{ConnectOptions, Database};
use rusqlite::Connection;
use rusqlite::types::Value as Sql;

/// The later releases that a database is upgraded to: this source, and ones with the test
/// migrations that should pass.
const LATER: [&str; 3] = ["", "good", "good,good2,rebuilds,helpers"];

/// The migrator of one of them.
fn migrator_of(later: &str) -> Command {
    if later.is_empty() { migrator() } else { next(later) }
}

/// The database of a release.
fn made(release: &Released) -> Place {
    let place = Place::empty();
    fs::remove_file(&place.database).unwrap();
    release.make(&place.database).unwrap();
    place
}

/// Every released database, and one of this source.
fn databases() -> Vec<(String, Place)> {
    let mut all: Vec<(String, Place)> =
        releases::all().unwrap().iter().map(|release| (release.version.to_string(), made(release))).collect();
    all.push(("this source".to_owned(), Place::with_records(300)));
    all
}

/// The objects of a schema, and the columns of its ordinary tables.
fn objects(connection: &Connection) -> BTreeSet<String> {
    let schema = "SELECT type || ' ' || name FROM sqlite_schema";
    let columns = "SELECT l.name || '.' || c.name FROM pragma_table_list l JOIN pragma_table_xinfo(l.name) c
        WHERE l.schema = 'main' AND l.type IN ('table', 'virtual')";
    [schema, columns].iter().flat_map(|sql| query(connection, sql)).map(|row| text(&row[0])).collect()
}

#[test]
fn every_release_that_was_made_is_kept() {
    // A version that is set in Cargo.toml without its database and statements would be one that later releases cannot prove their
    // upgrade from.
    let releases = releases::all().unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert!(
        releases.iter().any(|release| release.version.to_string() == version),
        "the database of {version} is missing in {}: cargo release makes it",
        releases::directory().display()
    );
    for release in releases {
        assert!(!release.statements().unwrap().is_empty(), "{}.statements is empty", release.version);
    }
}

#[test]
fn names_are_numbered_and_never_used_twice() {
    let names = migrator::Release::current().names();
    for (index, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("m{:04}_", index + 1)), "{name} is not number {}", index + 1);
    }
}

#[test]
fn additive() {
    for (version, place) in databases() {
        let before = objects(&place.open());
        for later in LATER {
            place.up(migrator_of(later)).succeeded();
            let after = objects(&place.open());
            let lost: Vec<_> = before.difference(&after).collect();
            assert!(lost.is_empty(), "from {version} to {later:?} these went: {lost:?}");
        }
    }
}

#[test]
fn idempotent() {
    let place = Place::with_records(300);
    place.up(next("good,good2,rebuilds,helpers")).succeeded();
    let before = place.content();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for migration in extra::with("good,good2,rebuilds,helpers") {
        runtime.block_on(async {
            let mut options = ConnectOptions::new(format!("sqlite:{}?mode=rw", place.database.display()));
            options.map_sqlx_sqlite_opts(|sqlite| sqlite.foreign_keys(false));
            let connection = Database::connect(options).await.unwrap();
            migration.up(&SchemaManager::new(&connection)).await.unwrap();
            connection.close().await.unwrap();
        });
        assert_eq!(place.content(), before, "{} changed something when run again", migration.name());
    }
}

#[test]
fn backward_compatible() {
    for release in releases::all().unwrap() {
        let old = made(&release);
        for later in LATER {
            let new = made(&release);
            new.up(migrator_of(later)).succeeded();
            let connection = new.open();
            for statement in &release.statements().unwrap() {
                if let Err(error) = connection.prepare(statement) {
                    panic!("{} prepares {statement:?}, and to {later:?} that is {error}", release.version);
                }
                if statement.trim_start().to_uppercase().starts_with("INSERT") {
                    let values = values_for(&old.open(), statement).unwrap();
                    let values = values.unwrap_or_else(|| panic!("no values were found for {statement:?}"));
                    let inserted = insert(&connection, statement, &values);
                    assert!(
                        inserted.is_ok(),
                        "{} inserts with {statement:?}, and to {later:?} that is {inserted:?}",
                        release.version
                    );
                }
            }
        }
    }
}

#[test]
fn new_columns_are_nullable_or_have_a_default() {
    let columns = |connection: &Connection| {
        query(
            connection,
            "SELECT l.name || '.' || c.name, c.\"notnull\" = 1 AND c.dflt_value IS NULL AND c.hidden = 0 AND c.pk = 0, l.name
             FROM pragma_table_list l JOIN pragma_table_xinfo(l.name) c WHERE l.schema = 'main' AND l.type = 'table'",
        )
    };
    for (version, place) in databases() {
        let before = columns(&place.open());
        place.up(next("good,good2,rebuilds,helpers")).succeeded();
        for column in columns(&place.open()) {
            let old_table = before.iter().any(|old| old[2] == column[2]);
            let new_column = before.iter().all(|old| old[0] != column[0]);
            assert!(
                !(old_table && new_column && column[1] == Sql::Integer(1)),
                "since {version}, {} must be given and the inserts of before do not",
                text(&column[0])
            );
        }
    }
}

/// What the household put in: every column of before, of every table but the two books.
fn data(connection: &Connection, of: &Content, columns: &[(String, String)]) -> Vec<Vec<Vec<Sql>>> {
    of.rows
        .keys()
        .filter(|table| !["seaql_migrations", "migration_ledger"].contains(&table.as_str()))
        .map(|table| {
            let names: Vec<String> =
                columns.iter().filter(|(of, _)| of == table).map(|(_, name)| format!("\"{name}\"")).collect();
            query(connection, &format!("SELECT {} FROM \"{table}\" ORDER BY 1, 2", names.join(", ")))
        })
        .collect()
}

#[test]
fn tested_from_every_release_with_data_in_it() {
    for (version, place) in databases() {
        let before = place.content();
        let columns: Vec<(String, String)> = query(
            &place.open(),
            "SELECT l.name, c.name FROM pragma_table_list l JOIN pragma_table_xinfo(l.name) c WHERE l.type = 'table'",
        )
        .iter()
        .map(|row| (text(&row[0]), text(&row[1])))
        .collect();
        let expected = data(&place.open(), &before, &columns);
        // Release by release, and at one go.
        let at_one_go = Place::empty();
        fs::copy(&place.database, &at_one_go.database).unwrap();
        at_one_go.up(migrator_of(LATER[LATER.len() - 1])).succeeded();
        for later in LATER {
            place.up(migrator_of(later)).succeeded();
            assert_eq!(data(&place.open(), &before, &columns), expected, "from {version} to {later:?}");
        }
        assert_eq!(data(&at_one_go.open(), &before, &columns), expected, "from {version} at one go");
        let schema = |place: &Place| place.status(migrator_of(LATER[2])).succeeded().documents()[0]["schema"].clone();
        assert_eq!(schema(&place), schema(&at_one_go), "from {version}");
        // The search index agrees with its table (rank 1 makes FTS5 compare the two).
        place
            .open()
            .execute_batch("INSERT INTO record_search (record_search, rank) VALUES ('integrity-check', 1)")
            .unwrap();
    }
}

/// How many records have this token.
fn found(connection: &Connection, token: &str) -> i64 {
    let sql = "SELECT count(*) FROM record_search WHERE record_search MATCH ?";
    connection.query_row(sql, [format!("\"{token}\"")], |row| row.get(0)).unwrap()
}

#[test]
fn every_record_of_every_release_is_found_after_its_upgrade() {
    for release in releases::all().unwrap() {
        let place = made(&release);
        place.up(migrator()).succeeded();
        let connection = place.open();
        for (token, part) in
            [(".保", "保"), (".保险", "保险"), (".fuh", "Füh"), (".caf", "Cafe"), (".4", "4"), (".ах", "ах")]
        {
            let sql = "SELECT count(*) FROM record WHERE instr(title || ' ' || category || ' ' || notes, ?)";
            let number: i64 = connection.query_row(sql, [part], |row| row.get(0)).unwrap();
            assert!(number > 0 && found(&connection, token) >= number, "{}: {part}", release.version);
        }
        let unfolded = "SELECT count(*) FROM record WHERE fold_version = 0 OR folded IS NULL OR title_key IS NULL
            OR id NOT IN (SELECT record_id FROM record_change)";
        assert_eq!(query(&connection, unfolded), [[Sql::Integer(0)]], "{}", release.version);
    }
}

/// A database of this source with one person in it.
fn household() -> (Place, Connection) {
    let place = Place::empty();
    place.up(migrator()).succeeded();
    let connection = place.open();
    connection
        .execute_batch(
            "INSERT INTO user (id, name, email, role, created_at, updated_at) VALUES (7, 'Anna', 'a@example.org', 'owner', '', '')",
        )
        .unwrap();
    (place, connection)
}

fn record(connection: &Connection, title: &str, visibility: &str) {
    let sql = "INSERT INTO record (title, created_at, updated_at, owner_id, visibility) VALUES (?, '', '', 7, ?)";
    connection.execute(sql, [title, visibility]).unwrap();
}

/// Every change, as scope, number, record and whether it is gone there.
fn changes(connection: &Connection) -> Vec<(i64, i64, i64, i64)> {
    let number = |value: &Sql| if let Sql::Integer(number) = value { *number } else { panic!("{value:?}") };
    query(connection, "SELECT scope, number, record_id, is_gone FROM record_change ORDER BY scope, number")
        .iter()
        .map(|row| (number(&row[0]), number(&row[1]), number(&row[2]), number(&row[3])))
        .collect()
}

#[test]
fn what_an_older_program_writes_is_counted_and_waits_to_be_folded() {
    let (_place, connection) = household();
    record(&connection, "Boiler", "household");
    // As this version's app leaves it.
    connection
        .execute_batch(
            "UPDATE record SET fold_version = 1; INSERT INTO record_search (rowid, title) VALUES (1, '.boi .oil');",
        )
        .unwrap();
    let state = || query(&connection, "SELECT version, fold_version FROM record WHERE id = 1").remove(0);
    assert_eq!(state(), [Sql::Integer(1), Sql::Integer(1)]);
    connection.execute_batch("UPDATE record SET due_date = '2027-01-01'").unwrap();
    assert_eq!(state(), [Sql::Integer(2), Sql::Integer(1)], "a due date is not searched");
    assert_eq!(found(&connection, ".boi"), 1);
    connection.execute_batch("UPDATE record SET title = 'Stove'").unwrap();
    assert_eq!(state(), [Sql::Integer(3), Sql::Integer(0)]);
    assert_eq!(found(&connection, ".boi"), 0, "nothing is found that is not there any more");
    let stale = "SELECT id FROM record INDEXED BY record_stale WHERE fold_version = 0";
    assert_eq!(query(&connection, stale), [[Sql::Integer(1)]]);
}

#[test]
fn changes_are_numbered_in_each_scope_and_what_left_one_is_a_tombstone_there() {
    let (_place, connection) = household();
    record(&connection, "shared", "household");
    record(&connection, "always private", "private");
    record(&connection, "shared as well", "household");
    assert_eq!(changes(&connection), [(0, 1, 1, 0), (0, 2, 3, 0), (7, 1, 2, 0)]);
    connection.execute_batch("UPDATE record SET title = 'shared still' WHERE id = 1").unwrap();
    let one_for_each = [(0, 2, 3, 0), (0, 3, 1, 0), (7, 1, 2, 0)];
    assert_eq!(changes(&connection), one_for_each, "one row for each, with the number of its last change");
    connection.execute_batch("UPDATE record SET visibility = 'private' WHERE id = 1").unwrap();
    assert_eq!(changes(&connection), [(0, 2, 3, 0), (0, 4, 1, 1), (7, 1, 2, 0), (7, 2, 1, 0)]);
    connection.execute_batch("DELETE FROM record WHERE id = 2; UPDATE record SET notes = 'x' WHERE id = 1").unwrap();
    let unknown_to_others = [(0, 2, 3, 0), (0, 4, 1, 1), (7, 3, 2, 1), (7, 4, 1, 0)];
    assert_eq!(changes(&connection), unknown_to_others, "the numbers of the household do not tell of it either");
    connection.execute_batch("UPDATE record SET visibility = 'household' WHERE id = 1").unwrap();
    assert_eq!(changes(&connection), [(0, 2, 3, 0), (0, 5, 1, 0), (7, 3, 2, 1), (7, 5, 1, 1)], "and it is back");
}
