//! Do the commands of docs/BACKUPS.md that are not by hand do what is said beside them?
//!
//! Each line is run as it stands, but for the names that stand for the reader's own: an id, a file, a snapshot's
//! number.

use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

use crate::{
    harness::{Hearth, household, program},
    markdown::Document,
};

/// The blocks that are run here.
pub(crate) const RUN: &[(&str, &str)] = &[
    ("docs/BACKUPS.md", "make-one"),
    ("docs/BACKUPS.md", "look-after-them"),
    ("docs/BACKUPS.md", "encrypt-them"),
    ("docs/BACKUPS.md", "restore"),
];

fn lines(name: &str) -> Vec<String> {
    let document = Document::read(Path::new("docs/BACKUPS.md"));
    document.block(name).text.lines().map(str::to_owned).collect()
}

/// Runs one line in a directory, with the programs of this build in PATH.
fn run(hearth: &Hearth, directory: &Path, line: &str) -> Output {
    let path = format!("{}:{}", program("supervisor").parent().unwrap().display(), std::env::var("PATH").unwrap());
    // Of the harness's own command only the environment is wanted.
    let environment = hearth.command(&[]);
    let set = environment.get_envs().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    Command::new("bash")
        .args(["-euo", "pipefail", "-c", line])
        .envs(set)
        .env("PATH", path)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn done(hearth: &Hearth, directory: &Path, line: &str) -> String {
    let output = run(hearth, directory, line);
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_commands_that_make_backups_and_look_after_them() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 20);
    for line in lines("make-one").iter().chain(&lines("look-after-them")) {
        let said = done(&hearth, hearth.root.path(), line);
        assert!(!said.is_empty(), "{line} says nothing");
    }
    assert_eq!(hearth.backups().len(), 3);
}

#[test]
#[cfg_attr(not(has = "age"), ignore = "needs age and age-keygen")]
fn the_commands_that_encrypt_and_restore() {
    let mut hearth = Hearth::new();
    let directory = hearth.root.path().to_owned();
    for line in lines("encrypt-them") {
        done(&hearth, &directory, &line);
    }
    let key = fs::read_to_string(directory.join("hearth-key.txt")).unwrap();
    let (_, public) = key.split_once("# public key: ").unwrap();
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 20);
    let plain = hearth.backup(&[]);
    running.stop();
    let (id, archive) = (plain["backup"]["id"].as_str().unwrap(), plain["archive"].as_str().unwrap());
    let snapshot = hearth.live().unwrap();
    let mut encrypted = false;
    for line in lines("restore") {
        let identity = line.contains("--identity");
        if identity && !encrypted {
            hearth.set("HEARTH_BACKUP__RECIPIENTS", format!("[{:?}]", public.lines().next().unwrap()));
            hearth.backup(&[]);
            encrypted = true;
        }
        let line = line
            .replace("/mnt/stick/2026-11-24T03-12-07Z-manual.tar.zst", archive)
            .replace("2026-11-24T03-12-07Z-scheduled", id)
            .replace("0006", &snapshot);
        // There is no terminal to be asked on.
        let (command, _) = line.split_once('#').unwrap_or((&line, ""));
        let said = done(&hearth, &directory, &format!("{} --yes", command.trim_end()));
        assert!(said.contains(" is live"), "{line}: {said}");
    }
    assert!(encrypted, "none of them is of an encrypted backup");
}
