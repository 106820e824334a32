//! What an upgrade does while the last good version serves.

use std::{collections::BTreeMap, fs, net::SocketAddr};

use serde_json::Value;

use crate::{
    harness::{Running, get, household, request},
    image::{Fault, Household},
};

/// Waits until the upgrade has failed; returns the status.
pub(crate) fn wait_failed(household: &Household, running: &Running) -> Value {
    running.wait("the upgrade to fail", || {
        household.hearth.status().filter(|status| !status["fallback"]["failure"].is_null())
    })
}

/// Waits until the image's own app serves.
pub(crate) fn wait_upgraded(household: &Household, running: &Running) -> Value {
    running.wait("the new version to serve", || {
        household
            .hearth
            .status()
            .filter(|status| status["fallback"].is_null() && status["phase"] == "serving" && status["live"] != 1)
    })
}

/// A household whose upgrade has failed, what serves it, and its records.
pub(crate) fn in_fallback() -> (Household, Running, BTreeMap<i64, Value>) {
    let mut household = Household::new();
    let records = household.settle();
    household.pull(Fault::None).next_migrator("fails", "9.1.0");
    let mut running = household.hearth.start();
    running.wait_serving();
    wait_failed(&household, &running);
    (household, running, records)
}

/// Reads everything, and writes one record.
pub(crate) fn use_it(address: SocketAddr, records: &BTreeMap<i64, Value>) -> Value {
    let now = household::all(address);
    for (id, record) in records {
        assert_eq!(now.get(id), Some(record));
    }
    household::add(address, &household::record(1000 + now.len()))
}

#[test]
fn the_last_good_version_serves_until_the_new_one_is_rehearsed_and_its_writes_come_along() {
    let mut household = Household::new();
    let records = household.settle();
    household.pull(Fault::Migrator("migrator.migration=good,migrator.migration=slow:2"));
    let mut running = household.hearth.start();
    let address = running.wait_serving();
    let log = running.log();
    assert!(!log.contains("Applying"), "it serves before anything is migrated: {log}");
    let status = household.hearth.status().unwrap();
    assert!(status["fallback"]["failure"].is_null() && !status["fallback"].is_null(), "{status}");
    let meanwhile = use_it(address, &records);
    wait_upgraded(&household, &running);
    let address = running.wait_serving();
    let now = household::all(address);
    assert_eq!(now.len(), records.len() + 1);
    assert!(now.contains_key(&meanwhile["id"].as_i64().unwrap()), "what was written meanwhile is there: {meanwhile}");
    let log = running.log();
    assert!(log.contains("agree in") && log.contains("figures of what people see"), "{log}");
    assert!(!household.hearth.data.join("rehearsal").exists());
    assert_eq!(household.hearth.live().as_deref(), Some("0002"));
    running.wait("the new app to be kept on trial", || (!household.programs()["trial"].is_null()).then_some(()));
    assert!(running.stop().success());
    household.hearth.assert_tidy();
    // The same image again: it served last.
    let mut running = household.hearth.start();
    running.wait_serving();
    assert!(household.hearth.status().unwrap()["fallback"].is_null());
    assert_eq!(household.hearth.live().as_deref(), Some("0002"));
}

#[test]
fn a_new_build_without_migrations_takes_all_four_steps_too() {
    let mut household = Household::new();
    let records = household.settle();
    household.pull(Fault::None);
    let mut running = household.hearth.start();
    running.wait_serving();
    wait_upgraded(&household, &running);
    let address = running.wait_serving();
    use_it(address, &records);
    assert_eq!(household.hearth.live().as_deref(), Some("0002"));
}

/// Has an upgrade fail; the data is as it was, the old version reads and writes, people are told, and the next start does not try again.
fn fails(fault: Fault, migrations: &str, words: &str, is_tried: bool) {
    let mut household = Household::new();
    let records = household.settle();
    let hearth = household.pull(fault);
    if !migrations.is_empty() {
        hearth.next_migrator(migrations, "9.1.0");
    }
    let mut running = household.hearth.start();
    running.wait_serving();
    let status = wait_failed(&household, &running);
    let said = status["fallback"]["failure"]["message"].as_str().unwrap();
    assert!(said.contains(words), "{said}");
    assert_eq!(status["health"], "degraded", "autohealers restart what is not");
    let address = running.wait_serving();
    let written = use_it(address, &records);
    assert_eq!(household.hearth.live().as_deref(), Some("0001"));
    household.hearth.assert_tidy();
    running.wait("/health to say so", || {
        let health = get(address, "/health");
        assert_eq!(health.status, 200, "{}", health.body);
        (health.json()["status"] == "degraded").then_some(())
    });
    let page = crate::harness::page(address, "/");
    assert!(page.body.contains("failed") && page.body.contains("is serving"), "{}", page.body);
    assert_eq!(household.tries().len(), 1);
    assert_eq!(household.tries()[0]["passes"], !is_tried);
    assert!(running.stop().success());
    let mut running = household.hearth.start();
    let address = running.wait_serving();
    let now = household::all(address);
    assert!(now.contains_key(&written["id"].as_i64().unwrap()));
    let status = household.hearth.status().unwrap();
    assert!(!status["fallback"].is_null());
    if is_tried {
        assert_eq!(status["fallback"]["failure"]["message"], said, "it is remembered");
        assert_eq!(household.tries().len(), 1);
    } else {
        running.wait("another try", || (household.tries().len() == 2).then_some(()));
    }
    // Another image is tried, and comes through.
    household.hearth.own_migrator();
    household.pull(Fault::None);
    assert!(running.stop().success());
    let mut running = household.hearth.start();
    running.wait_serving();
    wait_upgraded(&household, &running);
    use_it(running.wait_serving(), &records);
    assert_eq!(household.tries().len(), 0, "what failed before is forgotten");
}

#[test]
fn a_migration_that_fails_stops_nobody() {
    fails(Fault::None, "fails", "half of the work is done", true);
}

#[test]
fn a_migration_that_loses_a_row_stops_nobody() {
    fails(Fault::None, "loses-row", "rows where there were", true);
}

#[test]
fn an_app_that_is_not_healthy_on_the_new_data_stops_nobody() {
    fails(Fault::None, "unhealthy", "not healthy", true);
}

#[test]
fn what_people_would_no_longer_see_is_named_and_stops_nobody() {
    for (fault, words) in [("app.hides", "records"), ("app.loses", "attachments"), ("app.finds-nothing", "finds")] {
        fails(Fault::App(fault), "", words, true);
    }
    fails(Fault::App("app.proof=panic"), "", "what people see", true);
}

#[test]
fn an_app_that_does_not_start_or_hangs_stops_nobody() {
    for (fault, words) in [("app.started=ill", "SIGILL"), ("app.started=panic", "before it was ready")] {
        fails(Fault::App(fault), "good", words, true);
    }
}

#[test]
fn an_app_that_is_killed_in_the_rehearsal_is_tried_again() {
    fails(Fault::None, "crash", "SIGKILL", false);
}

#[test]
fn an_app_that_is_no_program_stops_nobody() {
    fails(Fault::NoProgram, "", "no program", true);
}

#[test]
fn a_full_disk_in_the_rehearsal_is_tried_again() {
    fails(Fault::Migrator("migrator.migration=good,migrate.applied=enospc"), "", "space", false);
}

#[test]
fn a_migrator_that_cannot_be_started_stops_nobody() {
    let mut household = Household::new();
    let records = household.settle();
    household.pull(Fault::None);
    let migrator = household.hearth.programs().join("migrator");
    fs::remove_file(&migrator).unwrap();
    fs::write(&migrator, "this is no program").unwrap();
    let mut running = household.hearth.start();
    running.wait_serving();
    wait_failed(&household, &running);
    use_it(running.wait_serving(), &records);
}

#[test]
fn a_migration_that_takes_its_time_is_not_felt() {
    let mut household = Household::new();
    let records = household.settle();
    household.pull(Fault::Migrator("migrator.migration=slow:3"));
    let mut running = household.hearth.start();
    let address = running.wait_serving();
    // Each is answered at once while the rehearsal goes on.
    let mut written = 0;
    let is_rehearsed = |status: Value| {
        status["fallback"].is_object() && status["fallback"]["failure"].is_null() && status["phase"] == "serving"
    };
    while household.hearth.status().is_some_and(is_rehearsed) {
        match request(address, "POST", "/api/v1/records", "application/json", Some(&household::record(2000 + written)))
        {
            Ok(answer) if answer.status == 201 => written += 1,
            // The switch itself.
            _ => break,
        }
    }
    assert!(written > 3, "only {written} were written beside the rehearsal");
    wait_upgraded(&household, &running);
    assert_eq!(household::all(running.wait_serving()).len(), records.len() + written);
}

#[test]
fn an_app_below_the_floor_of_the_new_data_never_serves_it() {
    let mut household = Household::new();
    household.settle();
    household.pull(Fault::None).next_migrator("good", "9.1.0").unset("TEST_FLOOR").unset("TEST_ANY_FLOOR");
    let mut running = household.hearth.start();
    running.wait_serving();
    // The rehearsal finds that this image's own app may not serve what its migrator makes.
    let status = wait_failed(&household, &running);
    let said = status["fallback"]["failure"]["message"].as_str().unwrap();
    assert!(said.contains("9.1.0"), "{said}");
    assert_eq!(household.hearth.live().as_deref(), Some("0001"));
}

#[test]
fn without_a_kept_program_it_goes_as_before() {
    let mut household = Household::new();
    household.settle();
    fs::remove_file(household.good()).unwrap();
    household.pull(Fault::None).next_migrator("fails", "9.1.0");
    let mut running = household.hearth.start();
    let (_, status) = running.wait_held(&household.hearth);
    assert!(status["notes"].to_string().contains("cannot serve"), "{status}");
    assert_eq!(household.hearth.live().as_deref(), Some("0001"));
}
