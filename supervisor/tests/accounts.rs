//! What accounts need of the supervisor: the socket of `tailscale serve`, the names that Hearth goes by while no app lives,
//! and a restore that the app is told of.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::Path,
};

use harness::{Answer, Hearth, Running, household, parse, program};

/// Sends a request as `tailscale serve` does, and reads the answer.
fn ask(mut stream: impl Read + Write, host: &str, path: &str) -> Option<Answer> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    parse(&answer)
}

/// Where the log says that it listens for `tailscale serve`.
fn tailscale(running: &Running) -> SocketAddr {
    running.wait("the address", || {
        let log = running.log();
        let (before, _) = log.split_once(" for tailscale serve, ")?;
        before.rsplit(' ').next()?.parse().ok()
    })
}

fn serve_at(place: &str) -> Hearth {
    let mut hearth = Hearth::new();
    hearth.set("HEARTH_AUTH__TAILSCALE", "serve").set("HEARTH_AUTH__TAILSCALE_LISTEN", place);
    hearth
}

#[test]
fn the_app_answers_tailscale_serve_on_a_socket_of_its_own_that_outlives_it() {
    for kind in ["tcp", "unix"] {
        let mut hearth = serve_at("127.0.0.2:0");
        let path = hearth.root.path().join("tailscale.sock");
        if kind == "unix" {
            // What a start that was killed has left.
            drop(UnixListener::bind(&path).unwrap());
            hearth.set("HEARTH_AUTH__TAILSCALE_LISTEN", path.display().to_string());
        }
        let once = hearth.root.path().join("once");
        hearth.strange(&format!("once={},shutdown-tailscale", once.display()));
        let mut running = hearth.start();
        let public = running.wait_serving();
        let ask = || match kind {
            "tcp" => ask(TcpStream::connect(tailscale(&running)).ok()?, "hearth.example.ts.net", "/"),
            _ => ask(UnixStream::connect(&path).ok()?, "localhost", "/"),
        };
        let answer = running.wait("an answer", ask);
        assert!(answer.body.contains(r#""socket":"tailscale""#), "{}", answer.body);
        assert!(!harness::get(public, "/").body.contains("tailscale"), "the public one is another");
        let log = running.log();
        assert!(log.contains("socket of tailscale serve was shut down by a child; it was bound anew"), "{log}");
        assert!(hearth.app_log().contains("value LISTEN_FDNAMES=public:private:tailscale\n"));
        if kind == "unix" {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        }
        hearth.done(&["restart"]);
        running.wait("an answer of the next one", ask);
        running.stop();
        assert!(!path.exists(), "its file goes with it");
    }
}

#[test]
fn what_lies_at_the_path_of_the_socket_is_not_touched() {
    let mut hearth = serve_at("/");
    let path = hearth.root.path().join("precious");
    hearth.set("HEARTH_AUTH__TAILSCALE_LISTEN", path.display().to_string());
    fs::write(&path, "precious").unwrap();
    let mut running = hearth.start();
    assert!(!running.wait_end().success());
    assert!(running.log().contains("something else is there, which is no socket"), "{}", running.log());
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    let mut running = hearth.start();
    assert!(!running.wait_end().success());
    assert!(running.log().contains("another program answers there"), "{}", running.log());
}

#[test]
fn an_address_that_others_reach_is_warned_of() {
    let hearth = serve_at("0.0.0.0:0");
    let mut running = hearth.start();
    running.wait_for_log("can sign in as anybody there");
    running.stop();
}

/// A supervisor that is held, so that the door answers.
fn held(hearth: &mut Hearth) -> (Running, SocketAddr) {
    let mut running = hearth.start();
    running.wait_serving();
    running.stop();
    fs::remove_file(hearth.data.join("live")).unwrap();
    let mut running = hearth.start();
    let (address, _) = running.wait_held(hearth);
    (running, address)
}

#[test]
fn the_maintenance_page_is_for_whoever_asks_for_this_hearth() {
    let mut hearth = serve_at("127.0.0.2:0");
    hearth
        .set("HEARTH_HTTP__HOSTS", "records.example.org")
        .set("HEARTH_HTTP__PUBLIC_URL", "https://hearth.example.ts.net");
    hearth.strange("");
    let (running, address) = held(&mut hearth);
    let tailscale = tailscale(&running);
    for (host, status) in [
        ("127.0.0.1:3000", 503),
        ("[::1]", 503),
        ("nas", 503),
        ("Records.Example.org.:443", 503),
        ("hearth.example.ts.net", 503),
        ("evil.example", 421),
        ("ts.net", 421),
        ("", 400),
    ] {
        for path in ["/", "/health"] {
            for to in [address, tailscale] {
                let answer = running.wait("an answer", || ask(TcpStream::connect(to).ok()?, host, path));
                assert_eq!(answer.status, status, "{host} {path}: {}", answer.body);
                assert_eq!(answer.body.contains("http.hosts"), status == 421, "{}", answer.body);
            }
        }
    }
}

/// Returns the mark that the app leaves in a restored database.
fn mark(database: &Path) -> i64 {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
    let connection = rusqlite::Connection::open_with_flags(database, flags).unwrap();
    connection.query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap()
}

/// Has an app that marks what is restored take the app's place, inside the sandbox.
fn marking(hearth: &mut Hearth, mark: u32) {
    let app = program("examples/strange_app").display().to_string();
    hearth.set("HEARTH_APP__COMMAND", format!("[{app:?}]")).set("TEST_MARK", mark.to_string());
}

#[test]
fn what_the_app_does_to_a_restored_database_is_sealed_and_committed_with_it() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 5);
    hearth.backup(&[]);
    running.stop();
    // The app's own number of the instance.
    let own = mark(&hearth.database());
    marking(&mut hearth, 11);
    let mut running = hearth.start();
    running.wait_serving();
    assert_eq!(mark(&hearth.database()), own, "a start is no restore");
    hearth.done(&["restore", "latest", "--yes"]);
    assert_eq!((hearth.live().as_deref(), mark(&hearth.database())), (Some("0002"), 11), "from an archive");
    hearth.set("TEST_MARK", "12");
    running.stop();
    hearth.done(&["restore", "0001", "--yes"]);
    assert_eq!((hearth.live().as_deref(), mark(&hearth.database())), (Some("0003"), 12), "offline, from a snapshot");
    let sealed: serde_json::Value =
        serde_json::from_slice(&fs::read(hearth.data.join("live/generation.json")).unwrap()).unwrap();
    assert_eq!(sealed["blake3"], harness::hash(&hearth.database()), "sealed as it was committed");
    assert_eq!(mark(&hearth.data.join("generations/0001/app.db")), own, "the snapshot is as it was");
    // An upgrade of the restored one is no restore.
    hearth.set("TEST_MARK", "13").next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    running.wait_serving();
    assert_eq!((hearth.live().as_deref(), mark(&hearth.database())), (Some("0004"), 12));
    running.stop();
    hearth.assert_tidy();
}

#[test]
fn a_restore_that_was_killed_in_its_probation_and_one_out_of_held_are_told_to_the_app_again() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 3);
    hearth.backup(&[]);
    running.stop();
    marking(&mut hearth, 21);
    hearth.set("HEARTH_FAULT", "prove.ready=kill");
    assert!(!hearth.run(&["restore", "latest", "--yes"]).status.success());
    assert_eq!(hearth.live().as_deref(), Some("0001"));
    hearth.unset("HEARTH_FAULT");
    hearth.done(&["restore", "latest", "--yes"]);
    assert_eq!(mark(&hearth.database()), 21);
    hearth.assert_tidy();
    fs::remove_file(hearth.data.join("live")).unwrap();
    hearth.set("TEST_MARK", "22");
    let mut running = hearth.start();
    running.wait_held(&hearth);
    hearth.done(&["restore", "0001", "--yes"]);
    running.wait_serving();
    assert_eq!(mark(&hearth.database()), 22);
    hearth.assert_tidy();
}

#[test]
fn what_the_app_leaves_beside_its_database_is_neither_cloned_nor_backed_up_and_in_nobodys_way() {
    let mut hearth = Hearth::new();
    let mut running = hearth.start();
    household::fill(running.wait_serving(), 3);
    let code = |generation: &str| hearth.data.join("generations").join(generation).join("setup-code");
    fs::write(code("0001"), "hush-hush-hush").unwrap();
    fs::set_permissions(code("0001"), fs::Permissions::from_mode(0o600)).unwrap();
    let made = hearth.backup(&["--drill"]);
    let archive = fs::File::open(made["archive"].as_str().unwrap()).unwrap();
    let opened = supervisor::work::backup::archive::read::open(archive, "backup").unwrap();
    assert!(opened.manifest().members.iter().all(|member| !member.path.contains("setup-code")));
    assert!(made["backup"]["left_out"].is_null(), "it is nothing to tell of: {made}");
    hearth.done(&["backup", "verify", "--all", "--drill"]);
    hearth.done(&["restore", "latest", "--yes"]);
    hearth.done(&["restore", "0001", "--yes"]);
    running.wait_serving();
    assert!(code("0001").exists() && !code("0002").exists() && !code("0003").exists());
    running.stop();
    fs::write(code("0003"), "of the live one").unwrap();
    let code = |generation: &str| hearth.data.join("generations").join(generation).join("setup-code");
    let (first, third, fourth) = (code("0001"), code("0003"), code("0004"));
    hearth
        .set("HEARTH_SNAPSHOTS__KEEP", "1")
        .set("HEARTH_SNAPSHOTS__KEEP_WRITTEN", "0s")
        .next_migrator("good", "9.1.0");
    let mut running = hearth.start();
    running.wait_serving();
    assert!(third.exists() && !fourth.exists());
    running.wait("the snapshots to go, with all that is in them", || (!first.parent().unwrap().exists()).then_some(()));
    running.stop();
}

#[test]
fn the_apps_own_commands_find_the_data_directory() {
    let hearth = Hearth::new();
    let bin = hearth.root.path().join("bin");
    fs::create_dir(&bin).unwrap();
    fs::copy(program("supervisor"), bin.join("supervisor")).unwrap();
    fs::write(bin.join("app"), "#!/bin/sh\necho \"$HEARTH_DATA_DIR $*\"\n").unwrap();
    fs::set_permissions(bin.join("app"), fs::Permissions::from_mode(0o755)).unwrap();
    // As `docker compose run --rm web app setup-code` comes in, whose image sets the variable.
    let output = std::process::Command::new(bin.join("supervisor"))
        .args(["app", "user", "reset-password", "ada@example.org"])
        .env("HEARTH_DATA_DIR", "/app/data")
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "/app/data user reset-password ada@example.org\n");
}

#[test]
fn the_operator_disables_and_enables_a_user_beside_the_app() {
    let hearth = Hearth::new();
    let mut running = hearth.start();
    let address = running.wait_serving();
    hearth.done(&["app", "user", "create", "beck@example.org"]);
    let listed = || {
        let list: serde_json::Value = serde_json::from_str(&hearth.done(&["app", "user", "list", "--json"])).unwrap();
        let of = list["users"].as_array().unwrap().iter().find(|user| user["email"] == "beck@example.org").cloned();
        of.unwrap()["disabled"].as_bool().unwrap()
    };
    assert_eq!(hearth.done(&["app", "user", "disable", "beck@example.org"]), "beck@example.org is now disabled.\n");
    assert!(listed());
    // Done already is done.
    let document = hearth.done(&["app", "user", "disable", "BECK@example.org", "--json"]);
    assert_eq!(document, "{\"disabled\":true,\"email\":\"BECK@example.org\"}\n");
    assert_eq!(hearth.done(&["app", "user", "enable", "beck@example.org"]), "beck@example.org is now enabled.\n");
    assert!(!listed());
    // The only owner stays one who can sign in; whose session goes on.
    let said = hearth.refused(&["app", "user", "disable", harness::http::EMAIL]);
    assert!(said.contains("only owner"), "{said}");
    assert!(hearth.refused(&["app", "user", "enable", "nobody@example.org"]).contains("no user has the e-mail"));
    // Who is disabled is signed out at once.
    hearth.done(&["app", "user", "set-role", "beck@example.org", "owner"]);
    harness::token(address);
    hearth.done(&["app", "user", "disable", harness::http::EMAIL]);
    let events = hearth.done(&["app", "user", "list"]);
    assert!(events.lines().any(|line| line.contains(harness::http::EMAIL) && line.ends_with("(disabled)")), "{events}");
    running.stop();
    let database = rusqlite::Connection::open(hearth.database()).unwrap();
    let count = |sql: &str| database.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM session"), 0);
    let told = "SELECT count(*) FROM audit_event WHERE method IN ('app user disable', 'app user enable')";
    assert_eq!(count(told), 3, "nothing is written down where nothing changed");
}
