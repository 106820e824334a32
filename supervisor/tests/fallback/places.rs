//! Where a kept program can be started, and where not: a volume without execution, a system that starts nothing from memory, another user,
//! another machine.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::{PermissionsExt, chown},
    process::Command,
};

use nix::sys::signal::Signal;
use serde_json::Value;

use crate::{
    harness::{Running, get},
    image::{Fault, Household},
    upgrade::{use_it, wait_failed},
};

/// Starts supervisors in namespaces of their own in which this script, whose `"$1"` is the data directory, was run before.
fn within(household: &mut Household, namespaces: &[&str], script: &str) {
    let data = household.hearth.data.display().to_string();
    let script = format!("{script} && shift && exec \"$@\"");
    household.hearth.through(&[&["unshare"], namespaces, &["sh", "-c", &script, "sh", &data]].concat());
}

fn without_programs_from_memory(household: &mut Household) {
    within(household, &["-pf", "--mount-proc", "--kill-child"], "echo 2 >/proc/sys/vm/memfd_noexec");
}

/// Ends a supervisor in a PID namespace, whose parent passes no signal on.
fn kill(mut running: Running) {
    running.signal(Signal::SIGKILL);
    running.wait_end();
    running.wait("everything to end", || (!running.anyone_left()).then_some(()));
}

fn give(household: &Household, uid: u32) {
    let owner = format!("{uid}:{uid}");
    assert!(Command::new("chown").args(["-R", &owner]).arg(&household.hearth.data).status().unwrap().success());
}

/// The next image cannot be served, and the last good version is, with all that was written.
fn serves_the_kept_one(household: &Household, running: &mut Running, records: &BTreeMap<i64, Value>) {
    running.wait_serving();
    wait_failed(household, running);
    use_it(running.wait_serving(), records);
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_volume_that_executes_nothing_is_no_obstacle() {
    let mut household = Household::new();
    fs::create_dir(&household.hearth.data).unwrap();
    within(
        &mut household,
        &["-m"],
        r#"mount --bind "$1" "$1" && mount -o remount,bind,noexec "$1" && { ! cp /bin/true "$1/t" || ! "$1/t" 2>/dev/null; } && rm "$1/t""#,
    );
    let records = household.settle();
    household.pull(Fault::None).next_migrator("fails", "9.1.0");
    let mut running = household.hearth.start();
    serves_the_kept_one(&household, &mut running, &records);
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn a_system_that_starts_nothing_from_memory_is_told_when_an_app_would_be_kept() {
    let mut household = Household::new();
    without_programs_from_memory(&mut household);
    household.pull(Fault::None);
    let mut running = household.hearth.start();
    running.wait_serving();
    let status = running.wait("the note", || {
        household.hearth.status().filter(|status| status["notes"].to_string().contains("vm.memfd_noexec"))
    });
    assert!(status["notes"].to_string().contains("sysctl vm.memfd_noexec=1"), "{status}");
    assert_eq!(status["phase"], "serving");
    kill(running);
    // The next upgrade goes without, as it always did.
    household.pull(Fault::None).next_migrator("good", "9.1.0");
    let mut running = household.hearth.start();
    running.wait_serving();
    assert_eq!(household.hearth.status().unwrap()["live"], 2, "{}", running.log());
    kill(running);
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn moved_to_such_a_system_a_failed_upgrade_is_held_and_says_why() {
    let mut household = Household::new();
    let records = household.settle();
    without_programs_from_memory(&mut household);
    household.pull(Fault::None).next_migrator("fails", "9.1.0");
    let mut running = household.hearth.start();
    let (_, status) = running.wait_held(&household.hearth);
    let notes = status["notes"].to_string();
    assert!(notes.contains("cannot serve") && notes.contains("sysctl vm.memfd_noexec=1"), "{status}");
    running.wait("it to be remembered", || household.hearth.data.join("supervisor/held.json").exists().then_some(()));
    kill(running);
    // As soon as the system allows it, it serves.
    household.hearth.through(&[]);
    let mut running = household.hearth.start();
    serves_the_kept_one(&household, &mut running, &records);
}

#[test]
#[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
fn of_another_user_it_is_held_and_after_the_chown_it_serves() {
    const UID: u32 = 1234;
    let mut household = Household::new();
    fs::set_permissions(household.hearth.root.path(), PermissionsExt::from_mode(0o755)).unwrap();
    // As engines make a volume, so that everybody may at least look.
    fs::create_dir(&household.hearth.data).unwrap();
    fs::set_permissions(&household.hearth.data, PermissionsExt::from_mode(0o755)).unwrap();
    let records = household.settle();
    household.pull(Fault::None).next_migrator("fails", "9.1.0");
    // The migrator of the next release is where only its user can reach it.
    let migrator = household.hearth.root.path().join("next_migrator");
    fs::copy(crate::harness::program("examples/next_migrator"), &migrator).unwrap();
    household.hearth.set("HEARTH_MIGRATOR__COMMAND", format!("[{:?}]", migrator.display().to_string()));
    household.hearth.set("TEST_RECHECK", "100ms");
    household.hearth.through(&["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups", "--bounding-set=-all"]);
    let mut running = household.hearth.start();
    running.wait_for_log(&format!("chown -R {UID}:{UID} {}", household.hearth.data.display()));
    give(&household, UID);
    // By itself, as documented.
    serves_the_kept_one(&household, &mut running, &records);
    assert!(running.stop().success());
    // The one file that was left behind, as after a copy by root.
    chown(household.good(), Some(0), Some(0)).unwrap();
    let mut running = household.hearth.start();
    let (_, status) = running.wait_held(&household.hearth);
    let data = household.hearth.data.display();
    assert!(status["notes"].to_string().contains(&format!("chown -R {UID}:{UID} {data}")), "{status}");
    let ways = status["held"]["ways_out"].to_string();
    assert!(ways.contains("exactly as it was before this upgrade"), "{status}");
    assert!(running.stop().success());
    give(&household, UID);
    let mut running = household.hearth.start();
    serves_the_kept_one(&household, &mut running, &records);
}

#[test]
fn a_volume_that_was_copied_brings_its_kept_app_along() {
    let mut household = Household::new();
    let records = household.settle();
    // By file contents alone, as rsync and tar carry them.
    let there = household.hearth.root.path().join("another-machine");
    let copied = Command::new("cp").args(["-R", "--no-preserve=all"]).arg(&household.hearth.data).arg(&there).status();
    assert!(copied.unwrap().success());
    fs::remove_dir_all(&household.hearth.data).unwrap();
    household.hearth.data = there;
    household.pull(Fault::None).next_migrator("fails", "9.1.0");
    let mut running = household.hearth.start();
    serves_the_kept_one(&household, &mut running, &records);
    assert_eq!(get(running.wait_serving(), "/health").status, 200);
}

#[test]
fn an_app_that_would_not_answer_to_the_name_that_people_use_is_not_relied_on() {
    let mut household = Household::new();
    // To this one, the setting has another name than the supervisor of the next image gives it.
    household.hearth.set("HEARTH_HTTP__HOSTS", "nas.example.org, hearth.example.org");
    let records = household.settle_with(Fault::App("app.other-hosts=yes"));
    household.pull(Fault::None).next_migrator("fails", "9.1.0");
    let mut running = household.hearth.start();
    let (_, status) = running.wait_held(&household.hearth);
    let notes = status["notes"].to_string();
    assert!(notes.contains("cannot serve") && notes.contains("nas.example.org"), "{status}");
    assert!(notes.contains("hearth.example.org"), "each is named: {status}");
    assert!(running.stop().success());
    // Nobody uses a name any more.
    household.hearth.unset("HEARTH_HTTP__HOSTS");
    let mut running = household.hearth.start();
    serves_the_kept_one(&household, &mut running, &records);
}
