//! A database whose index does not agree with its table: nothing is lost, so backups and upgrades go on, with new indexes.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::fs;
use std::ops::Range;

use harness::{Hearth, household, wait_for};
use rusqlite::Connection;

/// An instance with records, stopped.
fn household(records: usize) -> Hearth {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    household::fill(running.wait_serving(), records);
    running.stop();
    hearth
}

/// Changes a row behind the back of an index, which is hidden meanwhile.
fn damage_index(hearth: &Hearth) {
    let open = || Connection::open(hearth.database()).unwrap();
    let database = open();
    database
        .execute_batch(
            "PRAGMA writable_schema = ON;
             CREATE TABLE hidden AS SELECT * FROM sqlite_schema WHERE type = 'trigger' OR name = 'record_updated_at';
             DELETE FROM sqlite_schema WHERE type = 'trigger' OR name = 'record_updated_at'",
        )
        .unwrap();
    drop(database);
    let database = open();
    database.execute_batch("UPDATE record SET updated_at = '2031-01-01T00:00:00.000Z' WHERE id = 2").unwrap();
    database
        .execute_batch("PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM hidden; DROP TABLE hidden")
        .unwrap();
    drop(database);
    let checked = |check: &str| open().query_row(check, [], |row| row.get::<_, String>(0)).unwrap();
    assert_eq!(checked("PRAGMA quick_check"), "ok", "which is why nobody noticed");
    assert_ne!(checked("PRAGMA integrity_check"), "ok");
}

fn is_whole(hearth: &Hearth) -> bool {
    let database = Connection::open(hearth.database()).unwrap();
    database.query_row("PRAGMA integrity_check", [], |row| row.get::<_, String>(0)).unwrap() == "ok"
}

#[test]
fn an_upgrade_gives_the_new_generation_new_indexes() {
    let mut hearth = household(5);
    damage_index(&hearth);
    let before = fs::read(hearth.database()).unwrap();
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    let address = running.wait_serving();
    assert_eq!(hearth.live().unwrap(), "0002");
    assert_eq!(household::all(address).len(), 5);
    assert!(running.log().contains("indexes did not agree with their tables (row "), "{}", running.log());
    running.stop();
    assert!(is_whole(&hearth));
    assert_eq!(fs::read(hearth.data.join("generations/0001/app.db")).unwrap(), before, "it is left as it was");
}

/// Returns where the first page of the table of records lies in these bytes of the database.
fn first_page(hearth: &Hearth, bytes: &[u8]) -> Range<usize> {
    let database = Connection::open(hearth.database()).unwrap();
    let root: usize =
        database.query_row("SELECT rootpage FROM sqlite_schema WHERE name = 'record'", [], |row| row.get(0)).unwrap();
    let size = usize::from(u16::from_be_bytes([bytes[16], bytes[17]]));
    (root - 1) * size..root * size
}

#[test]
fn an_upgrade_of_damaged_tables_is_held_and_leaves_them_as_they_are() {
    let mut hearth = household(5);
    let mut bytes = fs::read(hearth.database()).unwrap();
    let page = first_page(&hearth, &bytes);
    bytes[page].fill(0xAA);
    fs::write(hearth.database(), &bytes).unwrap();
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    let (_, status) = running.wait_held(&hearth);
    assert_eq!(status["held"]["failure"]["cause"], "damaged", "{status}");
    running.stop();
    assert_eq!(fs::read(hearth.database()).unwrap(), bytes);
    assert_eq!(hearth.generations(), ["0001"]);
}

#[test]
fn a_table_that_lost_rows_is_neither_backed_up_nor_upgraded_as_if_nothing_were_missing() {
    let mut hearth = household(2);
    let older = fs::read(hearth.database()).unwrap();
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 2);
    running.stop();
    // The last write to the only page of the table never reached the disk; those to its indexes did.
    let mut bytes = fs::read(hearth.database()).unwrap();
    let page = first_page(&hearth, &bytes);
    bytes[page.clone()].copy_from_slice(&older[page]);
    fs::write(hearth.database(), &bytes).unwrap();
    let lost = "table \"record\" lacks 2 rows that its indexes (";
    let said = hearth.refused(&["backup"]);
    assert!(said.contains(lost) && said.contains("older backups are whole"), "{said}");
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    let (_, status) = running.wait_held(&hearth);
    assert_eq!(status["held"]["failure"]["cause"], "damaged", "{status}");
    assert!(status["held"]["failure"]["message"].as_str().unwrap().contains(lost), "{status}");
    running.stop();
    assert_eq!(fs::read(hearth.database()).unwrap(), bytes);
    assert_eq!(hearth.generations(), ["0001"]);
}

#[test]
fn backups_go_on_and_the_next_start_goes_over_to_new_indexes() {
    let hearth = household(5);
    damage_index(&hearth);
    let mut running = hearth.start();
    running.wait_serving();
    let made = hearth.backup(&[]);
    assert_eq!(made["backup"]["rows"]["record"], 5);
    hearth.done(&["backup", "verify"]);
    let trouble = running.wait("the trouble", || {
        hearth.status()?["backups"]["trouble"]
            .as_array()?
            .iter()
            .find_map(|one| one.as_str().filter(|one| one.starts_with("indexes: ")).map(str::to_owned))
    });
    assert!(trouble.contains("made from the tables") && trouble.contains("start it again"), "{trouble}");
    running.stop();

    let mut running = hearth.start();
    let address = running.wait_serving();
    assert_eq!(hearth.live().unwrap(), "0002");
    assert_eq!(household::all(address)[&2]["updated_at"], "2031-01-01T00:00:00.000Z", "as the table has it");
    running.wait("all to be well", || hearth.status().filter(|status| status["health"] == "healthy"));
    hearth.backup(&[]);
    running.stop();
    assert!(is_whole(&hearth));
    // And that was all: the next one has nothing to do.
    let mut running = hearth.start();
    running.wait_serving();
    assert_eq!(hearth.live().unwrap(), "0002");
    hearth.assert_tidy();
}

#[test]
fn a_snapshot_is_restored_with_new_indexes() {
    let mut hearth = household(5);
    damage_index(&hearth);
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    running.wait_serving();
    hearth.done(&["restore", "1", "--yes"]);
    wait_for("the restored generation", || (hearth.live().unwrap() == "0003").then_some(()));
    running.stop();
    assert!(is_whole(&hearth));
}
