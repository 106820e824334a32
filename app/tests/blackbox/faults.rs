//! Breaks the app in the middle of something, and looks whether everything is whole afterwards.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    process::{Command, Output},
    thread,
};

use rusqlite::Connection;
use serde_json::Value;

use crate::harness::{App, Data, Start};

/// Starts the app with a fault that waits until it is armed.
pub(crate) fn with_fault(data: &Data, fault: &str) -> (App, impl Fn() + use<>) {
    let armed = data.directory.path().join("armed");
    let _ = fs::remove_file(&armed);
    let app = Start::alone(data).env("HEARTH_FAULT", format!("{fault},armed-by={}", armed.display())).start();
    (app, move || fs::write(&armed, "").unwrap())
}

/// Has the fault wait again.
pub(crate) fn disarm(data: &Data) {
    fs::remove_file(data.directory.path().join("armed")).unwrap();
}

/// Sends a request to an app that is killed by it.
pub(crate) fn send_and_die(app: &mut App, send: impl FnOnce(&App) + Send) {
    thread::scope(|scope| {
        let app = &*app;
        // It gets no answer.
        let _ = scope.spawn(move || send(app)).join();
    });
    assert_eq!(app.wait().signal(), Some(9));
}

/// Asks `app files check`.
pub(crate) fn files_check(data: &Data, arguments: &[&str]) -> Output {
    let mut command = Command::new(crate::served::program());
    let environment = [("HEARTH_DATABASE", data.database()), ("HEARTH_FILES", data.files())];
    command.args(["files", "check"]).args(arguments).env_clear().envs(environment).output().unwrap()
}

/// Expects a sound database, and each file that it refers to with its content; returns how many files nothing refers to.
pub(crate) fn assert_sound(data: &Data, when: &str) -> usize {
    let connection = Connection::open(data.database()).unwrap();
    let column = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
    };
    assert_eq!(column("PRAGMA integrity_check"), ["ok"], "{when}");
    assert!(column("SELECT \"table\" FROM pragma_foreign_key_check").is_empty(), "{when}");
    let checked = files_check(data, &["--hash", "--json"]);
    assert!(checked.status.success(), "{when}: {checked:?}");
    let report: Value = serde_json::from_slice(&checked.stdout).unwrap();
    report["stray"].as_array().unwrap().len()
}
