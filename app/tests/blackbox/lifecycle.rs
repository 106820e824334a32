//! Its start: readiness, heartbeat, health, and what it refuses.

use std::{fs, path::Path, time::Duration};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::{
    client::exchange,
    harness::{App, Data, Start, eventually},
};

#[test]
fn run_alone_it_says_so_and_where() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    let lines = app.stop();
    assert_eq!(lines[0], format!("[App] Starting server v{}...", env!("CARGO_PKG_VERSION")));
    assert!(lines[1].contains("one of its own"), "{lines:#?}");
    assert!(lines[2].starts_with("[App] Serving on http://127.0.0.1:"), "{lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("accounts")), "{lines:#?}");
}

#[test]
fn the_flag_for_the_address_wins_over_the_environment() {
    let data = Data::new();
    let app = Start::alone(&data).env("HEARTH_LISTEN", "0.0.0.0:0").spawn();
    // `alone` has a flag.
    app.log.wait("Serving on http://127.0.0.1:");
    app.stop();
}

#[test]
fn the_log_can_be_json() {
    let data = Data::new();
    let app = Start::alone(&data).env("HEARTH_LOG__FORMAT", "json").env("HEARTH_LOG__LEVEL", "debug").start();
    for line in app.stop() {
        let event: Value = serde_json::from_str(&line).unwrap();
        assert!(event["message"].is_string() && event["level"].is_string() && event["timestamp"].is_string(), "{line}");
    }
}

#[test]
fn it_is_ready_beats_and_says_when_it_stops() {
    let data = Data::new();
    let mut app = Start::with_sockets(&data, &["public", "private"]).watchdog(Duration::from_millis(300)).start();
    app.wait_said("STATUS=Serving");
    let beats = |app: &App| app.said().iter().filter(|line| *line == "WATCHDOG=1").count();
    eventually("three heartbeats", || (beats(&app) >= 3).then_some(()));
    assert!(!app.said().iter().any(|line| line == "STOPPING=1"));
    app.signal(Signal::SIGTERM);
    assert!(app.wait().success());
    app.wait_said("STOPPING=1");
    assert!(!app.log.lines().iter().any(|line| line.contains("Starting server")), "{:#?}", app.log.lines());
}

#[test]
fn a_watchdog_for_another_process_gets_no_heartbeat() {
    let data = Data::new();
    let app = Start::alone(&data).watchdog(Duration::from_millis(3)).env("WATCHDOG_PID", 1).start();
    assert_eq!(app.get("/health").status, 200);
    assert!(!app.said().iter().any(|line| line.starts_with("WATCHDOG")));
    app.stop();
}

#[test]
fn health_is_the_document_of_the_contract() {
    let data = Data::new();
    let app = Start::with_sockets(&data, &["public", "private"]).start();
    let contract: Value = serde_json::from_str(include_str!("../../../docs/contracts/app-health.json")).unwrap();
    for answer in [app.get("/health"), app.ask_private("/health")] {
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("cache-control"), Some("no-store"));
        let mut health = answer.json();
        assert!(health["checks"]["disk"]["free_bytes"].as_u64().unwrap() > 0);
        assert_eq!(health["version"], env!("CARGO_PKG_VERSION"));
        // The values that depend on place and release; all others, and all names, are the contract's.
        health["checks"]["disk"] = contract["checks"]["disk"].clone();
        health["version"] = contract["version"].clone();
        health["schema"] = contract["schema"].clone();
        assert_eq!(health["status"], "ok");
        assert_eq!(health, contract);
    }
    assert_eq!(app.ask("HEAD", "/health", &[], b"").status, 200);
    app.ask_private("/api/v1/records").problem(404);
    app.ask_private("/").problem(404);
    app.stop();
}

#[test]
fn what_the_supervisor_says_of_the_backups_is_told_to_everybody_and_never_fails_the_app() {
    let data = Data::new();
    let app = Start::with_sockets(&data, &["public", "private"]).start();
    assert!(app.get("/health").json()["checks"]["backups"].is_null(), "nobody has said anything");
    for (word, status) in [("ok", "ok"), ("overdue", "degraded"), ("failing", "degraded"), ("on fire", "degraded")] {
        let asked = app.ask_private_with("/health", &[("hearth-backups", word)]);
        assert_eq!(asked.json()["status"], "ok", "the app itself is well");
        assert!(asked.json()["checks"]["backups"].is_null());
        let told = app.get("/health");
        assert_eq!(told.status, 200);
        assert_eq!(told.json()["status"], status, "{word}");
        assert_eq!(told.json()["checks"]["backups"]["status"], status, "{word}");
        assert_eq!(told.json()["checks"]["backups"]["detail"].is_string(), status == "degraded");
    }
    // On the public socket anybody could say it.
    let told = app.ask("GET", "/health", &[("hearth-backups", "ok")], b"");
    assert_eq!(told.json()["status"], "degraded");
    app.ask_private("/health");
    assert_eq!(app.get("/health").json()["status"], "ok");
    app.stop();
}

#[test]
fn how_the_backups_are_is_told_to_those_who_look_after_the_instance_and_to_nobody_else() {
    let data = Data::new();
    let people = ["guest", "member", "admin", "owner"].map(|role| (role, format!("hearth_{role:0>43}")));
    for (role, token) in &people {
        data.add_person(role, token);
    }
    let app = Start::with_sockets(&data, &["public", "private"]).start();
    let golden = include_str!("../../../docs/contracts/app-backups.json");
    let page = |path: &str, token: &str| {
        app.ask("GET", path, &[("accept", "text/html"), ("authorization", &format!("Bearer {token}"))], b"")
    };
    // On the public socket anybody could say it.
    app.ask("GET", "/health", &[("hearth-backups-detail", golden.trim())], b"");
    assert!(page("/status", &people[3].1).text().contains("Nothing is known about backups"));
    assert_eq!(app.ask_private_with("/health", &[("hearth-backups-detail", golden.trim())]).status, 200);
    for (role, token) in &people {
        let (status, records) = (page("/status", token), page("/", token));
        let looks_after = matches!(*role, "admin" | "owner");
        assert_eq!(status.status == 200, looks_after, "{role}: {}", status.status);
        for words in ["/mnt/nas", "is it mounted?", "The last backup was created"] {
            assert_eq!(status.text().contains(words), looks_after, "{role}: {words}: {}", status.text());
        }
        assert_eq!(records.text().contains("The backups need attention"), looks_after, "{role}");
        assert_eq!(records.text().contains(r#"href="/status""#), looks_after, "{role}");
    }
    // A supervisor that says nothing of it, or something else, knows nothing.
    app.ask_private_with("/health", &[("hearth-backups-detail", "{}")]);
    assert!(page("/status", &people[3].1).text().contains("Nothing is known about backups"));
    app.stop();
}

#[test]
fn that_an_upgrade_failed_is_told_to_everybody_and_its_reason_to_those_who_look_after_the_instance() {
    let data = Data::new();
    let people = ["guest", "member", "admin", "owner"].map(|role| (role, format!("hearth_{role:0>43}")));
    for (role, token) in &people {
        data.add_person(role, token);
    }
    let app = Start::with_sockets(&data, &["public", "private"]).start();
    let notice = ("hearth-notice", include_str!("../../../docs/contracts/app-notice.json").trim());
    assert!(notice.1.is_ascii());
    let page = |path: &str, token: &str| {
        app.ask("GET", path, &[("accept", "text/html"), ("authorization", &format!("Bearer {token}"))], b"")
    };
    let reason = "the migrator stopped at m0009_rooms";
    // On the public socket anybody could say it.
    app.ask("GET", "/health", &[notice], b"");
    assert_eq!(app.get("/health").json()["status"], "ok");
    assert!(app.get("/api/v1/instance").json()["failed_upgrade"].is_null());

    let asked = app.ask_private_with("/health", &[notice]);
    assert_eq!((asked.status, &asked.json()["status"]), (200, &json!("ok")), "the app itself is well");
    assert!(asked.json()["checks"]["upgrade"].is_null());
    let told = app.ask_as_nobody("GET", "/health", &[], b"");
    assert_eq!((told.status, &told.json()["status"]), (200, &json!("degraded")));
    assert_eq!(told.json()["checks"]["upgrade"]["status"], "degraded");
    assert!(told.json()["checks"]["upgrade"]["detail"].as_str().unwrap().contains("an upgrade failed"));
    assert!(!told.text().contains("m0009") && !told.text().contains("0.9.0"), "{}", told.text());
    for (role, token) in &people {
        let looks_after = matches!(*role, "admin" | "owner");
        for path in ["/", "/records/new", "/account", "/status", "/records/999", "/api/v1/docs"] {
            let shown = page(path, token);
            // The API's documentation has no frame.
            let expected = looks_after && path != "/api/v1/docs";
            assert_eq!(
                shown.text().contains(r#"role="status"><p>Upgrade to v0.9.0 failed: "#),
                expected,
                "{role} {path}"
            );
            assert_eq!(shown.text().contains(reason), expected, "{role} {path}");
        }
        let failed = app.get_as(token, "/api/v1/instance").json()["failed_upgrade"].clone();
        assert_eq!(failed["since"], "2026-11-30T12:00:00.000Z", "{role}");
        assert_eq!(failed["message"].as_str().is_some_and(|message| message.contains(reason)), looks_after, "{role}");
    }
    let stranger = app.ask_as_nobody("GET", "/sign-in", &[("accept", "text/html")], b"");
    assert_eq!(stranger.status, 200);
    assert!(!stranger.text().contains(reason) && !stranger.text().contains("failed"), "{}", stranger.text());

    // A supervisor that says nothing of it has nothing to say.
    app.ask_private("/health");
    assert_eq!(app.get("/health").json()["status"], "ok");
    assert!(!page("/", &people[3].1).text().contains(reason));
    app.stop();
}

#[test]
fn what_the_supervisor_says_of_a_newer_version_is_told_to_everybody() {
    let data = Data::new();
    let app = Start::with_sockets(&data, &["public", "private"]).start();
    let alone = json!({"version": env!("CARGO_PKG_VERSION")});
    let shown = || app.get("/api/v1/instance").json();
    assert_eq!(shown(), alone, "nobody has said anything");
    let contract = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/contracts/app-instance.json");
    let mut contract: Value = serde_json::from_str(&fs::read_to_string(contract).unwrap()).unwrap();
    contract["version"] = env!("CARGO_PKG_VERSION").into();
    let notes = contract["update"]["notes"].as_str().unwrap();
    let version = ("hearth-update", contract["update"]["version"].as_str().unwrap());
    assert_eq!(app.ask_private_with("/health", &[version, ("hearth-update-notes", notes)]).status, 200);
    assert_eq!(shown(), contract);
    // On the public socket anybody could say it.
    app.ask("GET", "/health", &[("hearth-update", "6.6.6")], b"");
    app.ask("GET", "/api/v1/instance", &[("hearth-update", "6.6.6")], b"");
    assert_eq!(shown(), contract);
    app.ask_private_with("/health", &[version]);
    assert_eq!(shown()["update"], json!({"version": version.1}), "whose notes are not known");
    // What is no version, or not said any more, is no news, and the app is well all the same.
    for said in [&[("hearth-update", "<b>6</b>")][..], &[version], &[]] {
        assert_eq!(app.ask_private_with("/health", said).json()["status"], "ok");
        assert_eq!(shown()["update"].is_object(), said == [version], "{said:?}");
    }
    app.stop();
}

#[test]
fn health_fails_when_files_are_gone_and_recovers_with_them() {
    let data = Data::new();
    let app = Start::alone(&data).start();
    fs::remove_dir(data.files()).unwrap();
    let answer = app.get("/health");
    assert_eq!(answer.status, 503);
    let health = answer.json();
    assert_eq!(health["status"], "failing");
    assert_eq!(health["checks"]["files"]["status"], "failing");
    assert!(health["checks"]["files"]["detail"].is_string());
    assert_eq!(health["checks"]["database"]["status"], "ok");
    fs::create_dir(data.files()).unwrap();
    assert_eq!(app.get("/health").status, 200);
    app.stop();
}

#[test]
fn what_cannot_be_used_is_refused_in_a_sentence() {
    let data = Data::new();
    let refused = |start: Start<'_>, code: i32, words: &[&str]| {
        let mut app = start.spawn();
        assert_eq!(app.wait().code(), Some(code));
        app.log.wait("error: ");
        eventually("its end", || (!app.log.lines().is_empty()).then_some(()));
        for word in words {
            app.log.wait(word);
        }
    };
    let gone = data.directory.path().join("gone.db");
    refused(
        Start::alone(&data).env("HEARTH_DATABASE", gone.display()),
        1,
        &["error: there is no database at", "hint: "],
    );
    assert!(!gone.exists(), "the app never creates a database");
    let empty = data.directory.path().join("empty.db");
    fs::write(&empty, "").unwrap();
    refused(
        Start::alone(&data).env("HEARTH_DATABASE", empty.display()),
        1,
        &["is no database of Hearth", "start it under the supervisor"],
    );
    assert_eq!(fs::metadata(&empty).unwrap().len(), 0, "nor makes one of an empty file");
    let text = data.directory.path().join("text.db");
    fs::write(&text, "This is no database. ".repeat(1000)).unwrap();
    refused(
        Start::alone(&data).env("HEARTH_DATABASE", text.display()),
        1,
        &["is no SQLite database", "hint: nothing was changed"],
    );
    assert!(fs::read_to_string(&text).unwrap().starts_with("This is no database"));
    for (name, value, words) in [
        (
            "HEARTH_LOG__LEVEL",
            "loud",
            ["error: log.level = \"loud\" (from HEARTH_LOG__LEVEL) cannot", "error, warn, info, debug, trace"],
        ),
        ("HEARTH_LOG__FORMAT", "xml", ["error: log.format = \"xml\" (from HEARTH_LOG__FORMAT) cannot", "text, json"]),
        ("HEARTH_STOP__GRACE", "soon", ["error: stop.grace = \"soon\" (from HEARTH_STOP__GRACE) cannot", "such as 8s"]),
        ("HEARTH_PROBATION", "yes", ["error: HEARTH_PROBATION is \"yes\"", "must be 1 or unset"]),
        ("HEARTH_DATABASE", "", ["error: database is not set", "hint: HEARTH_DATABASE or --database is the path"]),
    ] {
        refused(Start::alone(&data).env(name, value), 2, &words);
    }
    refused(
        Start::with_sockets(&data, &[]).env("HEARTH_LISTEN", "localhost"),
        2,
        &["error: listen = \"localhost\" (from HEARTH_LISTEN) cannot be used", "such as 127.0.0.1:3000"],
    );
    // The supervisor is told in a line, to show it to the operator.
    let mut app = Start::with_sockets(&data, &["private"])
        .env("HEARTH_HTTP__PUBLIC_URL", "nowhere")
        .env("HEARTH_AUTH__OIDC_JOIN", "owner")
        .env("HEARTH_SOURCES", "HEARTH_HTTP__PUBLIC_URL=/data/config.toml")
        .spawn();
    assert_eq!(app.wait().code(), Some(2));
    app.log.wait("error: 2 mistakes in the settings:");
    let said = app.wait_said("STATUS=2 mistakes in the settings:");
    assert!(said.contains("http.public_url (from /data/config.toml) cannot be used: it does not begin"), "{said}");
    assert!(said.contains("auth.oidc_join = \"owner\" (from HEARTH_AUTH__OIDC_JOIN) cannot be used"), "{said}");
    // Settings of other processes are none of its business.
    let app = Start::alone(&data).env("HEARTH_BACKUP__KEEP", "7").env("HEARTH_X", "{").start();
    let port = app.address.clone().unwrap();
    refused(
        Start::with_sockets(&data, &[]).env("HEARTH_LISTEN", &port),
        1,
        &["cannot be listened on", "hint: another program has the port"],
    );
    app.stop();
}

#[test]
fn a_table_without_a_column_is_refused_by_name() {
    let data = Data::new();
    data.sql("ALTER TABLE api_token DROP COLUMN last_used_at");
    let mut app = Start::alone(&data).spawn();
    assert_eq!(app.wait().code(), Some(65), "EX_DATAERR: it is for the data");
    app.log.wait("error: table api_token has no column last_used_at");
    app.wait_said("STATUS=table api_token has no column last_used_at");
}

#[test]
fn faults_in_the_database_do_what_they_say() {
    for probation in [false, true] {
        let start = |data| {
            if probation { Start::probation(data) } else { Start::with_sockets(data, &["private"]) }
        };
        let data = Data::new();
        data.sql("CREATE TABLE hearth_fault (kind TEXT); INSERT INTO hearth_fault VALUES ('unhealthy')");
        let app = start(&data).start();
        assert_eq!(app.ask_private("/health").status, 503);
        app.stop();

        data.sql("UPDATE hearth_fault SET kind = 'crash'");
        let mut app = start(&data).spawn();
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(app.wait().signal(), Some(9));
        assert_eq!(app.said().iter().any(|line| line == "READY=1"), !probation);

        data.sql("UPDATE hearth_fault SET kind = 'hang'");
        let app = start(&data).watchdog(Duration::from_millis(60)).spawn();
        if probation {
            app.wait_said("WATCHDOG=1");
        } else {
            app.wait_said("READY=1");
        }
        // No answer and no heartbeat any more.
        eventually("silence", || {
            let before = app.said().len();
            std::thread::sleep(Duration::from_millis(200));
            (app.said().len() == before).then_some(())
        });
        let stream = std::os::unix::net::UnixStream::connect(&app.private).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        let asked =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| exchange(stream, "GET", "/health", &[], b"")));
        assert!(asked.is_err());
    }
}
