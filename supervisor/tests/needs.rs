//! What the tests promise of themselves: one that cannot run here is ignored, and the runner says why; in CI everything runs; and
//! one that hangs ends with its program.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "harness/watchdog.rs"]
mod watchdog;

use std::{
    env,
    os::unix::process::ExitStatusExt,
    process::Command,
    thread,
    time::{Duration, Instant},
};

#[test]
fn in_ci_nothing_is_missing_that_a_test_needs() {
    let missing = env!("TESTS_MISS");
    assert!(env::var_os("CI").is_none() || missing.is_empty(), "missing: {missing}; .ci/tools installs programs");
}

#[test]
#[ignore = "run by a_test_that_hangs_is_named_and_ends, in a process of its own"]
fn hangs() {
    watchdog::step();
    Command::new("sleep").arg("300").status().unwrap();
}

#[test]
fn a_test_that_hangs_is_named_and_ends() {
    let begun = Instant::now();
    let mut again = Command::new(env::current_exe().unwrap());
    again.args(["--exact", "hangs", "--ignored"]).env("HEARTH_TEST_STEP", "1");
    let output = again.output().unwrap();
    assert_eq!(output.status.signal(), Some(9), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("hangs hangs: it has not gone on for 1 s"), "{said}");
    // The pipes are closed only when what it started has ended, too.
    assert!(begun.elapsed() < Duration::from_secs(60));
}

#[test]
fn a_test_that_goes_on_may_take_longer() {
    // In this process the limit is the ordinary one: the thread of the test before this one is no hanging test.
    thread::spawn(watchdog::step).join().unwrap();
    watchdog::step();
}
