//! Several instances in one place, copies of one, volumes that are not mounted, and clocks that were wrong: whose backups are whose,
//! and none is removed by anybody else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use harness::{Hearth, wait_for};
use serde_json::Value;

fn keep_last(hearth: &mut Hearth, count: &str) {
    for (key, count) in [("LAST", count), ("DAILY", "0"), ("WEEKLY", "0"), ("MONTHLY", "0"), ("YEARLY", "0")] {
        hearth.set(&format!("HEARTH_BACKUP__KEEP_{key}"), count);
    }
}

/// An instance that was started once, and keeps two backups.
fn house(destination: Option<&Path>) -> Hearth {
    let mut hearth = Hearth::new();
    keep_last(&mut hearth, "2");
    if let Some(destination) = destination {
        hearth.set("HEARTH_BACKUP__DESTINATIONS", format!("[{destination:?}]"));
    }
    let mut running = hearth.start();
    running.wait_serving();
    running.wait("its name", || hearth.data.join("supervisor/instance.json").exists().then_some(()));
    running.stop();
    hearth
}

/// The labels of the backups below a directory.
fn labels(directory: &Path) -> BTreeSet<String> {
    let mut labels = BTreeSet::new();
    for entry in fs::read_dir(directory).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            labels.extend(self::labels(&path));
        } else if path.extension().is_some_and(|end| end == "json") {
            let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
            labels.extend(document["label"].as_str().map(str::to_owned));
        }
    }
    labels
}

fn name(hearth: &Hearth) -> String {
    fs::read_to_string(hearth.data.join("supervisor/instance")).unwrap()
}

fn expect(labels: &BTreeSet<String>, expected: &[&str]) {
    assert_eq!(labels.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn a_copy_of_a_data_directory_leaves_the_originals_backups_alone_whoever_is_first() {
    for copy_first in [false, true] {
        let nas = tempfile::tempdir().unwrap();
        let original = house(Some(nas.path()));
        original.backup(&["--label", "house 1"]);
        let copy = original.copy();
        if !copy_first {
            original.backup(&["--label", "house 2"]);
        }
        for label in ["copy 1", "copy 2", "copy 3"] {
            copy.backup(&["--label", label]);
        }
        if copy_first {
            original.backup(&["--label", "house 2"]);
        }
        expect(&labels(nas.path()), &["copy 2", "copy 3", "house 1", "house 2"]);
        original.backup(&["--label", "house 3"]);
        expect(&labels(nas.path()), &["copy 2", "copy 3", "house 2", "house 3"]);
        assert_ne!(name(&original), name(&copy));
        let running = copy.start();
        let told = running.wait("what became of its name", || {
            let status = copy.status()?;
            let trouble = status["backups"]["trouble"].as_array()?;
            trouble
                .iter()
                .find_map(|one| one.as_str().filter(|one| one.contains("name of this instance")).map(str::to_owned))
        });
        assert!(told.contains(name(&original).trim()) && told.contains(name(&copy).trim()), "{told}");
        running.wait_for_log("the name of this instance");
    }
}

#[test]
fn of_two_copies_that_0_4_0_made_the_second_to_come_gives_way() {
    let nas = tempfile::tempdir().unwrap();
    let original = house(Some(nas.path()));
    // 0.4.0 wrote down nothing of where it was.
    fs::remove_file(original.data.join("supervisor/instance.json")).unwrap();
    let copy = original.copy();
    original.backup(&["--label", "house 1"]);
    original.backup(&["--label", "house 2"]);
    let said = copy.refused(&["backup", "--label", "copy 1"]);
    assert!(said.contains("another instance goes by the same name there"), "{said}");
    expect(&labels(nas.path()), &["house 1", "house 2"]);
    copy.backup(&["--label", "copy 2"]);
    original.backup(&["--label", "house 3"]);
    expect(&labels(nas.path()), &["copy 2", "house 2", "house 3"]);
}

#[test]
fn a_directory_that_was_renamed_keeps_its_history() {
    let nas = tempfile::tempdir().unwrap();
    let mut hearth = house(Some(nas.path()));
    hearth.backup(&["--label", "1"]);
    let before = name(&hearth);
    let renamed = hearth.root.path().join("renamed");
    fs::rename(&hearth.data, &renamed).unwrap();
    hearth.data = renamed;
    hearth.backup(&["--label", "2"]);
    hearth.backup(&["--label", "3"]);
    assert_eq!(name(&hearth), before);
    expect(&labels(nas.path()), &["2", "3"]);
}

#[test]
fn nobody_removes_what_another_has_begun_in_a_shared_directory() {
    let shared = tempfile::tempdir().unwrap();
    let mut houses = [house(None), house(None)];
    for hearth in &mut houses {
        hearth.set("HEARTH_BACKUP__DIR", shared.path().to_str().unwrap());
    }
    let [mut first, second] = houses;
    let hidden = || -> Vec<PathBuf> {
        let entries = fs::read_dir(shared.path()).unwrap().flatten().map(|entry| entry.path());
        entries.filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with(".2")).collect()
    };
    first.set("HEARTH_FAULT", "backup.verified=hang");
    let mut hung = first.command(&["backup"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = wait_for("the first one's archive", || hidden().pop());
    wait_for("all of it to be written", || (fs::metadata(&begun).unwrap().len() > 0).then_some(()));
    second.backup(&["--label", "second"]);
    let mut running = second.start();
    running.wait_serving();
    running.stop();
    assert!(begun.exists(), "the first one still makes it");
    hung.kill().unwrap();
    hung.wait().unwrap();
    first.unset("HEARTH_FAULT");
    first.backup(&["--label", "first"]);
    assert_eq!(hidden(), Vec::<PathBuf>::new(), "and removes itself what it has left");
    expect(&labels(shared.path()), &["first", "second"]);
}

#[test]
fn a_directory_of_backups_that_is_not_mounted_is_said_and_nothing_is_put_in_its_place() {
    let place = tempfile::tempdir().unwrap();
    let mut hearth = house(None);
    let dir = place.path().join("usb");
    fs::create_dir(&dir).unwrap();
    hearth.set("HEARTH_BACKUP__DIR", dir.to_str().unwrap());
    hearth.backup(&["--label", "on the disk"]);
    // The volume goes, and the empty mount point is there.
    let volume = place.path().join("volume");
    fs::rename(&dir, &volume).unwrap();
    fs::create_dir(&dir).unwrap();
    for command in [&["backup"][..], &["backup", "list"], &["backup", "prune"]] {
        let said = hearth.refused(command);
        assert!(said.contains("its marker hearth-backups.json is missing"), "{command:?}: {said}");
        assert!(said.contains("is its volume mounted?") && said.contains("touch "), "{command:?}: {said}");
    }
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0, "nothing went onto the system's own disk");
    let mut running = hearth.start();
    running.wait("the alarm", || hearth.status().filter(|status| status["health"] == "degraded"));
    running.stop();
    // It is mounted again.
    fs::remove_dir(&dir).unwrap();
    fs::rename(&volume, &dir).unwrap();
    hearth.backup(&["--label", "again"]);
    expect(&labels(&dir), &["again", "on the disk"]);
    // A new place, of which the operator says so.
    fs::rename(&dir, &volume).unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("hearth-backups.json"), "").unwrap();
    hearth.backup(&["--label", "new"]);
    expect(&labels(&dir), &["new"]);
}

#[test]
fn a_directory_of_backups_of_0_4_0_is_taken_over_as_it_is() {
    let place = tempfile::tempdir().unwrap();
    let mut hearth = house(None);
    hearth.set("HEARTH_BACKUP__DIR", place.path().to_str().unwrap());
    hearth.backup(&["--label", "1"]);
    fs::remove_file(place.path().join("hearth-backups.json")).unwrap();
    let history = hearth.data.join("supervisor/backups.json");
    let mut written: Value = serde_json::from_slice(&fs::read(&history).unwrap()).unwrap();
    written.as_object_mut().unwrap().remove("directory").unwrap();
    fs::write(&history, written.to_string()).unwrap();
    hearth.backup(&["--label", "2"]);
    expect(&labels(place.path()), &["1", "2"]);
}

#[test]
fn a_backup_made_while_the_clock_was_ahead_is_said_and_forgotten_once_the_clock_is_right() {
    let hearth = house(None);
    let made = hearth.backup(&["--label", "ahead"]);
    let description = hearth.data.join("backups").join(format!("{}.json", made["backup"]["id"].as_str().unwrap()));
    let mut described: Value = serde_json::from_slice(&fs::read(&description).unwrap()).unwrap();
    described["created_at"] = "2099-05-01T03:00:00Z".into();
    fs::write(&description, described.to_string()).unwrap();
    let mut running = hearth.start();
    running.wait_serving();
    let told = running.wait("the alarm", || {
        let status = hearth.status().filter(|status| status["health"] == "degraded")?;
        status["backups"]["trouble"][0].as_str().map(str::to_owned)
    });
    assert!(told.starts_with("the clock: it shows ") && told.contains("2099-05-01T03:00:00Z"), "{told}");
    for label in ["1", "2", "3"] {
        hearth.backup(&["--label", label]);
    }
    expect(&labels(&hearth.data.join("backups")), &["2", "3"]);
    running.wait("all to be well", || hearth.status().filter(|status| status["health"] == "healthy"));
}
