//! What a hijacked app may have planted where a backup looks: it is backed up without what it points to, without waiting
//! for anything, and without running anything.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs::{self, File},
    os::unix::{fs::symlink, net::UnixListener},
    path::Path,
};

use harness::Hearth;
use nix::{sys::stat::Mode, unistd::mkfifo};
use rusqlite::Connection;
use serde_json::Value;

/// A name as attachments have them, for something that is none.
fn name(letter: char) -> String {
    format!("{letter}{letter}/{}", String::from(letter).repeat(64))
}

fn contents(archive: &Value) -> String {
    let archive = archive["archive"].as_str().unwrap();
    let opened = supervisor::work::backup::archive::read::open(File::open(archive).unwrap(), archive).unwrap();
    opened.manifest().members.iter().map(|member| format!("{}\n", member.path)).collect()
}

#[test]
fn what_is_planted_among_the_attachments_is_left_out_and_said() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    let good = hearth.attach(b"a good one");
    let files = hearth.data.join("files");
    for letter in ['a', 'b', 'c', 'd', 'e'] {
        fs::create_dir_all(files.join(name(letter)).parent().unwrap()).unwrap();
    }
    let token = hearth.data.join("supervisor/token");
    symlink("/etc/passwd", files.join(name('a'))).unwrap();
    symlink(&token, files.join(name('b'))).unwrap();
    mkfifo(&files.join(name('c')), Mode::from_bits_truncate(0o600)).unwrap();
    let _socket = UnixListener::bind(files.join(format!("dd/{}", "d".repeat(60))));
    File::create(files.join(name('e'))).unwrap().set_len(1 << 40).unwrap();
    symlink("/etc", files.join("ff")).unwrap();
    fs::write(files.join("\u{1b}[31mred"), "no attachment").unwrap();
    let pretender = hearth.attach(b"what its name says");
    fs::write(hearth.data.join(&pretender), "something else").unwrap();

    let made = hearth.backup(&[]);
    let left_out: Vec<&str> = made["backup"]["left_out"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    let said = left_out.join("\n");
    for planted in ["aaaa", "bbbb", "cccc", "eeee", "ff", "red", pretender.rsplit('/').next().unwrap()] {
        assert!(said.contains(planted), "{planted} is not in:\n{said}");
    }
    assert!(!said.contains('\u{1b}'), "{said:?}");
    assert_eq!(made["backup"]["files"], 1);
    let contents = contents(&made);
    assert_eq!(contents, format!("app.db\n{good}\n"));
    running.wait_for_log("aaaa");
    hearth.done(&["backup", "verify"]);
}

/// Makes a house at rest, and lets something be done to its live generation.
fn with_planted(plant: impl Fn(&Path)) -> Hearth {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    plant(&hearth.data.join("generations/0001"));
    hearth
}

#[test]
fn a_database_that_is_a_link_or_a_fifo_is_not_followed_and_not_waited_for() {
    let elsewhere = tempfile::tempdir().unwrap();
    let secret = elsewhere.path().join("secret.db");
    Connection::open(&secret)
        .unwrap()
        .execute_batch("CREATE TABLE secret (x); INSERT INTO secret VALUES ('hush')")
        .unwrap();
    for planted in ["a link", "a fifo", "a directory"] {
        let hearth = with_planted(|live| {
            fs::rename(live.join("app.db"), live.join("moved.db")).unwrap();
            match planted {
                "a link" => symlink(&secret, live.join("app.db")).unwrap(),
                "a fifo" => mkfifo(&live.join("app.db"), Mode::from_bits_truncate(0o600)).unwrap(),
                _ => fs::create_dir(live.join("app.db")).unwrap(),
            }
        });
        let said = hearth.refused(&["backup"]);
        assert!(said.contains("app.db"), "{planted}: {said}");
        assert!(hearth.backups().is_empty(), "{planted}");
        assert!(!hearth.data.join("supervisor/scratch").exists(), "{planted}");
    }
}

#[test]
fn a_log_of_the_database_that_is_a_link_is_not_followed() {
    let elsewhere = tempfile::tempdir().unwrap();
    let target = elsewhere.path().join("operators");
    fs::write(&target, "the operator's own").unwrap();
    for name in ["app.db-wal", "app.db-shm", "app.db-journal"] {
        let hearth = with_planted(|live| {
            let _ = fs::remove_file(live.join(name));
            symlink(&target, live.join(name)).unwrap();
        });
        // Refused, or made without it: whichever, the file is not written to, and nothing waits.
        let _ = hearth.run(&["backup"]);
        assert_eq!(fs::read_to_string(&target).unwrap(), "the operator's own", "{name}");
    }
}

#[test]
fn hostile_views_and_triggers_are_backed_up_and_not_run() {
    let hearth = with_planted(|live| {
        let database = Connection::open(live.join("app.db")).unwrap();
        database
            .execute_batch(
                "CREATE TABLE planted (x);
                 CREATE VIEW forever AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) AS x FROM n;
                 CREATE VIEW loads AS SELECT load_extension('/tmp/evil.so') AS x;
                 CREATE TRIGGER raises BEFORE INSERT ON planted BEGIN SELECT RAISE(ABORT, 'planted'); END;
                 CREATE INDEX costly ON planted (abs(x));
                 CREATE TABLE \"x\"\"; DROP TABLE record; --\" (x);
                 INSERT INTO \"x\"\"; DROP TABLE record; --\" VALUES (1);",
            )
            .unwrap();
    });
    let made = hearth.backup(&[]);
    let rows = made["backup"]["rows"].as_object().unwrap();
    assert!(
        rows.contains_key("record")
            && rows.contains_key("planted")
            && rows["x\"; DROP TABLE record; --"] == 1
            && !rows.contains_key("forever"),
        "{rows:?}"
    );
    hearth.done(&["backup", "verify"]);
}

#[test]
fn a_live_link_that_leads_elsewhere_is_refused() {
    let elsewhere = tempfile::tempdir().unwrap();
    Connection::open(elsewhere.path().join("app.db")).unwrap().execute_batch("CREATE TABLE secret (x)").unwrap();
    let hearth = with_planted(|_| {});
    fs::remove_file(hearth.data.join("live")).unwrap();
    symlink(elsewhere.path(), hearth.data.join("live")).unwrap();
    let said = hearth.refused(&["backup"]);
    assert!(said.contains("live"), "{said}");
    assert!(hearth.backups().is_empty());
}
