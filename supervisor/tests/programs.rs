//! The programs that a supervisor starts are those that were there at its own start, and all of one version.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{ffi::OsString, fs, path::Path, process::Command};

use harness::{Hearth, household, program};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

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

/// Puts a stand-in of another version in the place of a program, and starts; returns why the supervisor is held.
fn refused(hearth: &mut Hearth, name: &str, stand_in: &str) -> Value {
    fs::copy(program(stand_in), hearth.root.path().join("bin").join(name)).unwrap();
    hearth.set("TEST_VERSION", "9.9.9").set("HEARTH_SANDBOX__MODE", "off");
    let mut running = hearth.start();
    let (_, status) = running.wait_held(hearth);
    let own = env!("CARGO_PKG_VERSION");
    let sentence = format!("the program {name} is v9.9.9, and the supervisor that starts it is v{own}");
    let held = status["held"].clone();
    assert_eq!(held["failure"]["message"], sentence, "{held}");
    assert!(held["failure"]["hint"].as_str().unwrap().contains("install all of them together"), "{held}");
    assert!(running.log().contains(&sentence), "{}", running.log());
    running.stop();
    held
}

fn generations(hearth: &Hearth) -> Vec<OsString> {
    fs::read_dir(hearth.data.join("generations")).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

#[test]
fn an_installation_of_which_only_a_part_was_replaced_touches_no_data_and_says_which_part() {
    for (name, stand_in) in [("migrator", "examples/next_migrator"), ("app", "examples/strange_app")] {
        let mut hearth = Hearth::new();
        hearth.for_every_user();
        let held = refused(&mut hearth, name, stand_in);
        assert_eq!((generations(&hearth).len(), &held["live"]), (0, &Value::Null), "nothing is there yet: {held}");
        // Whole again, it starts, also after it was held.
        let mend = |hearth: &Hearth| fs::copy(program(name), hearth.root.path().join("bin").join(name)).unwrap();
        mend(&hearth);
        let mut running = hearth.start();
        household::add(running.wait_serving(), &household::record(1));
        running.stop();
        refused(&mut hearth, name, stand_in);
        if name == "app" {
            // An upgrade is not even begun for it.
            hearth.next_migrator("good", "9.9.9");
            assert_eq!(refused(&mut hearth, name, stand_in)["step"], "planning");
            hearth.own_migrator();
        }
        assert_eq!(generations(&hearth), ["0001"]);
        mend(&hearth);
        assert_eq!(household::all(hearth.start().wait_serving()).len(), 1);
    }
}

#[test]
fn the_job_started_by_hand_says_what_it_is() {
    let run = |arguments: &[&str]| Command::new(program("supervisor-job")).args(arguments).output().unwrap();
    let help = run(&["--help"]);
    let said = String::from_utf8(help.stdout).unwrap();
    assert!(said.starts_with("supervisor-job is what the supervisor starts for its work on data"), "{said}");
    assert!(said.ends_with("The commands are those of the supervisor: supervisor --help\n"), "{said}");
    assert_eq!((help.status.code(), help.stderr.len()), (Some(0), 0));
    for arguments in [&[][..], &["recover"]] {
        let output = run(arguments);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(said.starts_with("error: supervisor-job is what the supervisor starts for its work on data"), "{said}");
        assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    }
    let hearth = Hearth::new();
    assert!(hearth.refused(&["job", "--help"]).contains("unrecognized subcommand 'job'"));
}

#[test]
fn a_mistake_that_only_a_job_or_the_app_can_tell_ends_a_start_as_any_other_does() {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_BACKUP__SCHEDULE", "0 3 31 2 *");
    hearth.set("HEARTH_BACKUP__RECIPIENTS", r#"["age1tag1nobody"]"#);
    // And what the app alone can tell of its own.
    let file = hearth.root.path().join("hearth.toml");
    fs::write(&file, "[http]\npublic_url = \"nowhere\"\n").unwrap();
    let password = hearth.root.path().join("password");
    fs::write(&password, "short\n").unwrap();
    hearth.set("HEARTH_CONFIG", file.display().to_string());
    hearth.unset("HEARTH_AUTH__ADMIN_PASSWORD");
    hearth.set("HEARTH_AUTH__ADMIN_PASSWORD_FILE", password.display().to_string());
    hearth.set("HEARTH_AUTH__OIDC_ISSUER", "http://id.example.org");
    let mut running = hearth.start();
    assert_eq!(running.wait_end().code(), Some(2), "{}", running.log());
    let log = running.log();
    assert!(log.contains("6 mistakes in the settings:"), "{log}");
    for wrong in [
        &format!(
            "http.public_url (from {}) cannot be used: it does not begin with https://; allowed: ",
            file.display()
        ),
        "auth.admin_password (from HEARTH_AUTH__ADMIN_PASSWORD_FILE) cannot be used; allowed: 10 to 128 characters",
        "auth.oidc_issuer (from HEARTH_AUTH__OIDC_ISSUER) cannot be used: over plain http:// anybody on the network",
        "auth.oidc_issuer (from HEARTH_AUTH__OIDC_ISSUER) cannot be used: it needs auth.oidc_client_id",
    ] {
        assert!(log.contains(wrong), "{wrong}: {log}");
    }
    assert!(
        log.contains("backup.schedule (from HEARTH_BACKUP__SCHEDULE) cannot be used: \"0 3 31 2 *\" never comes"),
        "{log}"
    );
    assert!(log.contains("backup.recipients (from HEARTH_BACKUP__RECIPIENTS) cannot be used: "), "{log}");
    assert!(log.contains("allowed: a cron expression of five fields"), "{log}");
    assert!(!hearth.data.exists(), "nothing was made");
    // It is text until somebody starts.
    let shown = hearth.done(&["config"]);
    assert!(shown.contains("0 3 31 2 *") && shown.contains("nowhere") && !shown.contains("short"), "{shown}");
}

#[test]
fn in_a_container_a_refused_setting_leads_to_the_file_of_compose_and_elsewhere_it_does_not() {
    let way = "docker compose run --rm -T web supervisor config --env - < .env";
    // One that PID 1 can tell, a misspelt name, one that only a job can tell, and two at once.
    for (settings, name) in [
        (
            &[("HEARTH_BACKUP__KEEP_DAILY", "often")][..],
            "backup.keep_daily = \"often\" (from HEARTH_BACKUP__KEEP_DAILY)",
        ),
        (&[("HEARTH_STOP_GRACE", "7s")], "HEARTH_STOP_GRACE (in the environment)"),
        (&[("HEARTH_BACKUP__SCHEDULE", "0 3 31 2 *")], "backup.schedule (from HEARTH_BACKUP__SCHEDULE)"),
        (&[("HEARTH_LOG__LEVEL", "loud"), ("HEARTH_STOP__GRACE", "7")], "stop.grace = \"7\" (from HEARTH_STOP__GRACE)"),
    ] {
        for container in [true, false] {
            let mut hearth = Hearth::new();
            settings.iter().for_each(|(name, value)| {
                hearth.set(name, *value);
            });
            if container {
                hearth.set("container", "oci");
            }
            let mut running = hearth.start();
            assert_eq!(running.wait_end().code(), Some(2), "{}", running.log());
            let log = running.log();
            assert!(log.contains(name), "{name}: {log}");
            assert_eq!(log.contains(way) && log.contains(".env"), container, "{log}");
        }
    }
    // A mistake in the file is none of the environment's.
    let mut hearth = Hearth::new();
    hearth.set("container", "oci");
    fs::create_dir(&hearth.data).unwrap();
    fs::write(hearth.data.join("config.toml"), "[stop]\ngrace = \"7\"\n").unwrap();
    let mut running = hearth.start();
    assert_eq!(running.wait_end().code(), Some(2), "{}", running.log());
    assert!(!running.log().contains(way), "{}", running.log());
}
