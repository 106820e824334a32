//! What `supervisor rehearse` and `supervisor exec` do.

use serde_json::Value;

use crate::{
    harness::household,
    image::{Fault, Household},
    upgrade::wait_failed,
};

#[test]
fn a_rehearsal_by_hand_tells_what_would_come_and_changes_nothing() {
    let mut household = Household::new();
    let records = household.settle();
    let mut running = household.hearth.start();
    let address = running.wait_serving();
    // A new image, beside the running one.
    let mut other = household.hearth.beside();
    other.next_migrator("good", "9.1.0");
    let done: Value = serde_json::from_str(&other.done(&["rehearse", "--json"])).unwrap();
    assert!(done["bytes"].as_u64().unwrap() > 0 && done["milliseconds"].as_u64().unwrap() > 0, "{done}");
    assert_eq!(done["compared"], true, "{done}");
    other.next_migrator("fails", "9.1.0");
    let refused = other.refused(&["rehearse"]);
    assert!(refused.contains("half of the work is done"), "{refused}");
    assert_eq!(household::all(address), records);
    assert_eq!(household.hearth.live().as_deref(), Some("0001"));
    assert!(!household.hearth.data.join("rehearsal").exists());
    assert_eq!(household.tries().len(), 0);
    let nothing = household.hearth.done(&["rehearse"]);
    assert!(nothing.contains("nothing to upgrade"), "{nothing}");
}

#[test]
fn exec_runs_the_app_that_serves() {
    let mut household = Household::new();
    household.settle();
    household.pull(Fault::NoProgram).next_migrator("fails", "9.1.0");
    let mut running = household.hearth.start();
    running.wait_serving();
    wait_failed(&household, &running);
    // The image's own could not be started at all.
    let listed = household.hearth.done(&["exec", "app", "user", "list"]);
    assert!(listed.contains(crate::harness::http::EMAIL), "{listed}");
    let refused = household.hearth.refused(&["exec", "sh"]);
    assert!(refused.contains("runs the program app"), "{refused}");
}
