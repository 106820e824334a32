//! What happens when the new version fails soon after it took over, and to what is ordered while an earlier one serves.

use std::fs;

use crate::{
    harness::{get, household},
    image::{Fault, Household},
    upgrade::{in_fallback, use_it, wait_failed, wait_upgraded},
};

#[test]
fn a_version_that_falls_over_after_the_commit_gives_way_with_every_write_kept() {
    let mut household = Household::new();
    let records = household.settle();
    // It is well in its probation, and dies whenever it is ready to serve.
    household.pull(Fault::App("app.serving=kill"));
    let mut running = household.hearth.start();
    running.wait_serving();
    wait_failed(&household, &running);
    let address = running.wait_serving();
    use_it(address, &records);
    assert_eq!(household.hearth.live().as_deref(), Some("0003"), "a clone of what was there when it failed");
    assert_eq!(household.tries().len(), 1);
    assert!(running.stop().success());
    let mut running = household.hearth.start();
    use_it(running.wait_serving(), &records);
    assert_eq!(household.hearth.live().as_deref(), Some("0003"), "what served last serves on");
}

#[test]
fn where_the_old_version_may_not_serve_the_new_schema_it_goes_back_to_the_old_data_if_nothing_was_written() {
    let mut household = Household::new();
    let records = household.settle();
    household.pull(Fault::App("app.serving=kill")).next_migrator("good", "9.1.0").unset("TEST_FLOOR");
    let mut running = household.hearth.start();
    running.wait_serving();
    wait_failed(&household, &running);
    use_it(running.wait_serving(), &records);
    assert_eq!(household.hearth.live().as_deref(), Some("0003"), "a clone of 0001");
    assert!(running.log().contains("going back to"), "{}", running.log());
    let columns = rusqlite::Connection::open(household.hearth.database()).unwrap();
    assert!(columns.prepare("SELECT colour FROM record").is_err(), "it is the schema of before");
}

#[test]
fn where_it_may_not_and_something_was_written_it_is_held_with_both_ways() {
    let mut household = Household::new();
    household.settle();
    household.pull(Fault::App("app.wrote=kill")).next_migrator("good", "9.1.0").unset("TEST_FLOOR");
    let mut running = household.hearth.start();
    running.wait_serving();
    wait_upgraded(&household, &running);
    // The new version takes what people write, and falls over that.
    for number in 0..40 {
        let Some(address) = running.address() else { continue };
        let record = household::record(500 + number);
        let _ = crate::harness::request(address, "POST", "/api/v1/records", "application/json", Some(&record));
        if household.hearth.status().is_some_and(|status| status["phase"] == "held") {
            break;
        }
    }
    let (_, status) = running.wait_held(&household.hearth);
    let ways = status["held"]["ways_out"].to_string();
    assert!(ways.contains("supervisor resume") && ways.contains("supervisor restore 0001"), "{ways}");
    assert_eq!(household.hearth.live().as_deref(), Some("0002"), "with what was written");
}

#[test]
fn a_restore_while_an_earlier_version_serves_takes_what_it_can_serve_and_refuses_the_rest() {
    let (household, mut running, records) = in_fallback();
    let address = running.wait_serving();
    household.hearth.backup(&[]);
    household::add(address, &household::record(77));
    household.hearth.done(&["restore", "latest", "--yes"]);
    let address = running.wait_serving();
    assert_eq!(household::all(address).len(), records.len());
    let status = household.hearth.status().unwrap();
    assert!(!status["fallback"]["failure"].is_null(), "the earlier version serves it: {status}");
    // Drills are of the version that serves, too.
    household.hearth.done(&["backup", "verify", "--drill"]);
}

#[test]
fn resume_tries_the_upgrade_again_beside_what_serves() {
    let (household, mut running, records) = in_fallback();
    let refused = household.hearth.refused(&["resume"]);
    assert!(refused.contains("half of the work is done"), "{refused}");
    use_it(running.wait_serving(), &records);
    assert_eq!(household.tries().len(), 2);
    assert_eq!(get(running.wait_serving(), "/health").status, 200);
}

#[test]
fn a_version_is_the_last_good_one_once_it_has_served_for_its_time() {
    let mut household = Household::new();
    household.settle();
    let before = household.good();
    household.pull(Fault::None).set("TEST_TRIAL", "1s");
    let mut running = household.hearth.start();
    running.wait_serving();
    wait_upgraded(&household, &running);
    running.wait("the new version to be the last good one", || (household.good() != before).then_some(()));
    running.wait("the one before to go", || (!before.exists() && household.good().exists()).then_some(()));
    assert!(household.programs()["trial"].is_null());
}

#[test]
fn an_earlier_version_that_falls_over_as_well_is_held_over_restarts() {
    let mut household = Household::new();
    let trigger = household.hearth.root.path().join("trigger");
    household.hearth.set("HEARTH_FAULT", format!("armed-by={},app.serving=kill", trigger.display()));
    household.settle();
    household.pull(Fault::None).next_migrator("fails", "9.1.0");
    let mut running = household.hearth.start();
    running.wait_serving();
    let status = crate::upgrade::wait_failed(&household, &running);
    fs::File::create(&trigger).unwrap();
    let app = i32::try_from(status["app"]["pid"].as_i64().unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(app), nix::sys::signal::Signal::SIGKILL).unwrap();
    for _ in 0..2 {
        let (_, status) = running.wait_held(&household.hearth);
        assert_eq!(status["held"]["failure"]["cause"], "crash-loop", "never a third: {status}");
        assert!(running.stop().success());
        // Nor the same one again, though it would serve now.
        let _ = fs::remove_file(&trigger);
        running = household.hearth.start();
    }
    running.wait_held(&household.hearth);
    household.hearth.done(&["resume"]);
    running.wait_serving();
}
