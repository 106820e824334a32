//! A built migrator becomes a bad one for tests by a line at the end of its file.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

mod common;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::{Place, migrator};

/// A copy of the shipped migrator with these faults at its end.
fn with_faults(directory: &tempfile::TempDir, faults: &str) -> Command {
    let program = directory.path().join("migrator");
    // By another process: a file that this one writes cannot be started while a test beside it is just forking.
    let script = "cat \"$0\" > \"$1\" && printf '\\nHEARTH_FAULT=%s\\n' \"$2\" >> \"$1\" && chmod 755 \"$1\"";
    let mut make = Command::new("sh");
    make.args(["-c", script]).arg(migrator().get_program()).arg(&program).arg(faults);
    assert!(make.status().unwrap().success());
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HEARTH_")) {
        command.env_remove(name);
    }
    command
}

#[test]
fn a_migrator_with_a_bad_migration_at_its_end_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::with_records(20);
    let before = place.bytes();
    for (faults, kind, words) in [
        ("migrator.migration=fails", "migration", "migration m9001_fails failed: half of the work is done"),
        (
            "migrator.migration=good,migrator.migration=loses-row",
            "check",
            "would leave table record with 19 rows where there were 20",
        ),
        ("app.ready=hang,migrator.migration=fills", "no-space", "no space was left while applying m9001_fills"),
        ("migrator.migration=good,migrate.applied=fail", "migration", "a test asked for it"),
        ("migrator.migration=good,migrate.checked=enospc", "no-space", "passing migrate.checked"),
    ] {
        let said = place.up(with_faults(&directory, faults)).failed(kind);
        assert!(said.contains(words), "{said}");
        assert!(place.is_tidy() && place.bytes() == before, "{faults}");
    }
    let ran = place.up(with_faults(&directory, "migrator.migration=good,migrate.applying=kill"));
    assert_eq!(ran.signal, Some(9), "{ran:?}");
    // The variable is stronger, also where it says nothing.
    let mut command = with_faults(&directory, "migrator.migration=fails");
    command.env("HEARTH_FAULT", "migrator.migration=good");
    assert_eq!(place.up(command).succeeded().applied(), ["m9001_good"]);
    let mut command = with_faults(&directory, "migrator.migration=fails");
    command.env("HEARTH_FAULT", "");
    place.status(command).succeeded();
    // A later one has what the earlier one had, and goes on.
    let both = "migrator.migration=good,migrator.migration=good";
    assert_eq!(place.up(with_faults(&directory, both)).succeeded().applied(), ["m9002_good"]);
    assert_eq!(place.up(migrator()).failed("newer").lines().count(), 2);
}

#[test]
fn a_migrator_with_a_slow_migration_at_its_end_tells_how_far_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::with_records(5);
    let since = Instant::now();
    let ran = place.up(with_faults(&directory, "migrator.migration=slow:3")).succeeded();
    assert!(since.elapsed() >= Duration::from_secs(3));
    let documents = ran.documents();
    let done: Vec<u64> =
        documents.iter().filter(|one| one["event"] == "progress").map(|one| one["done"].as_u64().unwrap()).collect();
    assert!(done.len() > 2 && done.is_sorted() && done.last() == Some(&30), "{done:?}");
}

#[test]
fn a_migrator_with_a_hanging_migration_at_its_end_shows_no_sign_of_life() {
    let directory = tempfile::tempdir().unwrap();
    let place = Place::with_records(5);
    let mut command = with_faults(&directory, "migrator.migration=hangs");
    command.args(["up", "--json", "--database"]).arg(&place.database).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (sender, printed) = channel();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| sender.send(line)));
    while !printed.recv().unwrap().contains("\"applying\"") {}
    // What it still did when it began may be told late.
    let since = Instant::now();
    while printed.recv_timeout(Duration::from_secs(5)) != Err(RecvTimeoutError::Timeout) {
        assert!(since.elapsed() < Duration::from_secs(60), "it shows signs of life");
    }
    child.kill().unwrap();
    child.wait().unwrap();
}
