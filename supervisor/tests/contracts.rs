//! The documents between the processes are what docs/contracts says.
//!
//! Compared are names and types, not values: a document that gains or loses a field is another contract.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use harness::Hearth;
use serde_json::Value;

fn golden(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contracts").join(name);
    serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap()
}

fn read(path: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// Asserts that a real document has the golden one's names and types; what may be null fits anything.
fn assert_fits(golden: &Value, real: &Value, place: &str) {
    match (golden, real) {
        (Value::Null, _) | (_, Value::Null) => {}
        (Value::Object(golden), Value::Object(real)) => {
            let names = |object: &serde_json::Map<String, Value>| object.keys().cloned().collect::<BTreeSet<_>>();
            assert_eq!(names(golden), names(real), "{place}");
            for (name, value) in golden {
                assert_fits(value, &real[name], &format!("{place}.{name}"));
            }
        }
        (Value::Array(golden), Value::Array(real)) => {
            for value in real {
                assert_fits(golden.first().unwrap_or(&Value::Null), value, &format!("{place}[]"));
            }
        }
        (golden, real) => {
            assert_eq!(std::mem::discriminant(golden), std::mem::discriminant(real), "{place}: {golden} and {real}");
        }
    }
}

#[test]
fn status_and_the_documents_on_disk_are_the_golden_ones() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    hearth.next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    running.wait_serving();
    assert!(hearth.run(&["restore", "1", "--yes"]).status.success(), "{}", running.log());
    assert_fits(&golden("control-status.json"), &hearth.status().unwrap(), "status");
    assert_fits(&golden("state.json"), &read(&hearth.data.join("supervisor/state.json")), "state");
    let generation = hearth.data.join("generations/0003/generation.json");
    assert_fits(&golden("generation.json"), &read(&generation), "generation");
    running.stop();

    hearth.next_migrator("good,fails", "9.2.0");
    let mut running = hearth.start();
    let (_, status) = running.wait_held(&hearth);
    assert_fits(&golden("control-status.json"), &status, "status while held");
    running.wait("held.json", || hearth.data.join("supervisor/held.json").exists().then_some(()));
    assert_fits(&golden("held.json"), &read(&hearth.data.join("supervisor/held.json")), "held");
}

#[test]
fn the_documents_of_a_backup_are_the_golden_ones() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    running.wait_serving();
    hearth.attach(b"a scan");
    fs::write(hearth.data.join("files/holiday.jpg"), "no attachment").unwrap();
    let made = hearth.backup(&["--label", "before the move", "--drill"]);
    let archive = Path::new(made["archive"].as_str().unwrap());
    let id = made["backup"]["id"].as_str().unwrap();
    let description = hearth.data.join("backups").join(format!("{id}.json"));
    assert_fits(&golden("backup.json"), &read(&description), "backup");
    assert_fits(&golden("backup.json"), &made["backup"], "what is printed");
    assert_fits(&golden("backups.json"), &read(&hearth.data.join("supervisor/backups.json")), "backups");
    assert_fits(&golden("instance.json"), &read(&hearth.data.join("supervisor/instance.json")), "instance");
    let input = fs::File::open(archive).unwrap();
    let opened = supervisor::work::backup::archive::read::open(input, id).unwrap();
    assert_fits(&golden("manifest.json"), &serde_json::to_value(opened.manifest()).unwrap(), "manifest");
    let golden: supervisor::work::backup::manifest::Manifest = serde_json::from_value(golden("manifest.json")).unwrap();
    assert_eq!(golden.members.len(), 2);
}

/// The variables of each run of `strange_app`, with their values.
fn runs(hearth: &Hearth) -> Vec<BTreeMap<String, String>> {
    let log = hearth.app_log();
    let pair =
        |line: &str| line.strip_prefix("value ")?.split_once('=').map(|(name, value)| (name.into(), value.into()));
    log.split("started\n").skip(1).map(|run| run.lines().filter_map(pair).collect()).collect()
}

#[test]
fn the_apps_environment_is_the_golden_one() {
    let mut hearth = Hearth::new();
    hearth.strange("");
    let mut running = hearth.start();
    running.wait_serving();
    hearth.backup(&[]);
    hearth.done(&["restore", "latest", "--yes"]);
    running.wait_serving();
    let golden = golden("app-environment.json");
    let names = |mode: &str| -> BTreeSet<&String> { golden[mode].as_object().unwrap().keys().collect() };
    let runs = runs(&hearth);
    assert_eq!(runs.len(), 4, "in probation and to serve, twice");
    for (run, mode) in runs.iter().zip(["probation", "serving", "restored", "serving"]) {
        assert_eq!(run.keys().collect::<BTreeSet<_>>(), names(mode), "{mode}");
    }
    assert_eq!(runs[2]["HEARTH_RESTORED"], "1");
}

#[test]
fn the_settings_of_accounts_reach_the_app_as_the_golden_ones_and_nobody_else() {
    let golden = golden("app-environment.json");
    for mode in ["serving_with_accounts", "serving_with_localapi"] {
        let mut hearth = Hearth::new();
        hearth.strange("");
        let expected = golden[mode].as_object().unwrap();
        let of_accounts = |name: &str| name.starts_with("HEARTH_AUTH__") || name.starts_with("HEARTH_HTTP__");
        let password = hearth.root.path().join("password");
        fs::write(&password, "correct horse battery staple\n").unwrap();
        for (name, value) in expected.iter().filter(|(name, _)| of_accounts(name)) {
            if name == "HEARTH_AUTH__ADMIN_PASSWORD" {
                hearth.set("HEARTH_AUTH__ADMIN_PASSWORD_FILE", password.display().to_string());
            } else {
                let free = value.as_str().unwrap().replace("127.0.0.2:3001", "127.0.0.2:0");
                hearth.set(name, free);
            }
        }
        let mut running = hearth.start();
        running.wait_serving();
        let served = runs(&hearth).pop().unwrap();
        assert_eq!(served.keys().collect::<BTreeSet<_>>(), expected.keys().collect(), "{mode}");
        for (name, value) in expected
            .iter()
            .filter(|(name, _)| of_accounts(name) || name.starts_with("LISTEN_FD") || *name == "HEARTH_SOURCES")
        {
            assert_eq!(served[name].replace("127.0.0.2:0", "127.0.0.2:3001"), value.as_str().unwrap(), "{name}");
        }
        let shown = hearth.done(&["config"]);
        assert!(!shown.contains("horse") && !shown.contains("a-secret"), "{shown}");
        running.stop();
    }
}

#[test]
fn a_document_of_another_format_is_held_and_not_touched() {
    for name in ["state.json", "held.json"] {
        let hearth = Hearth::new();
        let mut running = hearth.start();
        running.wait_serving();
        running.stop();
        let path = hearth.data.join("supervisor").join(name);
        let text = r#"{"format":2,"something":"a later version's"}"#;
        fs::write(&path, text).unwrap();
        let mut running = hearth.start();
        let (_, status) = running.wait_held(&hearth);
        assert_eq!(status["held"]["failure"]["cause"], "unknown-format", "{name}: {status}");
        assert!(status["held"]["failure"]["message"].as_str().unwrap().contains(name), "{status}");
        running.stop();
        assert_eq!(hearth.generations(), ["0001"], "{name}");
        assert_eq!(fs::read_to_string(&path).unwrap(), text, "{name} is as it was");
    }
}

/// Returns the words that these values are on disk.
fn words<T: serde::Serialize>(values: &[T]) -> Vec<String> {
    let word = |value: &T| serde_json::to_value(value).unwrap().as_str().unwrap().to_owned();
    values.iter().map(word).collect()
}

#[test]
fn the_words_on_the_disk_stay_what_earlier_versions_read() {
    use supervisor::{
        data::state::{DataState, Held, Reason, Step},
        failure::Cause,
    };
    let causes = [
        Cause::Configuration,
        Cause::NoSpace,
        Cause::Permission,
        Cause::FileSystem,
        Cause::Busy,
        Cause::Launch,
        Cause::Newer,
        Cause::Foreign,
        Cause::NotADatabase,
        Cause::Damaged,
        Cause::Drift,
        Cause::Live,
        Cause::Migration,
        Cause::Unproven,
        Cause::CrashLoop,
        Cause::UnknownFormat,
        Cause::Interrupted,
        Cause::Io,
    ];
    // 0.4.0 knows these and no others: one more, and it cannot read held.json.
    let known = "configuration no-space permission file-system busy launch newer foreign not-a-database damaged drift live \
                 migration unproven crash-loop unknown-format interrupted io";
    assert_eq!(words(&causes).join(" "), known);
    assert_eq!(words(&[Reason::FirstStart, Reason::Upgrade, Reason::Restore]).join(" "), "first-start upgrade restore");
    let steps = [
        Step::Starting,
        Step::Recovering,
        Step::Planning,
        Step::Staging,
        Step::Migrating,
        Step::Proving,
        Step::Committing,
        Step::Serving,
    ];
    assert_eq!(words(&steps).join(" "), "starting recovering planning staging migrating proving committing serving");
    let data = [DataState::Unchanged, DataState::Written, DataState::Unknown];
    assert_eq!(words(&data).join(" "), "unchanged written unknown");
    // What 0.4.0 has written is understood.
    let held = r#"{"format":1,"failure":{"cause":"migration","message":"m"},"doing":"upgrading","since":"2026-11-24T22:30:00Z","version":"0.4.0","image":"0.4.0+9dd02ef88d4a6100","live":6,"ways_out":[]}"#;
    let held: Held = serde_json::from_str(held).unwrap();
    assert_eq!((held.step, held.settings, held.data), (None, None, None));
}
