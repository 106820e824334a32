//! The programs that a supervisor starts are those that were there at its own start, and all of one version.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{fs, path::Path, process::Command};

use harness::{Hearth, household, program};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

/// Puts another program in the place of one, as an upgrade by hand does.
fn replace(programs: &Path, name: &str) {
    let new = programs.join("new");
    fs::copy("/bin/false", &new).unwrap();
    fs::rename(&new, programs.join(name)).unwrap();
}

#[test]
fn a_program_that_is_replaced_while_the_supervisor_runs_changes_nothing() {
    let mut hearth = Hearth::new();
    hearth.for_every_user();
    let programs = hearth.root.path().join("bin");
    let mut running = hearth.start();
    household::add(running.wait_serving(), &household::record(1));
    for name in ["supervisor", "supervisor-job", "migrator", "app"] {
        replace(&programs, name);
    }
    // Another app process, of the old program, on the same database.
    let pid = hearth.status().unwrap()["app"]["pid"].as_i64().unwrap();
    kill(Pid::from_raw(i32::try_from(pid).unwrap()), Signal::SIGKILL).unwrap();
    running.wait("another app", || {
        let status = hearth.status()?;
        (status["phase"] == "serving" && status["app"]["pid"].as_i64() != Some(pid)).then_some(())
    });
    assert_eq!(household::all(running.wait_serving()).len(), 1, "{}", running.log());
    // A backup is the job's work, and the drill of it the migrator's.
    let made = hearth.backup(&["--drill"]);
    assert!(!made["backup"]["drilled_at"].is_null(), "{made}");
    // The next start takes what lies there.
    running.stop();
    let mut next = hearth.start();
    assert_eq!(next.wait_end().code(), Some(1), "{}", next.log());
}

#[test]
fn a_job_of_another_version_is_refused_with_both_named() {
    let output = Command::new(program("supervisor-job")).args(["recover", "9.9.9"]).output().unwrap();
    let answer = String::from_utf8(output.stdout).unwrap();
    let own = env!("CARGO_PKG_VERSION");
    let sentence = format!("the program supervisor-job is v{own}, and the supervisor that starts it is v9.9.9");
    assert!(answer.contains(&sentence), "{answer}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn the_job_started_by_hand_says_what_it_is() {
    for arguments in [&["--help"][..], &[], &["recover"]] {
        let output = Command::new(program("supervisor-job")).args(arguments).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("error: supervisor-job is what the supervisor starts for its work on data"), "{said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    }
    let hearth = Hearth::new();
    assert!(hearth.refused(&["job", "--help"]).contains("unrecognized subcommand 'job'"));
}

#[test]
fn a_schedule_that_never_comes_and_a_recipient_that_is_none_end_a_start_as_any_other_mistake_does() {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_BACKUP__SCHEDULE", "0 3 31 2 *");
    hearth.set("HEARTH_BACKUP__RECIPIENTS", r#"["age1tag1nobody"]"#);
    let mut running = hearth.start();
    assert_eq!(running.wait_end().code(), Some(2), "{}", running.log());
    let log = running.log();
    assert!(log.contains("2 mistakes in the settings:"), "{log}");
    assert!(
        log.contains("backup.schedule (from HEARTH_BACKUP__SCHEDULE) cannot be used: \"0 3 31 2 *\" never comes"),
        "{log}"
    );
    assert!(log.contains("backup.recipients (from HEARTH_BACKUP__RECIPIENTS) cannot be used: "), "{log}");
    assert!(log.contains("allowed: a cron expression of five fields"), "{log}");
    assert!(!hearth.data.exists(), "nothing was made");
    // It is text until somebody starts.
    assert!(hearth.done(&["config"]).contains("0 3 31 2 *"));
}
