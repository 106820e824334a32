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

/// Whether all these programs are there; says which is not.
fn installed(test: &str, programs: &[&str]) -> bool {
    programs.iter().all(|program| {
        let there =
            Command::new("sh").args(["-c", &format!("command -v {program}")]).output().unwrap().status.success();
        if !there {
            assert!(std::env::var_os("CI").is_none(), "skipped in CI: {test} needs {program}");
            println!("skipped: {test} needs {program}");
        }
        there
    })
}

fn restored_by_hand(encrypted: bool) {
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
    script += &block("by-hand");
    let mut running = hearth.start();
    let address = running.wait_serving();
    household::fill(address, 60);
    let before = household::all(address);
    let attachment = hearth.attach(b"a scan of the deed");
    let made = hearth.backup(&[]);
    running.stop();

    let new = Hearth::new();
    let archive = Path::new(made["archive"].as_str().unwrap());
    let variables = [("BACKUP", archive), ("KEY", key.as_path()), ("NEW", new.data.as_path())];
    let done = sh(&script, place.path(), &variables);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(String::from_utf8_lossy(&done.stdout), "ok\n");
    let mut running = new.start();
    let address = running.wait_serving();
    assert_eq!(household::all(address), before);
    assert_eq!(fs::read(new.data.join(attachment)).unwrap(), b"a scan of the deed");
    new.backup(&[]);
}

#[test]
fn a_backup_is_restored_with_tar_zstd_and_sqlite3_alone() {
    if installed("a restore by hand", &["bash", "tar", "zstd", "sqlite3"]) {
        restored_by_hand(false);
    }
}

#[test]
fn an_encrypted_backup_is_restored_with_age_besides() {
    if installed("a restore by hand of an encrypted backup", &["bash", "tar", "zstd", "sqlite3", "age", "age-keygen"]) {
        restored_by_hand(true);
    }
}
