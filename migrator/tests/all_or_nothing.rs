//! The rule *transactional*: a migration that is bad, killed or out of space changes nothing.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use common::{Content, Place, Ran, next, query};
use migrator::fault::POINTS;
use rusqlite::types::Value as Sql;

#[test]
fn a_bad_migration_changes_nothing_and_says_what_it_would_have_done() {
    let cases = [
        ("fails", "migration", "migration m9003_fails failed: half of the work is done and the rest cannot be"),
        ("loses-row", "check", "would leave table record with 99 rows where there were 100"),
        ("drops-index", "check", "migration m9005_drops_index would leave the database without index record_due_date"),
        (
            "breaks-foreign-key",
            "check",
            "would leave row 1 of table note without the row of table record that it refers to",
        ),
    ];
    for (bad, kind, words) in cases {
        let place = Place::with_records(100);
        let before = place.bytes();
        // Also with good ones around it: all or nothing.
        for list in [bad.to_owned(), format!("good,{bad}"), format!("good,{bad},good2")] {
            let said = place.up(next(&list)).failed(kind);
            assert!(said.contains(words), "{said}");
            assert!(said.contains("nothing was changed"), "{said}");
            assert!(place.is_tidy() && place.bytes() == before, "{list}");
        }
        place.up(next("good,good2")).succeeded();
    }
}

#[test]
fn transactional_when_killed_at_any_point() {
    let place = Place::with_records(100);
    let (before, old) = (place.bytes(), place.content());
    let mut committed = false;
    for point in POINTS {
        fs::write(&place.database, &before).unwrap();
        let mut command = next("good,good2");
        command.env("HEARTH_FAULT", format!("app.x=kill,{point}=kill"));
        let ran = place.up(command);
        assert_eq!(ran.signal, Some(9), "{point} was not reached: {ran:?}");
        committed |= *point == "migrate.committed";
        if !committed {
            assert!(place.bytes() == before, "killed at {point}, the file changed");
        }
        assert_old_or_new(&place, &old, committed);
    }
    assert!(committed);
}

#[test]
fn transactional_when_the_disk_is_full_at_any_point() {
    let place = Place::with_records(100);
    let (before, old) = (place.bytes(), place.content());
    let mut committed = false;
    for point in POINTS {
        fs::write(&place.database, &before).unwrap();
        let mut command = next("good,good2");
        command.env("HEARTH_FAULT", format!("{point}=enospc"));
        place.up(command).failed("no-space");
        committed |= *point == "migrate.committed";
        assert!(place.is_tidy() && (committed || place.bytes() == before), "{point}");
        assert_old_or_new(&place, &old, committed);
    }
}

#[test]
fn transactional_when_killed_at_random_moments() {
    // A handful; TEST_KILLS=200 for the long version.
    let kills = std::env::var("TEST_KILLS").ok().and_then(|number| number.parse().ok()).unwrap_or(6);
    let place = Place::with_records(300);
    let (before, old) = (place.bytes(), place.content());
    let applied = |place: &Place| query(&place.open(), "SELECT name FROM migration_ledger ORDER BY id");
    let before_it = applied(&place);
    for _ in 0..kills {
        fs::write(&place.database, &before).unwrap();
        let mut command = next("good,slow,good2");
        command.env("TEST_SLOW_MILLISECONDS", "150").args(["up", "--json", "--database"]).arg(&place.database);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("m9010_slow")));
        let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
        let delay = Duration::from_micros(u64::from(clock / 7 % 300_000));
        // Not a wait for something to have happened: the moment of the kill is what is tried out.
        std::thread::sleep(delay);
        child.kill().unwrap();
        let signal = Ran::from(child.wait_with_output().unwrap()).signal;
        let new = applied(&place) != before_it;
        eprintln!("killed after {delay:?}: signal {signal:?}, {}", if new { "new" } else { "old" });
        let check = query(&place.open(), "PRAGMA integrity_check");
        assert_eq!(check, [[Sql::Text("ok".to_owned())]]);
        if new {
            assert_eq!(place.up(next("good,slow,good2")).succeeded().applied(), [""; 0]);
        } else {
            assert_eq!(place.content(), old);
        }
    }
}

/// The database is the old one, or, if it was `committed`, the new one; and doing it again ends
/// in the new one, with nothing beside it.
#[track_caller]
fn assert_old_or_new(place: &Place, old: &Content, committed: bool) {
    if committed {
        assert_eq!(place.up(next("good,good2")).succeeded().applied(), [""; 0]);
    } else {
        assert_eq!(&place.content(), old);
        let applied = place.up(next("good,good2")).succeeded().applied();
        assert_eq!(applied, ["m9001_good", "m9002_good2"]);
    }
    assert!(place.is_tidy());
}

#[test]
fn a_fault_can_kill_the_parent_too() {
    let place = Place::with_records(1);
    let mut shell = Command::new("sh");
    let script = "\"$0\" up --json --database \"$1\" > /dev/null 2>&1 & echo $!; wait";
    shell.args(["-c", script]).arg(next("good").get_program()).arg(&place.database);
    shell.env("TEST_MIGRATIONS", "good").env("HEARTH_FAULT", "migrate.begun=kill-parent");
    let ran = common::ran(&mut shell);
    assert_eq!(ran.signal, Some(9));
    let left = Command::new("kill").args(["-9", ran.stdout.trim()]).status().unwrap();
    assert!(left.success(), "the migrator should have been sleeping still");
}
