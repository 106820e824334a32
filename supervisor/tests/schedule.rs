//! Backups that are made by themselves, and the alarm when they are not. A schedule knows no less than a minute, so these
//! tests take some.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs,
    time::{Duration, Instant, SystemTime},
};

use harness::{Hearth, Running, get};
use serde_json::{Value, json};

/// How long something may take that begins a minute after a start, or with the next minute.
const MINUTES: Duration = Duration::from_secs(240);

/// A data directory in which backups are made since three days ago, and none was made yet.
fn neglected(hearth: &Hearth) {
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    let since = SystemTime::now() - Duration::from_secs(3 * 24 * 60 * 60);
    let since = humantime::format_rfc3339_seconds(since).to_string();
    let history =
        json!({"format": 1, "sequence": 0, "since": since, "attempted_at": null, "drilled_at": null, "trouble": {}});
    fs::write(hearth.data.join("supervisor/backups.json"), history.to_string()).unwrap();
}

fn wait_long<T>(running: &Running, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + MINUTES;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < until, "waited {MINUTES:?} for {what}; the log:\n{}", running.log());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn missed_backups_are_made_up_for_by_one_that_is_drilled_pruned_and_copied() {
    let mut hearth = Hearth::new();
    let far = hearth.root.path().join("nas");
    fs::create_dir(&far).unwrap();
    neglected(&hearth);
    hearth.set("HEARTH_BACKUP__SCHEDULE", "0 3 * * *").set("HEARTH_BACKUP__DRILL", "0 * * * *");
    hearth.set("HEARTH_BACKUP__JITTER", "0s").set("HEARTH_BACKUP__DESTINATIONS", format!("[{far:?}]"));
    let mut running = hearth.start();
    running.wait_serving();
    assert!(hearth.backups_here().is_empty(), "the app has its first minute to itself");
    wait_long(&running, "a backup", || running.log().contains("copied 1 backup to ").then_some(()));
    running.wait_for_log("backup (scheduled): ");
    let listed = hearth.backups_here();
    let made: Vec<&Value> = listed.iter().map(|listed| &listed["backup"]).collect();
    assert_eq!(made.len(), 1, "{listed:?}");
    assert_eq!(made[0]["reason"], "scheduled");
    assert!(made[0]["drilled_at"].is_string());
    let status = running
        .wait("what comes next", || hearth.status().filter(|status| status["backups"]["last"]["id"] == made[0]["id"]));
    running.wait("all to be well", || hearth.status().filter(|status| status["health"] == "healthy"));
    let next = status["backups"]["next_at"].as_str().unwrap();
    assert!(next > status["backups"]["last"]["created_at"].as_str().unwrap(), "{status}");
    assert!(hearth.done(&["status"]).contains("backup"), "{}", hearth.done(&["status"]));
    assert_eq!(running.log().matches("made and verified /").count(), 1, "several missed ones are one");
}

#[test]
fn backups_that_fail_and_are_overdue_degrade_status_and_health_are_told_once_and_recover() {
    let mut hearth = Hearth::new();
    neglected(&hearth);
    let trigger = hearth.root.path().join("full");
    fs::write(&trigger, "").unwrap();
    hearth.set("HEARTH_FAULT", format!("armed-by={},backup.begun=enospc", trigger.display()));
    hearth.set("HEARTH_BACKUP__SCHEDULE", "* * * * *").set("HEARTH_BACKUP__JITTER", "0s");
    let mut running = hearth.start();
    let address = running.wait_serving();
    // It has not had its chance yet.
    running.wait("all to be well", || hearth.status().filter(|status| status["health"] == "healthy"));

    let failing = wait_long(&running, "a failure", || hearth.status().filter(|status| status["health"] == "degraded"));
    assert!(failing["backups"]["trouble"][0].as_str().unwrap().contains("cannot make a backup"), "{failing}");
    let overdue = wait_long(&running, "the alarm", || {
        hearth.status().filter(|status| status["backups"]["overdue_since"].is_string())
    });
    assert_eq!(overdue["phase"], "serving");
    let told = running.wait("the app to tell everybody", || {
        let told = get(address, "/health");
        (told.json()["checks"]["backups"]["detail"].as_str()?.contains("overdue")).then_some(told)
    });
    assert_eq!(told.status, 200, "never 503");
    assert_eq!(told.json()["status"], "degraded");
    assert_eq!(hearth.run(&["healthcheck"]).status.code(), Some(0), "a restart would not help");
    let shown = hearth.done(&["status"]);
    assert!(shown.contains("a backup is overdue since"), "{shown}");
    let log = running.log();
    assert_eq!(log.matches("a backup is overdue since").count(), 1, "{log}");

    fs::remove_file(&trigger).unwrap();
    wait_long(&running, "another try", || hearth.status().filter(|status| status["health"] == "healthy"));
    running.wait_for_log("backups are well again");
    running.wait("the app to tell everybody", || (get(address, "/health").json()["status"] == "ok").then_some(()));
    assert!(!hearth.backups().is_empty());
}

#[test]
fn a_disk_without_room_is_told_with_the_sum_before_anything_is_written() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    // A file with a hole is as long as a database that does not fit, and takes no room itself.
    let database = hearth.database();
    let file = fs::File::options().write(true).open(&database).unwrap();
    file.set_len(1 << 43).unwrap();
    hearth.set("HEARTH_BACKUP__SCHEDULE", "off");
    let said = hearth.refused(&["backup"]);
    assert!(said.contains("it needs 8.0 TiB of free space in "), "{said}");
    assert!(said.contains("8.0 TiB for a copy of the database, 64.0 MiB to spare"), "{said}");
    assert!(hearth.backups().is_empty());
    assert!(!hearth.data.join("supervisor/scratch").exists());
}
