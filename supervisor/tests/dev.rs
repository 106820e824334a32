//! `cargo dev` with programs that are built already: what a developer sees, from the first start to Ctrl-C.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    fs::{self, File},
    net::{SocketAddr, TcpListener},
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use harness::{LIMIT, holders, program, wait_for};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::{Value, json};

/// A directory with programs, and one for `cargo dev`.
struct Place {
    root: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { root: tempfile::tempdir().unwrap() };
        fs::create_dir(place.programs()).unwrap();
        for name in ["supervisor", "supervisor-job", "migrator", "app"] {
            place.build(name, &program(name));
        }
        place
    }

    fn programs(&self) -> PathBuf {
        self.root.path().join("programs")
    }

    fn directory(&self) -> PathBuf {
        self.root.path().join("dev")
    }

    fn data(&self) -> PathBuf {
        self.directory().join("data")
    }

    /// Puts a program into its place, as a build does.
    fn build(&self, name: &str, from: &Path) {
        let new = self.root.path().join("new");
        fs::copy(from, &new).unwrap();
        fs::rename(&new, self.programs().join(name)).unwrap();
    }

    /// Says what the entities have, as a build of the app does.
    fn say_entities(&self, entities: &Value) {
        let new = self.root.path().join("new");
        fs::write(&new, entities.to_string()).unwrap();
        fs::rename(&new, self.programs().join("entities.json")).unwrap();
    }

    fn command(&self) -> Command {
        harness::watchdog::step();
        let mut command = Command::new(program("developer"));
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("HEARTH_")) {
            command.env_remove(name);
        }
        command.arg("dev").arg("--directory").arg(self.directory()).arg("--programs").arg(self.programs());
        command
    }

    fn start(&self, arguments: &[&str]) -> Dev {
        let log = self.root.path().join("log");
        let file = File::create(&log).unwrap();
        let mut command = self.command();
        command.args(arguments).stdout(file.try_clone().unwrap()).stderr(file);
        Dev { child: command.spawn().unwrap(), log }
    }

    /// How many processes use the data directory.
    fn used_by(&self) -> usize {
        holders(&self.data().join("supervisor/lock"))
    }

    fn sql(&self, sql: &str) {
        rusqlite::Connection::open(self.data().join("live/app.db")).unwrap().execute_batch(sql).unwrap();
    }

    fn count(&self, what: &str) -> i64 {
        let database = rusqlite::Connection::open(self.data().join("live/app.db")).unwrap();
        database.query_row(&format!("SELECT count(*) FROM {what}"), [], |row| row.get(0)).unwrap()
    }
}

/// A running `cargo dev`.
struct Dev {
    child: Child,
    log: PathBuf,
}

impl Dev {
    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until its log has these words after so many of its bytes; returns what follows them.
    fn wait(&mut self, from: usize, words: &str) -> String {
        let until = Instant::now() + LIMIT;
        loop {
            let log = self.log();
            if let Some((_, rest)) = log[from..].split_once(words) {
                return rest.to_owned();
            }
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("it ended ({status}) before {words:?}:\n{log}");
            }
            assert!(Instant::now() < until, "waited for {words:?}:\n{log}");
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits for the link after so many bytes of the log; returns the address and the token.
    fn wait_link(&mut self, from: usize) -> (SocketAddr, String) {
        let rest = self.wait(from, "  sign in  http://");
        self.wait(from, "[Dev] waiting for a change");
        let link = rest.lines().next().unwrap();
        let (address, token) = link.split_once("/reset/").unwrap();
        (address.parse().unwrap(), token.to_owned())
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), signal).unwrap();
        wait_for("its end", || self.child.try_wait().unwrap())
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if self.child.try_wait().unwrap().is_none() {
            self.end(Signal::SIGTERM);
        }
    }
}

/// One request as a browser with this cookie; returns status, cookie and body.
fn ask(address: SocketAddr, method: &str, path: &str, cookie: &str, body: &Value) -> (u16, String, Value) {
    use std::io::{Read, Write};
    let body = body.to_string();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    let request = format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\nsec-fetch-site: same-origin\r\ncookie: {cookie}\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).unwrap();
    let answer = harness::parse(&bytes).unwrap();
    let cookie = answer.headers.get("set-cookie").and_then(|cookie| cookie.split(';').next()).unwrap_or_default();
    (answer.status, cookie.to_owned(), serde_json::from_str(&answer.body).unwrap_or_default())
}

/// Chooses a password by the link and signs in; returns the cookie.
fn sign_in((address, token): &(SocketAddr, String)) -> String {
    const PASSWORD: &str = "eleven-red-kettles";
    let chosen = ask(*address, "POST", "/api/v1/reset", "", &json!({ "token": token, "password": PASSWORD }));
    assert!(chosen.0 < 300, "{chosen:?}");
    let body = json!({ "email": "owner0@example.org", "password": PASSWORD });
    let (status, cookie, answer) = ask(*address, "POST", "/api/v1/session", "", &body);
    assert_eq!(status, 201, "{answer}");
    cookie
}

fn titles(address: SocketAddr, cookie: &str) -> Vec<String> {
    let (status, _, page) = ask(address, "GET", "/api/v1/records?limit=200", cookie, &json!({}));
    assert_eq!(status, 200, "{page}");
    page["items"].as_array().unwrap().iter().map(|record| record["title"].as_str().unwrap().to_owned()).collect()
}

/// An entity of the table `record` with a column that no migration makes, and one of a table that none makes.
fn entities() -> Value {
    let column = |name: &str, affinity: &str, primary_key: bool| {
        json!({ "name": name, "affinity": affinity, "nullable": false, "default": null, "primary_key": primary_key,
                "auto_increment": primary_key, "unique": false, "extra": null })
    };
    let table =
        |name: &str, columns: Value| json!({ "table": name, "columns": columns, "indexes": [], "foreign_keys": [] });
    json!([
        table("record", json!([column("id", "INTEGER", true), column("colour", "TEXT", false)])),
        table("shelf", json!([column("id", "INTEGER", true), column("width", "REAL", false)])),
    ])
}

#[test]
fn it_prints_a_link_shows_a_family_restarts_at_a_change_and_ends_with_all_that_it_started() {
    let place = Place::new();
    let mut dev = place.start(&["--listen", "127.0.0.1:0"]);
    let link = dev.wait_link(0);
    let cookie = sign_in(&link);
    let shown = titles(link.0, &cookie);
    for title in ["Boiler service", "Contrôle technique", "تجديد جواز السفر", "暖气检修", "Поверка счётчиков воды"]
    {
        assert!(shown.iter().any(|shown| shown == title), "{title} of {shown:?}");
    }
    assert!(shown.iter().any(|title| title == "Passport"), "the owner's own: {shown:?}");
    assert!(shown.iter().all(|title| title != "Tax return"), "Ben's own: {shown:?}");
    assert!(shown.iter().any(|title| title == "Car insurance 0"), "of the newest release: {shown:?}");

    // A second one in the same place says who is there.
    let second = place.command().output().unwrap();
    assert_eq!(second.status.code(), Some(1));
    let said = harness::told(&second);
    assert!(
        said.contains(&format!("already runs in {}, as process {}", place.directory().display(), dev.child.id())),
        "{said}"
    );

    // Another app: the supervisor is started again with it, and the household is kept.
    let (status, ..) = ask(link.0, "POST", "/api/v1/records", &cookie, &json!({ "title": "Typed in" }));
    assert_eq!(status, 201);
    let from = dev.log().len();
    place.build("app", &program("app"));
    let rest = dev.wait(from, "serving again on http://");
    let address = rest.lines().next().unwrap().parse().unwrap();
    assert!(titles(address, &cookie).contains(&"Typed in".to_owned()));
    dev.wait(from, "[Dev] waiting for a change");

    // An entity with more than the migrations make.
    let from = dev.log().len();
    place.say_entities(&entities());
    let link = dev.wait_link(from);
    let log = dev.log()[from..].to_owned();
    for words in [
        "since the entities changed: what was typed into it is gone",
        "column colour of the entity of table record is not in the table",
        "table shelf of an entity is not in the database",
        "cargo migration new",
        // What the supervisor says to it is true.
        "warning: table record: column colour was added",
    ] {
        assert!(log.contains(words), "{words}: {log}");
    }
    assert_eq!(place.count("record WHERE colour = '' AND title = 'Typed in'"), 0);
    assert!(place.count("record WHERE colour = ''") > 70);
    assert_eq!(place.count("shelf"), 0);
    assert!(titles(link.0, &sign_in(&link)).iter().any(|title| title == "Boiler service"));

    // Again without: it is gone from the database, too.
    let from = dev.log().len();
    place.say_entities(&json!([]));
    dev.wait_link(from);
    assert_eq!(place.count("pragma_table_info('record') WHERE name = 'colour'"), 0);

    assert!(place.used_by() > 0);
    let status = dev.end(Signal::SIGINT);
    assert_eq!((status.code(), status.signal()), (Some(0), None), "{}", dev.log());
    assert!(dev.log().ends_with("[Supervisor] stopped\n"), "{}", dev.log());
    assert_eq!(place.used_by(), 0);

    // The next start finds the same household.
    place.sql("UPDATE record SET title = 'Kept' WHERE title = 'Passport'");
    let mut dev = place.start(&["--listen", "127.0.0.1:0"]);
    let link = dev.wait_link(0);
    assert!(titles(link.0, &sign_in(&link)).contains(&"Kept".to_owned()));
    assert_eq!(dev.end(Signal::SIGTERM).code(), Some(0));
    assert_eq!(place.used_by(), 0);
}

#[test]
fn migrations_that_fail_leave_what_runs_and_new_ones_make_the_household_anew() {
    let place = Place::new();
    let mut dev = place.start(&["--listen", "127.0.0.1:0"]);
    let (address, _) = dev.wait_link(0);
    place.sql("INSERT INTO record (title, created_at, updated_at) VALUES ('Typed in', '', '')");

    let script = |migrations: &str| {
        let path = place.root.path().join("script");
        let next = program("examples/next_migrator");
        let version = env!("CARGO_PKG_VERSION");
        let words = format!(
            "#!/bin/sh\nTEST_VERSION={version} TEST_MIGRATIONS={migrations} exec '{}' \"$@\"\n",
            next.display()
        );
        fs::write(&path, words).unwrap();
        fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        path
    };
    let from = dev.log().len();
    place.build("migrator", &script("good,fails"));
    let rest = dev.wait(from, "what was built before serves on: ");
    assert!(rest.starts_with(&format!("http://{address}")), "{rest}");
    assert!(dev.log()[from..].contains("m9003_fails"), "{}", dev.log());
    assert_eq!(harness::get(address, "/health").status, 200);
    assert_eq!(place.count("record WHERE title = 'Typed in'"), 1);
    dev.wait(from, "[Dev] waiting for a change");

    let from = dev.log().len();
    place.build("migrator", &script("good"));
    dev.wait(from, "since the migrator changed");
    wait_for("the new migration", || {
        let database = rusqlite::Connection::open(place.data().join("live/app.db")).ok()?;
        database.query_row("SELECT count(colour) FROM record", [], |row| row.get::<_, i64>(0)).ok()
    });
    assert_eq!(place.count("record WHERE title = 'Typed in'"), 0);
    // Not lost at once, either.
    let before = rusqlite::Connection::open(place.directory().join("before/live/app.db")).unwrap();
    let kept = before.query_row("SELECT count(*) FROM record WHERE title = 'Typed in'", [], |row| row.get::<_, i64>(0));
    assert_eq!(kept.unwrap(), 1);
    assert_eq!(dev.end(Signal::SIGTERM).code(), Some(0));
    assert_eq!(place.used_by(), 0);
}

#[test]
fn what_a_killed_one_left_is_named_and_left_alone() {
    let place = Place::new();
    let mut dev = place.start(&["--listen", "127.0.0.1:0"]);
    let (address, _) = dev.wait_link(0);
    dev.end(Signal::SIGKILL);
    let again = place.command().args(["--listen", "127.0.0.1:0"]).output().unwrap();
    let said = harness::told(&again);
    assert_eq!(again.status.code(), Some(1), "{said}");
    let (_, process) = said.split_once("end it with kill ").unwrap_or_else(|| panic!("{said}"));
    let process = process.lines().next().unwrap().parse().unwrap();
    assert!(
        said.contains(&format!("a supervisor already runs on {}, as process {process}", place.data().display())),
        "{said}"
    );
    assert_eq!(harness::get(address, "/health").status, 200);
    kill(Pid::from_raw(process), Signal::SIGTERM).unwrap();
    wait_for("its end", || (place.used_by() == 0).then_some(()));
}

#[test]
fn a_taken_address_is_named() {
    let place = Place::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = place.command().args(["--listen", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = harness::told(&output);
    assert!(said.contains(&format!("another program listens on {address}")), "{said}");
}

#[test]
fn a_missing_program_is_named_and_waited_for() {
    let place = Place::new();
    fs::rename(place.programs().join("app"), place.root.path().join("app")).unwrap();
    let mut dev = place.start(&["--listen", "127.0.0.1:0"]);
    dev.wait(0, "[Dev] waiting for a change");
    let log = dev.log();
    assert!(log.contains(&format!("cannot find {}", place.programs().join("app").display())), "{log}");
    assert!(log.contains("[Dev] nothing runs"), "{log}");
    fs::rename(place.root.path().join("app"), place.programs().join("app")).unwrap();
    dev.wait_link(0);
    assert_eq!(dev.end(Signal::SIGHUP).code(), Some(0));
    assert_eq!(place.used_by(), 0);
}
