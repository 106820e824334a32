//! A backup is restored by hand, by the very commands of docs/BACKUPS.md, and Hearth starts from it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use harness::{Hearth, household};

/// Returns the block of commands with this name.
fn block(name: &str) -> String {
    let document = include_str!("../../docs/BACKUPS.md");
    let start = document.find(&format!("```sh {name}\n")).unwrap_or_else(|| panic!("no block {name}"));
    let text = &document[start..];
    let (_, text) = text.split_once('\n').unwrap();
    text.split_once("```").unwrap().0.to_owned()
}

fn sh(script: &str, directory: &Path, variables: &[(&str, &Path)]) -> Output {
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", script])
        .current_dir(directory)
        .envs(variables.iter().copied())
        .output()
        .expect("bash")
}

/// Backs a household up and restores it by hand; `compare` says whether the optional comparison is made, too.
fn restored_by_hand(encrypted: bool, compare: bool) {
    let place = tempfile::tempdir().unwrap();
    let key = place.path().join("key.txt");
    let mut hearth = Hearth::new();
    let mut script = String::new();
    if encrypted {
        let made = sh("age-keygen -o \"$KEY\" 2>/dev/null && age-keygen -y \"$KEY\"", place.path(), &[("KEY", &key)]);
        let recipient = String::from_utf8(made.stdout).unwrap();
        hearth.set("HEARTH_BACKUP__RECIPIENTS", format!("[{:?}]", recipient.trim()));
        script += &block("by-hand-decrypt");
    }
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 60);
    let before = household::all(address);
    let attachments = [hearth.attach(b"a scan of the deed"), hearth.attach(&[7; 300_000])];
    let made = hearth.backup(&[]);
    running.stop();

    let new = Hearth::new();
    let archive = Path::new(made["archive"].as_str().unwrap());
    let variables = [("BACKUP", archive), ("KEY", key.as_path()), ("NEW", new.data.as_path())];
    script += &block("by-hand-unpack");
    let done = sh(&script, place.path(), &variables);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "ok\n");
    if compare {
        let attachment = new.data.join(&attachments[0]);
        let content = fs::read(&attachment).unwrap();
        fs::write(&attachment, b"a scan of the dead").unwrap();
        let said = sh(&block("by-hand-compare"), place.path(), &variables);
        assert!(!said.status.success(), "what was changed is found");
        assert!(String::from_utf8_lossy(&said.stdout).contains(&attachments[0]), "{said:?}");
        fs::write(&attachment, content).unwrap();
        let said = sh(&block("by-hand-compare"), place.path(), &variables);
        assert!(said.status.success() && said.stdout.is_empty(), "{said:?}");
    }
    let done = sh(&block("by-hand-place"), place.path(), &variables);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));

    let mut running = new.start();
    let address = running.wait_serving();
    assert_eq!(household::all(address), before);
    for attachment in &attachments {
        assert_eq!(fs::read(new.data.join(attachment)).unwrap(), fs::read(hearth.data.join(attachment)).unwrap());
    }
    new.assert_tidy();
    new.backup(&["--drill"]);
}

#[test]
#[cfg_attr(not(has = "sqlite3"), ignore = "needs bash, tar, zstd and sqlite3")]
fn a_backup_is_restored_with_tar_zstd_and_sqlite3_alone() {
    restored_by_hand(false, false);
}

#[test]
#[cfg_attr(not(all(has = "sqlite3", has = "b3sum")), ignore = "needs bash, tar, zstd, sqlite3 and b3sum")]
fn what_was_unpacked_by_hand_is_compared_with_the_manifest() {
    restored_by_hand(false, true);
}

#[test]
#[cfg_attr(not(all(has = "sqlite3", has = "age")), ignore = "needs bash, tar, zstd, sqlite3, age and age-keygen")]
fn an_encrypted_backup_is_restored_with_age_besides() {
    restored_by_hand(true, false);
}

#[test]
#[cfg_attr(not(has = "sqlite3"), ignore = "needs bash, tar, zstd and sqlite3")]
fn a_restore_by_hand_that_was_not_finished_starts_no_empty_instance() {
    let place = tempfile::tempdir().unwrap();
    let hearth = Hearth::new();
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 3);
    let before = household::all(address);
    let made = hearth.backup(&[]);
    running.stop();
    let archive = Path::new(made["archive"].as_str().unwrap());
    let steps: Vec<String> = [block("by-hand-unpack"), block("by-hand-place")]
        .iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|step| !step.starts_with("sqlite3"))
        .collect();
    assert!(steps.last().unwrap().starts_with("ln -s generations/0001"), "{steps:?}");
    // The steps up to this one were done, and none after it.
    for last in 2..steps.len() {
        let new = Hearth::new();
        let variables = [("BACKUP", archive), ("NEW", new.data.as_path())];
        let done = sh(&steps[..last].join("\n"), place.path(), &variables);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut running = new.start();
        let (_, status) = running.wait_held(&new);
        assert_eq!(status["held"]["failure"]["cause"], "live", "{last}: {status}");
        let way_out = status["held"].to_string();
        assert!(way_out.contains(" generations/0001 live"), "{last}: {way_out}");
        running.stop();
        // What is left to be done is done now.
        let done = sh(&steps[last..].join("\n"), place.path(), &variables);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let mut running = new.start();
        assert_eq!(household::all(running.wait_serving()), before, "{last}");
    }
}

#[test]
fn every_command_by_hand_is_one_that_is_tested() {
    let document = include_str!("../../docs/BACKUPS.md");
    let (_, section) = document.split_once("## Restore by hand").unwrap();
    let (section, _) = section.split_once("\n## ").unwrap();
    let named: Vec<_> = section.lines().filter(|line| line.starts_with("```sh")).collect();
    assert_eq!(
        named,
        ["```sh by-hand-decrypt", "```sh by-hand-unpack", "```sh by-hand-compare", "```sh by-hand-place"]
    );
}
