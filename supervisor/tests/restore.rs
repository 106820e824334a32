//! Restores from backups: live, stopped, on another machine, from other versions, and two at once.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{fs, path::PathBuf, thread};

use harness::{Answer, Hearth, get, household, wait_for};
use serde_json::{Value, json};

fn archive(made: &Value) -> PathBuf {
    PathBuf::from(made["archive"].as_str().unwrap())
}

#[test]
fn a_live_restore_brings_back_records_and_attachments_and_can_be_taken_back() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 30);
    let (lost, damaged) = (hearth.attach(b"lost"), hearth.attach(b"damaged"));
    let before = household::all(address);
    hearth.backup(&[]);
    fs::remove_file(hearth.data.join(&lost)).unwrap();
    fs::write(hearth.data.join(&damaged), b"damAged").unwrap();
    let added = household::add(address, &json!({"title": "written after the backup"}));

    let asked = hearth.run(&["restore", "latest"]);
    let said = String::from_utf8_lossy(&asked.stderr).into_owned();
    assert_eq!(asked.status.code(), Some(2), "{said}");
    assert!(said.contains("record: 30 rows then, 31 now") && said.contains("add --yes"), "{said}");
    // What only Hearth itself knows is not counted for people.
    assert!(said.contains("user: ") && !said.contains("session: ") && !said.contains("verification: "), "{said}");

    hearth.done(&["restore", "latest", "--yes"]);
    let address = running.wait_serving();
    wait_for("the restored records", || (household::all(address) == before).then_some(()));
    assert_eq!(fs::read(hearth.data.join(&lost)).unwrap(), b"lost");
    assert_eq!(fs::read(hearth.data.join(&damaged)).unwrap(), b"damaged");
    assert_eq!(hearth.live().unwrap(), "0002");
    let described: Value =
        serde_json::from_slice(&fs::read(hearth.data.join("live/generation.json")).unwrap()).unwrap();
    assert!(described["backup"].as_str().unwrap().ends_with("-manual"), "{described}");

    hearth.done(&["restore", "1", "--yes"]);
    let address = running.wait_serving();
    wait_for("what was written after the backup", || {
        household::all(address).contains_key(&added["id"].as_i64().unwrap()).then_some(())
    });
    hearth.assert_tidy();
}

#[test]
fn a_copy_of_the_records_made_before_a_restore_begins_again() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    let mut address = running.wait_serving();
    let changes = |address, after: &str| get(address, &format!("/api/v1/records/changes?limit=200{after}"));
    let seen = |answer: &Answer| -> (Vec<i64>, String) {
        assert_eq!(answer.status, 200, "{}", answer.body);
        let page = answer.json();
        let ids = page["items"].as_array().unwrap().iter().map(|item| item["id"].as_i64().unwrap()).collect();
        (ids, format!("&after={}", page["cursor"].as_str().unwrap()))
    };
    let assert_gone = |address, after: &str| {
        let refused = changes(address, after);
        assert_eq!((refused.status, &refused.json()["code"]), (410, &json!("gone")), "{}", refused.body);
    };
    household::fill(address, 5);
    let (five, at_backup) = seen(&changes(address, ""));
    assert_eq!(five.len(), 5);
    hearth.backup(&[]);
    household::add(address, &json!({"title": "written after the backup"}));
    let (added, later) = seen(&changes(address, &at_backup));
    assert_eq!(added.len(), 1);
    // A backup is no restore, and neither is a start.
    running.stop();
    running = hearth.start();
    address = running.wait_serving();
    assert_eq!(seen(&changes(address, &at_backup)).0, added);
    assert!(seen(&changes(address, &later)).0.is_empty());

    hearth.done(&["restore", "latest", "--yes"]);
    address = running.wait_serving();
    wait_for("the restored records", || (household::all(address).len() == 5).then_some(()));
    // Numbers are given again: the next record would have that of the one that is lost.
    household::add(address, &json!({"title": "written after the restore"}));
    for after in [&at_backup, &later] {
        assert_gone(address, after);
    }
    let (all, restored) = seen(&changes(address, ""));
    assert_eq!((all.len(), seen(&changes(address, &restored)).0.len()), (6, 0));

    // Back to the snapshot that the restore left: neither has its cursors any more.
    hearth.done(&["restore", "1", "--yes"]);
    address = running.wait_serving();
    wait_for("the snapshot", || (changes(address, &restored).status == 410).then_some(()));
    for after in [&at_backup, &later, &restored] {
        assert_gone(address, after);
    }
    assert_eq!(seen(&changes(address, "")).0.len(), 6);
    running.stop();
}

#[test]
fn a_first_start_on_another_machine_can_begin_with_a_backup() {
    let first = Hearth::new();
    let mut running = first.start();
    household::fill(running.wait_serving(), 10);
    let attachment = first.attach(b"a scan");
    let made = first.backup(&[]);
    running.stop();

    let second = Hearth::new();
    let path = second.root.path().join("from-a-stick.tar.zst");
    fs::copy(archive(&made), &path).unwrap();
    assert!(!second.data.exists());
    let said = second.done(&["restore", path.to_str().unwrap(), "--yes"]);
    assert!(said.contains("generation 0001 is live"), "{said}");
    let mut running = second.start();
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), 10);
    assert_eq!(fs::read(second.data.join(attachment)).unwrap(), b"a scan");
}

#[test]
fn a_directory_of_backups_without_data_is_no_first_start() {
    let mut hearth = Hearth::new();
    let place = hearth.root.path().join("nas");
    hearth.set("HEARTH_BACKUP__DIR", place.to_str().unwrap());
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 4);
    hearth.backup(&[]);
    running.stop();
    fs::remove_dir_all(&hearth.data).unwrap();
    let mut running = hearth.start();
    let (_, status) = running.wait_held(&hearth);
    assert!(status["held"]["failure"]["message"].as_str().unwrap().contains("there are backups"), "{status}");
    hearth.done(&["restore", "latest", "--yes"]);
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), 4);
}

#[test]
fn a_backup_of_an_older_version_is_migrated_and_one_of_a_newer_version_is_refused() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 8);
    let old = hearth.backup(&[]);
    running.stop();
    hearth.next_migrator("good", "9.9.0");
    let mut running = hearth.start();
    running.wait_serving();
    let new = hearth.backup(&[]);
    hearth.done(&["restore", archive(&old).to_str().unwrap(), "--yes"]);
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), 8);
    running.stop();

    let mut older = Hearth::new();
    let mut running = older.start();
    let address = running.wait_serving();
    household::fill(address, 2);
    let said = older.refused(&["restore", archive(&new).to_str().unwrap(), "--yes"]);
    assert!(said.contains("9.9.0"), "it names the version to install: {said}");
    assert_eq!(household::all(address).len(), 2);
    assert_eq!(older.live().unwrap(), "0001");
    older.assert_tidy();
    older.unset("nothing");
}

#[test]
fn a_restore_that_fails_leaves_the_app_serving() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 6);
    let made = hearth.backup(&[]);
    let mut bytes = fs::read(archive(&made)).unwrap();
    let at = bytes.len() * 2 / 3;
    bytes[at] ^= 4;
    let bad = hearth.root.path().join("bad.tar.zst");
    fs::write(&bad, &bytes).unwrap();
    let said = hearth.refused(&["restore", bad.to_str().unwrap(), "--yes"]);
    assert!(said.contains("bad.tar.zst"), "{said}");
    assert_eq!(get(address, "/health").status, 200);
    assert_eq!(household::all(address).len(), 6);
    assert_eq!(hearth.generations(), ["0001"]);
    for (wrong, words) in [
        ("/nowhere/at.tar.zst", "cannot read the backup /nowhere/at.tar.zst"),
        ("2020-01-01T00-00-00Z-manual", "there is no backup 2020-01-01T00-00-00Z-manual"),
        ("yesterday", "yesterday is not the id of a backup"),
        ("/etc/passwd", "/etc/passwd"),
        ("/dev/zero", "/dev/zero"),
    ] {
        let said = hearth.refused(&["restore", wrong, "--yes"]);
        assert!(said.contains(words) && said.contains("error:"), "{wrong}: {said}");
    }
    hearth.set("HEARTH_LISTEN", "127.0.0.1:0");
}

#[test]
fn one_operation_at_a_time_and_the_second_names_the_first() {
    let mut hearth = Hearth::new();
    let trigger = hearth.root.path().join("now");
    hearth.set("HEARTH_FAULT", format!("armed-by={},backup.copied=hang", trigger.display()));
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 3);
    hearth.backup(&[]);
    fs::write(&trigger, "").unwrap();
    let mut hung = hearth.command(&["backup"]).spawn().unwrap();
    wait_for("the backup to begin", || (hearth.status()?["operation"]["phase"] == "backing-up").then_some(()));
    for second in
        [vec!["backup"], vec!["restore", "latest", "--yes"], vec!["backup", "prune"], vec!["backup", "verify"]]
    {
        let said = hearth.refused(&second);
        assert!(said.contains("backup (manual) is under way since"), "{second:?}: {said}");
    }
    assert_eq!(get(address, "/health").status, 200);
    running.stop();
    let _ = hung.kill();
    let _ = hung.wait();
}

#[test]
fn four_restores_in_a_row_lose_nothing() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 5);
    hearth.backup(&[]);
    let written = household::add(running.wait_serving(), &json!({"title": "the only one with the writes"}));
    for _ in 0..4 {
        hearth.done(&["restore", "latest", "--yes"]);
    }
    // The one that was written to is still there, however many came after it.
    hearth.done(&["restore", "1", "--yes"]);
    let address = running.wait_serving();
    wait_for("the writes", || household::all(address).contains_key(&written["id"].as_i64().unwrap()).then_some(()));
}

#[test]
fn two_restores_at_once_are_one_restore_and_one_refusal() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 5);
    hearth.backup(&[]);
    let both: Vec<_> = thread::scope(|scope| {
        let hands: Vec<_> = (0..2).map(|_| scope.spawn(|| hearth.run(&["restore", "latest", "--yes"]))).collect();
        hands.into_iter().map(|hand| hand.join().unwrap()).collect()
    });
    let done = both.iter().filter(|output| output.status.success()).count();
    assert!(done >= 1, "{both:?}");
    for refused in both.iter().filter(|output| !output.status.success()) {
        assert!(String::from_utf8_lossy(&refused.stderr).contains("under way since"), "{refused:?}");
    }
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), 5);
    hearth.assert_tidy();
}
