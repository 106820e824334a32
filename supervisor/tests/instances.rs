//! Several instances in one place, copies of one, volumes that are not mounted, and clocks that were wrong: whose backups are whose,
//! and none is removed by anybody else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use harness::{Hearth, Running, wait_for};
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

/// What this test calls the backups that it makes. Not their labels: what has one is kept until a person removes it.
#[derive(Default)]
struct Names(RefCell<BTreeMap<String, String>>);

impl Names {
    /// Makes one, and calls it this.
    fn backup(&self, hearth: &Hearth, name: &str) -> Value {
        let made = hearth.backup(&[]);
        self.0.borrow_mut().insert(key(&made["backup"]), name.to_owned());
        made
    }

    /// The names of the backups below a directory.
    fn below(&self, directory: &Path) -> BTreeSet<String> {
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(directory).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                names.extend(self.below(&path));
            } else if path.extension().is_some_and(|end| end == "json") {
                let document: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
                if document["id"].is_string() {
                    names.insert(self.0.borrow().get(&key(&document)).cloned().unwrap_or_else(|| key(&document)));
                }
            }
        }
        names
    }
}

fn key(description: &Value) -> String {
    format!("{} of {}", description["id"], description["instance"])
}

fn name(hearth: &Hearth) -> String {
    fs::read_to_string(hearth.data.join("supervisor/instance")).unwrap()
}

fn expect(labels: &BTreeSet<String>, expected: &[&str]) {
    assert_eq!(labels.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn a_copy_of_a_data_directory_leaves_the_originals_backups_alone_whoever_is_first() {
    let names = Names::default();
    for copy_first in [false, true] {
        let nas = tempfile::tempdir().unwrap();
        let original = house(Some(nas.path()));
        names.backup(&original, "house 1");
        let copy = original.copy();
        if !copy_first {
            names.backup(&original, "house 2");
        }
        for label in ["copy 1", "copy 2", "copy 3"] {
            names.backup(&copy, label);
        }
        if copy_first {
            names.backup(&original, "house 2");
        }
        expect(&names.below(nas.path()), &["copy 2", "copy 3", "house 1", "house 2"]);
        names.backup(&original, "house 3");
        expect(&names.below(nas.path()), &["copy 2", "copy 3", "house 2", "house 3"]);
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
    let names = Names::default();
    let nas = tempfile::tempdir().unwrap();
    let original = house(Some(nas.path()));
    // 0.4.0 wrote down nothing of where it was.
    fs::remove_file(original.data.join("supervisor/instance.json")).unwrap();
    let copy = original.copy();
    names.backup(&original, "house 1");
    names.backup(&original, "house 2");
    let said = copy.refused(&["backup"]);
    assert!(said.contains("another instance goes by the same name there"), "{said}");
    expect(&names.below(nas.path()), &["house 1", "house 2"]);
    names.backup(&copy, "copy 2");
    names.backup(&original, "house 3");
    expect(&names.below(nas.path()), &["copy 2", "house 2", "house 3"]);
}

#[test]
fn a_directory_that_was_renamed_keeps_its_history() {
    let names = Names::default();
    let nas = tempfile::tempdir().unwrap();
    let mut hearth = house(Some(nas.path()));
    names.backup(&hearth, "1");
    let before = name(&hearth);
    let renamed = hearth.root.path().join("renamed");
    fs::rename(&hearth.data, &renamed).unwrap();
    hearth.data = renamed;
    names.backup(&hearth, "2");
    names.backup(&hearth, "3");
    assert_eq!(name(&hearth), before);
    expect(&names.below(nas.path()), &["2", "3"]);
}

#[test]
fn nobody_removes_what_another_has_begun_in_a_shared_directory() {
    let names = Names::default();
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
    names.backup(&second, "second");
    let mut running = second.start();
    running.wait_serving();
    running.stop();
    assert!(begun.exists(), "the first one still makes it");
    hung.kill().unwrap();
    hung.wait().unwrap();
    first.unset("HEARTH_FAULT");
    first.set("HEARTH_BACKUP__SCHEDULE", "0 3 1 1 *");
    let mut running = first.start();
    let status = running
        .wait("when the next one comes", || first.status().filter(|status| status["backups"]["next_at"].is_string()));
    assert_eq!(status["backups"]["last"], Value::Null, "the second one's is none of its own");
    running.stop();
    names.backup(&first, "first");
    assert_eq!(hidden(), Vec::<PathBuf>::new(), "and removes itself what it has left");
    expect(&names.below(shared.path()), &["first", "second"]);
}

/// Makes a copy look as one of the whole disk does: the file with the name has the same number and time of birth.
fn clone_identity(original: &Path, copy: &Path) {
    let file = copy.join("supervisor/instance");
    fs::remove_file(&file).unwrap();
    fs::hard_link(original.join("supervisor/instance"), file).unwrap();
}

/// Waits until the status says this of the backups.
fn wait_told(running: &Running, hearth: &Hearth, words: &str) {
    running.wait(words, || {
        let status = hearth.status()?;
        let mut trouble = status["backups"]["trouble"].as_array()?.iter();
        trouble.find(|one| one.as_str().is_some_and(|one| one.contains(words))).cloned()
    });
}

#[test]
fn a_snapshot_of_the_disk_that_shares_a_directory_of_backups_and_the_original_leave_each_others_alone() {
    let names = Names::default();
    for clone_first in [false, true] {
        let shared = tempfile::tempdir().unwrap();
        let mut original = house(None);
        original.set("HEARTH_BACKUP__DIR", shared.path().to_str().unwrap());
        names.backup(&original, "house 1");
        let clone = original.copy();
        clone_identity(&original.data, &clone.data);
        let [mut one, mut two] = [&original, &clone].map(Hearth::start);
        one.wait_serving();
        two.wait_serving();
        if clone_first {
            names.backup(&clone, "clone 1");
        }
        for label in ["house 2", "house 3"] {
            names.backup(&original, label);
        }
        for label in ["clone 2", "clone 3"] {
            names.backup(&clone, label);
        }
        names.backup(&original, "house 4");
        expect(&names.below(shared.path()), &["clone 2", "clone 3", "house 3", "house 4"]);
        assert_ne!(name(&original), name(&clone));
        // The second to come is told.
        let (told, running) = if clone_first { (&original, &one) } else { (&clone, &two) };
        wait_told(running, told, "the name of this instance: another one wrote its backups to");
        running.wait_for_log("the name of this instance: another one wrote");
        one.stop();
        two.stop();
    }
}

#[test]
fn a_clone_of_the_whole_machine_and_the_original_leave_each_others_backups_alone() {
    let names = Names::default();
    let shared = tempfile::tempdir().unwrap();
    let mut hearth = house(None);
    hearth.set("HEARTH_BACKUP__DIR", shared.path().to_str().unwrap());
    names.backup(&hearth, "house 1");
    // Each is at the same path on its own machine, so here they take turns at it.
    let away = hearth.root.path().join("away");
    assert!(Command::new("cp").arg("-a").args([&hearth.data, &away]).status().unwrap().success());
    clone_identity(&hearth.data, &away);
    let take_turns = || {
        let between = hearth.root.path().join("between");
        for (from, to) in [(&hearth.data, &between), (&away, &hearth.data), (&between, &away)] {
            fs::rename(from, to).unwrap();
        }
    };
    let backups = |labels: &[&str]| {
        let mut running = hearth.start();
        running.wait_serving();
        labels.iter().for_each(|label| drop(names.backup(&hearth, label)));
        running
    };
    let stay = |labels: &[&str]| labels.iter().map(|&label| label.to_owned()).collect::<BTreeSet<_>>();
    let first = name(&hearth);
    backups(&["house 2"]).stop();
    take_turns();
    let mut running = backups(&["clone 1", "clone 2", "clone 3"]);
    let all = stay(&["house 1", "house 2", "clone 1", "clone 2", "clone 3"]);
    assert_eq!(names.below(shared.path()), all, "it may be one that was set back to an earlier day, or a clone");
    wait_told(&running, &hearth, "nothing is removed there until");
    assert_eq!(name(&hearth), first);
    running.stop();
    take_turns();
    let mut running = backups(&["house 3", "house 4", "house 5"]);
    let all = &all | &stay(&["house 4", "house 5"]);
    assert_eq!(
        names.below(shared.path()),
        all,
        "there are two: it has another name, and prunes what it made under that"
    );
    wait_told(&running, &hearth, "the name of this instance: another one wrote its backups to");
    running.stop();
    let other = name(&hearth);
    take_turns();
    backups(&["clone 4", "clone 5", "clone 6"]).stop();
    let all = &all | &stay(&["clone 5", "clone 6"]);
    assert_eq!(names.below(shared.path()), all, "and so has the other");
    assert_eq!(BTreeSet::from([first.clone(), other, name(&hearth)]).len(), 3);
    // The clone is no more, and its name is wanted back: after a week in which nobody else came, all is as before.
    take_turns();
    fs::write(hearth.data.join("supervisor/instance"), &first).unwrap();
    backups(&["house 6"]).stop();
    assert_eq!(names.below(shared.path()), &all | &stay(&["house 6"]));
    let identity = hearth.data.join("supervisor/instance.json");
    let mut document: Value = serde_json::from_slice(&fs::read(&identity).unwrap()).unwrap();
    document["leases"][shared.path().to_str().unwrap()]["set_back_at"] = "2026-01-01T00:00:00Z".into();
    fs::write(&identity, document.to_string()).unwrap();
    backups(&["house 7"]).stop();
    assert_eq!(name(&hearth), first);
    expect(&names.below(shared.path()), &["clone 5", "clone 6", "house 4", "house 5", "house 6", "house 7"]);
}

#[test]
fn a_directory_of_backups_that_is_not_mounted_is_said_and_nothing_is_put_in_its_place() {
    let names = Names::default();
    let place = tempfile::tempdir().unwrap();
    let mut hearth = house(None);
    let dir = place.path().join("usb");
    fs::create_dir(&dir).unwrap();
    hearth.set("HEARTH_BACKUP__DIR", dir.to_str().unwrap());
    names.backup(&hearth, "on the disk");
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
    names.backup(&hearth, "again");
    expect(&names.below(&dir), &["again", "on the disk"]);
    // A new place, of which the operator says so.
    fs::rename(&dir, &volume).unwrap();
    fs::create_dir(&dir).unwrap();
    fs::write(dir.join("hearth-backups.json"), "").unwrap();
    names.backup(&hearth, "new");
    expect(&names.below(&dir), &["new"]);
    assert!(fs::read_to_string(dir.join("hearth-backups.json")).unwrap().contains("The backups of Hearth lie here"));
}

#[test]
fn a_directory_of_backups_of_0_4_0_is_taken_over_as_it_is() {
    let names = Names::default();
    let place = tempfile::tempdir().unwrap();
    let mut hearth = house(None);
    hearth.set("HEARTH_BACKUP__DIR", place.path().to_str().unwrap());
    names.backup(&hearth, "1");
    fs::remove_file(place.path().join("hearth-backups.json")).unwrap();
    let history = hearth.data.join("supervisor/backups.json");
    let mut written: Value = serde_json::from_slice(&fs::read(&history).unwrap()).unwrap();
    written.as_object_mut().unwrap().remove("directory").unwrap();
    fs::write(&history, written.to_string()).unwrap();
    names.backup(&hearth, "2");
    expect(&names.below(place.path()), &["1", "2"]);
}

#[test]
fn a_backup_made_while_the_clock_was_ahead_is_said_and_forgotten_once_the_clock_is_right() {
    let names = Names::default();
    let hearth = house(None);
    let made = names.backup(&hearth, "ahead");
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
        names.backup(&hearth, label);
    }
    expect(&names.below(&hearth.data.join("backups")), &["2", "3"]);
    running.wait("all to be well", || hearth.status().filter(|status| status["health"] == "healthy"));
}

#[test]
fn an_instance_that_was_moved_with_its_backups_keeps_its_name_and_prunes_on() {
    let names = Names::default();
    let shared = tempfile::tempdir().unwrap();
    let mut hearth = house(None);
    let (before, after) = (shared.path().join("before"), shared.path().join("after"));
    fs::create_dir(&before).unwrap();
    hearth.set("HEARTH_BACKUP__DIR", before.to_str().unwrap());
    let first = name(&hearth);
    for label in ["house 1", "house 2", "house 3"] {
        names.backup(&hearth, label);
    }
    expect(&names.below(&before), &["house 2", "house 3"]);
    // Both were moved to another disk's mount point, say.
    fs::rename(&before, &after).unwrap();
    let moved = hearth.root.path().join("moved");
    fs::rename(&hearth.data, &moved).unwrap();
    hearth.data = moved;
    hearth.set("HEARTH_BACKUP__DIR", after.to_str().unwrap());
    for label in ["house 4", "house 5"] {
        names.backup(&hearth, label);
    }
    assert_eq!(name(&hearth), first);
    expect(&names.below(&after), &["house 4", "house 5"]);
}
