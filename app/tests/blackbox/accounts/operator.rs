//! What the operator does on the server.

use std::{
    path::Path,
    process::{Command, Output},
};

use serde_json::{Value, json};

use super::browser::{Browser, PASSWORD, setup_code, sign_in};
use crate::harness::{Data, Start, eventually, migrate};

fn app_command(data: &Data, arguments: &[&str]) -> Output {
    app_command_at(&data.database(), arguments)
}

fn app_command_at(database: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(crate::served::program());
    command.args(arguments).env_clear().env("HEARTH_DATABASE", database).output().unwrap()
}

fn said(output: &Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap().trim().to_owned()
}

fn refused(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn the_set_up_code_can_be_had_again_and_is_the_same() {
    let data = Data::unowned();
    // Before the app has run at all.
    let first = said(&app_command(&data, &["setup-code"]));
    assert_eq!(setup_code(&data), first);
    let app = Start::alone(&data).start();
    assert_eq!(said(&app_command(&data, &["setup-code"])), first);
    let json: Value = serde_json::from_str(&said(&app_command(&data, &["setup-code", "--json"]))).unwrap();
    assert_eq!(json["code"], first);
    let body = json!({ "code": first, "name": "A", "email": "a@example.org", "password": PASSWORD });
    assert_eq!(Browser::default().post(&app, "/api/v1/setup", &body).status, 201);
    let text = refused(&app_command(&data, &["setup-code"]));
    assert!(text.contains("has an owner") && text.contains("app user reset-password"), "{text}");
    app.stop();
}

#[test]
fn somebody_locked_out_gets_a_link_while_the_app_runs() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    super::browser::join(&app, "member", "anna@example.org");
    let text = said(&app_command(&data, &["user", "reset-password", "Anna@example.org"]));
    let token = text.rsplit("/reset/").next().unwrap();
    let body = json!({ "token": token, "password": "eight-blue-bottles" });
    assert_eq!(Browser::default().post(&app, "/api/v1/reset", &body).status, 204, "{text}");
    assert_eq!(sign_in(&app, "anna@example.org", "eight-blue-bottles").1.status, 201);
    let text = refused(&app_command(&data, &["user", "reset-password", "nobody@example.org"]));
    assert!(text.contains("no user has the e-mail") && text.contains("app user list"), "{text}");
    let events = app.get("/api/v1/audit-events").json();
    let event = events["items"].as_array().unwrap().iter().find(|event| event["kind"] == "reset_created").unwrap();
    assert_eq!(event["who"], "the operator");
    app.stop();
}

#[test]
fn people_are_listed_added_and_given_roles() {
    let data = Data::new();
    let list = said(&app_command(&data, &["user", "list"]));
    assert!(list.contains("owner0@example.org") && list.contains("owner"), "{list}");
    let made = said(&app_command(&data, &["user", "create", "ben@example.org", "--role", "admin", "--json"]));
    let made: Value = serde_json::from_str(&made).unwrap();
    let app = Start::alone(&data).start();
    let body = json!({ "token": made["token"], "password": PASSWORD });
    assert_eq!(Browser::default().post(&app, "/api/v1/reset", &body).status, 204);
    let (mut ben, _) = sign_in(&app, "ben@example.org", PASSWORD);
    assert_eq!(ben.get(&app, "/api/v1/users").status, 200);
    said(&app_command(&data, &["user", "set-role", "ben@example.org", "guest"]));
    eventually("the other role", || (ben.get(&app, "/api/v1/users").status == 403).then_some(()));
    let text = refused(&app_command(&data, &["user", "set-role", "owner0@example.org", "guest"]));
    assert!(text.contains("only owner"), "{text}");
    let text = refused(&app_command(&data, &["user", "create", "ben@example.org"]));
    assert!(text.contains("already used by another user"), "{text}");
    let wrong = app_command(&data, &["user", "set-role", "ben@example.org", "king"]);
    assert_eq!(wrong.status.code(), Some(2));
    app.stop();
}

#[test]
fn nothing_is_written_past_an_upgrade_that_is_under_way() {
    let data = Data::new();
    let generations = data.directory.path().join("generations");
    let (old, new) = (generations.join("0001"), generations.join("0002"));
    std::fs::create_dir_all(&old).unwrap();
    std::fs::create_dir_all(&new).unwrap();
    std::fs::rename(data.database(), old.join("app.db")).unwrap();
    std::os::unix::fs::symlink("generations/0001", data.directory.path().join("live")).unwrap();
    std::fs::write(new.join("STAGING"), "").unwrap();
    let command = || {
        Command::new(crate::served::program())
            .args(["user", "create", "ben@example.org"])
            .env_clear()
            .env("HEARTH_DATA_DIR", data.directory.path())
            .output()
            .unwrap()
    };
    let text = refused(&command());
    assert!(text.contains("in progress") && text.contains("supervisor status"), "{text}");
    std::fs::remove_file(new.join("STAGING")).unwrap();
    said(&command());
    // A generation that is live no more is not written to either, whoever names it.
    std::fs::copy(old.join("app.db"), new.join("app.db")).unwrap();
    let text = refused(&app_command_at(&new.join("app.db"), &["user", "create", "eve@example.org"]));
    assert!(text.contains("not the live database"), "{text}");
    let missing = Command::new(crate::served::program())
        .args(["user", "list"])
        .env_clear()
        .env("HEARTH_DATA_DIR", "/nowhere")
        .output()
        .unwrap();
    let text = refused(&missing);
    assert!(text.contains("/nowhere/live/app.db") && text.contains("HEARTH_DATA_DIR"), "{text}");
}

#[test]
fn a_backup_that_the_supervisor_names_is_written_down_once() {
    let data = Data::new();
    let run = || {
        let app = Start::with_sockets(&data, &["public", "private"]).start();
        for _ in 0..3 {
            let named = [("hearth-backups-last", "2026-11-24T03-12-07Z-scheduled")];
            assert_eq!(app.ask_private_with("/health", &named).status, 200);
        }
        // Nobody is believed to know but the supervisor.
        let public = [("hearth-backups-last", "2026-11-25T03-12-07Z-scheduled")];
        assert_eq!(app.ask("GET", "/health", &public, b"").status, 200);
        eventually("the event", || {
            let events = app.get("/api/v1/audit-events").json();
            events["items"].as_array().unwrap().iter().any(|event| event["kind"] == "backup_made").then_some(())
        });
        app.stop();
    };
    run();
    run();
    assert_eq!(data.count("SELECT count(*) FROM audit_event WHERE kind = 'backup_made'"), 1);
}

#[test]
fn links_begin_where_config_toml_says_that_hearth_is_reached() {
    // As in a data directory: live is a link to a generation.
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    std::fs::create_dir_all(data.join("generations/0001")).unwrap();
    std::os::unix::fs::symlink("generations/0001", data.join("live")).unwrap();
    migrate(&data.join("live/app.db"));
    let run = |environment: &[(&str, &str)], arguments: &[&str]| {
        let mut command = Command::new(crate::served::program());
        command.args(arguments).env_clear().env("HEARTH_DATA_DIR", data).envs(environment.iter().copied());
        command.output().unwrap()
    };
    let reset = ["user", "reset-password", "ada@example.org"];
    let text = said(&run(&[], &["user", "create", "ada@example.org", "--role", "owner"]));
    assert!(text.contains("Put the address of this Hearth in front of it"), "{text}");
    std::fs::write(data.join("config.toml"), "[http]\npublic_url = \"https://hearth.example.org\"\n").unwrap();
    let text = said(&run(&[], &reset));
    assert!(text.contains("https://hearth.example.org/reset/"), "{text}");
    let json: Value = serde_json::from_str(&said(&run(&[], &[&reset[..], &["--json"]].concat()))).unwrap();
    assert!(json["url"].as_str().unwrap().starts_with("https://hearth.example.org/reset/"), "{json}");
    // The environment goes first, but for what is blank; HEARTH_CONFIG names another file.
    let text = said(&run(&[("HEARTH_HTTP__PUBLIC_URL", "https://other.example.org")], &reset));
    assert!(text.contains("https://other.example.org/reset/"), "{text}");
    assert!(said(&run(&[("HEARTH_HTTP__PUBLIC_URL", " ")], &reset)).contains("https://hearth.example.org/reset/"));
    let elsewhere = data.join("elsewhere.toml");
    std::fs::write(&elsewhere, "http.public_url = 'https://third.example.org'").unwrap();
    let text = said(&run(&[("HEARTH_CONFIG", elsewhere.to_str().unwrap())], &reset));
    assert!(text.contains("https://third.example.org/reset/"), "{text}");
    // What cannot be used is said before anything is done.
    let counted = || {
        let connection = rusqlite::Connection::open(data.join("live/app.db")).unwrap();
        connection.query_row("SELECT count(*) FROM audit_event", [], |row| row.get::<_, i64>(0)).unwrap()
    };
    let before = counted();
    for (text, word) in [
        ("[http", "config.toml"),
        ("[http]\npublic_url = 3", "public_url"),
        ("[http]\npublic_url = 'http://nas.lan'", "only localhost"),
    ] {
        std::fs::write(data.join("config.toml"), text).unwrap();
        let text = refused(&run(&[], &reset));
        assert!(text.contains(word) && text.contains("config.toml"), "{text}");
    }
    assert_eq!(counted(), before);
    assert!(said(&run(&[], &["user", "list"])).contains("ada@example.org"));
}

/// The floor stands in the database (docs/MIGRATIONS.md).
#[test]
fn a_database_that_needs_a_newer_app_is_neither_served_nor_changed_by_hand() {
    let data = Data::new();
    data.sql("UPDATE migration_ledger SET floor = '99.0.0'; PRAGMA wal_checkpoint(TRUNCATE)");
    let before = std::fs::read(data.database()).unwrap();
    let files = data.files().display().to_string();
    for arguments in [
        &["serve", "--listen", "127.0.0.1:0", "--files", &files][..],
        &["setup-code"],
        &["user", "list"],
        &["user", "create", "ben@example.org"],
        &["user", "set-role", "owner0@example.org", "guest"],
        &["user", "disable", "owner0@example.org"],
        &["user", "reset-password", "owner0@example.org"],
        &["files", "check", "--files", &files],
    ] {
        let output = app_command(&data, arguments);
        assert_eq!(output.status.code(), Some(65), "{arguments:?}: {output:?}");
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.stdout.is_empty() && text.contains(&data.database().display().to_string()), "{text}");
        for words in ["needs Hearth v99.0.0 or newer", env!("CARGO_PKG_VERSION"), "restore a backup from before"] {
            assert!(text.contains(words), "{arguments:?}: {words}: {text}");
        }
    }
    for start in [Start::probation(&data), Start::with_sockets(&data, &["public", "private"])] {
        let mut app = start.spawn();
        assert_eq!(app.wait().code(), Some(65), "{:?}", app.log.lines());
        assert!(app.wait_said("STATUS=").contains("needs Hearth v99.0.0 or newer"));
        assert!(!app.said().iter().any(|said| said.starts_with("READY=1")));
    }
    assert_eq!(std::fs::read(data.database()).unwrap(), before);
    // What is no version is no floor, and what this version may serve it serves.
    for floor in ["'newest'", "NULL", "'0.1.0'"] {
        data.sql(&format!("UPDATE migration_ledger SET floor = {floor}"));
        said(&app_command(&data, &["user", "list"]));
        Start::alone(&data).start().stop();
    }
}
