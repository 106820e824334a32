//! The first owner.

use std::{os::unix::fs::PermissionsExt, path::Path};

use serde_json::json;

use super::browser::{Browser, PASSWORD, setup_code};
use crate::harness::{Data, Start};

fn set_up(code: &str) -> serde_json::Value {
    json!({ "code": code, "name": "Anna", "email": "Anna@Example.org", "password": PASSWORD })
}

#[test]
fn who_has_the_code_becomes_the_owner_and_nobody_else() {
    let data = Data::unowned();
    let app = Start::alone(&data).start();
    let code = setup_code(&data);
    app.log.wait(&code);
    let mode = std::fs::metadata(data.directory.path().join("setup-code")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(app.ask_as_nobody("GET", "/api/v1/auth", &[], b"").json()["setup_needed"], true);
    // To set up goes before anything else.
    let page = app.ask_as_nobody("GET", "/", &[("accept", "text/html")], b"");
    assert_eq!(page.status, 303, "{page:?}");
    let mut browser = Browser::default();
    for wrong in ["", "aaaa-aaaa-aaaa-aaaa", "x"] {
        let answer = browser.post(&app, "/api/v1/setup", &set_up(wrong));
        assert_eq!(answer.status, 400, "{answer:?}");
    }
    // As it is typed: capitals, blanks.
    let typed = code.to_uppercase().replace('-', " ");
    let answer = browser.post(&app, "/api/v1/setup", &set_up(&typed));
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.json()["user"]["role"], "owner");
    assert_eq!(answer.json()["user"]["email"], "anna@example.org");
    assert_eq!(browser.get(&app, "/api/v1/session").json()["user"]["name"], "Anna");
    assert!(!data.directory.path().join("setup-code").exists());
    Browser::default().post(&app, "/api/v1/setup", &set_up(&code)).problem(409);
    assert_eq!(app.ask_as_nobody("GET", "/api/v1/auth", &[], b"").json()["setup_needed"], false);
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 1);
}

#[test]
fn the_code_stays_the_same_over_restarts_until_it_expires() {
    let data = Data::unowned();
    Start::alone(&data).start().stop();
    let code = setup_code(&data);
    Start::alone(&data).start().stop();
    assert_eq!(setup_code(&data), code);
    data.sql("UPDATE verification SET expires_at = '2020-01-01T00:00:00.000Z'");
    let app = Start::alone(&data).start();
    let newer = setup_code(&data);
    assert_ne!(newer, code);
    assert_eq!(Browser::default().post(&app, "/api/v1/setup", &set_up(&code)).status, 400);
    assert_eq!(Browser::default().post(&app, "/api/v1/setup", &set_up(&newer)).status, 201);
    app.stop();
}

#[test]
fn of_two_that_come_at_once_one_becomes_the_owner() {
    let data = Data::unowned();
    let app = Start::alone(&data).start();
    let code = setup_code(&data);
    let statuses: Vec<_> = std::thread::scope(|scope| {
        let tries: Vec<_> = (0..6)
            .map(|number| {
                let (app, code) = (&app, &code);
                scope.spawn(move || {
                    let mut body = set_up(code);
                    body["email"] = format!("person{number}@example.org").into();
                    Browser::default().post(app, "/api/v1/setup", &body).status
                })
            })
            .collect();
        tries.into_iter().map(|handle| handle.join().unwrap()).collect()
    });
    assert_eq!(statuses.iter().filter(|status| **status == 201).count(), 1, "{statuses:?}");
    app.stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 1);
}

#[test]
fn the_settings_can_name_the_owner() {
    let data = Data::unowned();
    let start = || {
        Start::alone(&data)
            .env("HEARTH_AUTH__ADMIN_EMAIL", "Boss@example.org")
            .env("HEARTH_AUTH__ADMIN_PASSWORD", PASSWORD)
    };
    let app = start().start();
    assert!(!data.directory.path().join("setup-code").exists());
    let (_, answer) = super::browser::sign_in(&app, "boss@example.org", PASSWORD);
    assert_eq!(answer.json()["user"]["role"], "owner", "{answer:?}");
    app.stop();
    // Once: a changed password is not set back, and nobody is added.
    start().start().stop();
    assert_eq!(data.count("SELECT count(*) FROM user"), 1);
    let weak = Data::unowned();
    // In probation already, while all can still be as it was.
    for start in [Start::alone(&weak), Start::probation(&weak)] {
        let mut app = start
            .env("HEARTH_AUTH__ADMIN_EMAIL", "boss@example.org")
            .env("HEARTH_AUTH__ADMIN_PASSWORD", "password123")
            .spawn();
        assert_eq!(app.wait().code(), Some(1));
        app.log.wait("error: the owner of auth.admin_email cannot be made");
        app.log.wait("hint: ");
        assert!(!app.log.lines().join("\n").contains("password123"), "{:?}", app.log.lines());
    }
}

#[test]
fn weak_passwords_are_refused_with_the_reason() {
    let data = Data::unowned();
    let app = Start::alone(&data).start();
    for (password, why) in
        [("short", "10"), ("password123", "common"), ("anna@example.org", ""), (&*"x".repeat(129), "128")]
    {
        let mut body = set_up(&setup_code(&data));
        body["password"] = password.into();
        let problem = Browser::default().post(&app, "/api/v1/setup", &body).problem(400);
        let text = problem["detail"].as_str().unwrap();
        assert!(text.contains("password") && text.contains(why), "{text}");
        assert!(!text.contains("anna@example.org"));
    }
    app.stop();
}

#[test]
fn nothing_secret_is_in_the_database_as_it_is() {
    let data = Data::unowned();
    let app = Start::alone(&data).start();
    let code = setup_code(&data);
    let mut browser = Browser::default();
    assert_eq!(browser.post(&app, "/api/v1/setup", &set_up(&code)).status, 201);
    let made = browser.post(&app, "/api/v1/tokens", &json!({ "name": "t", "scope": "read" })).json();
    let invited = browser.post(&app, "/api/v1/invitations", &json!({ "role": "guest" })).json();
    app.stop();
    let bytes = std::fs::read(data.database()).unwrap();
    let session = browser.cookies["hearth-0000002a"].clone();
    let plain = code.replace('-', "");
    for secret in [
        PASSWORD,
        &code,
        &plain,
        &session,
        made["secret"].as_str().unwrap(),
        invited["link"]["token"].as_str().unwrap(),
    ] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
    assert!(Path::new(&data.database()).exists());
}

#[test]
fn the_code_is_in_the_log_whatever_is_logged_otherwise() {
    for level in ["error", "warn", "info", "debug", "trace"] {
        for format in ["text", "json"] {
            let data = Data::unowned();
            let app = Start::with_sockets(&data, &["public", "private"])
                .env("HEARTH_LOG__LEVEL", level)
                .env("HEARTH_LOG__FORMAT", format)
                .start();
            let code = setup_code(&data);
            let line = app.log.wait(&code);
            app.log.wait("enter this set-up code to become the owner");
            assert_eq!(format == "json", serde_json::from_str::<serde_json::Value>(&line).is_ok(), "{line}");
            app.stop();
        }
    }
}
