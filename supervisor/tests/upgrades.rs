//! From every release to this source, from every release to every later one, and the whole chain, through the real supervisor.
//!
//! The releases' databases are those in `migrator/releases`. A later release that is not this source is played by a migrator that
//! knows the migrations up to its last one. Its app is the real one where `.ci/previous-image` has built it (`target/<version>`),
//! and otherwise `strange_app`, which serves nothing: then only the database is looked at.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod harness;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant, SystemTime},
};

use harness::{
    Hearth, Running,
    chance::{Dice, Telling, number},
    hash, household, http, program, request,
};
use nix::{
    fcntl::{Flock, FlockArg},
    sys::signal::Signal,
};
use rusqlite::{Connection, types::Value as Sql};
use serde_json::json;

/// Tables that an app clears by itself.
const CLEARED: [&str; 3] = ["session", "verification", "idempotency_key"];
/// Columns that an app computes of others at its start.
const COMPUTED: [&str; 5] = ["email_key", "folded", "category_key", "title_key", "fold_version"];

/// A release, and the names of its migrations.
struct Release {
    version: String,
    migrations: Vec<String>,
}

/// The releases there are, oldest first.
fn releases() -> Vec<Release> {
    let listed = Command::new(program("examples/earlier_release")).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let releases: Vec<Release> = listed
        .lines()
        .map(|version| {
            let path = directory.path().join(version);
            make(version, &path, directory.path());
            let migrations = Connection::open(&path)
                .unwrap()
                .prepare("SELECT version FROM seaql_migrations ORDER BY version")
                .unwrap()
                .query_map([], |row| row.get(0))
                .unwrap()
                .map(Result::unwrap)
                .collect();
            Release { version: version.to_owned(), migrations }
        })
        .collect();
    assert!(releases.len() >= 5, "the releases are not found: {listed:?}");
    releases
}

/// Writes the database of a release, and its attachments' contents below the data directory.
fn make(version: &str, path: &Path, data: &Path) {
    let made = Command::new(program("examples/earlier_release")).arg(version).arg(path).arg(data).output().unwrap();
    assert!(made.status.success(), "{}", harness::told(&made));
}

/// A data directory as this release left it.
fn left_by(release: &Release) -> Hearth {
    let hearth = Hearth::new();
    let generation = hearth.data.join("generations/0001");
    fs::create_dir_all(&generation).unwrap();
    make(&release.version, &generation.join("app.db"), &hearth.data);
    std::os::unix::fs::symlink("generations/0001", hearth.data.join("live")).unwrap();
    hearth
}

/// The directory with this release's own programs, if they were built.
fn built(version: &str) -> Option<PathBuf> {
    let target = program("supervisor").parent()?.parent()?.join(version).join("app");
    target.join("app").exists().then_some(target)
}

/// From here on this release is started: with its own programs where they are built.
fn run_release(hearth: &mut Hearth, release: &Release) {
    match built(&release.version) {
        Some(programs) => {
            let path = |name: &str| programs.join(name).display().to_string();
            hearth.set("HEARTH_MIGRATOR__COMMAND", format!("[{:?}]", path("migrator")));
            hearth.set("HEARTH_APP__COMMAND", format!("[{:?}, \"serve\"]", path("app")));
        }
        None => {
            hearth.next_migrator("", &release.version).set("TEST_LAST", release.migrations.last().unwrap());
            hearth.strange("");
        }
    }
}

/// From here on this source is started.
fn run_this(hearth: &mut Hearth) {
    hearth.own_migrator().unset("TEST_LAST").unset("HEARTH_APP__COMMAND").unset("HEARTH_SANDBOX__MODE");
    hearth.set("HEARTH_AUTH__ADMIN_EMAIL", http::EMAIL).set("HEARTH_AUTH__ADMIN_PASSWORD", http::PASSWORD);
}

/// The household's rows: of each table, those of each column.
struct Rows(BTreeMap<String, (Vec<String>, Vec<Vec<Sql>>)>);

impl Rows {
    /// Reads a copy of a database, so that nothing in it changes by that.
    fn of(database: &Path) -> Self {
        let place = tempfile::tempdir().unwrap();
        for end in ["", "-wal"] {
            let from = PathBuf::from(format!("{}{end}", database.display()));
            if from.exists() {
                fs::copy(from, place.path().join(format!("app.db{end}"))).unwrap();
            }
        }
        let connection = Connection::open(place.path().join("app.db")).unwrap();
        let names = |sql: &str| -> Vec<String> {
            let mut statement = connection.prepare(sql).unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        assert_eq!(names("PRAGMA integrity_check"), ["ok"]);
        assert!(names("SELECT \"table\" FROM pragma_foreign_key_check").is_empty());
        let tables = names("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'");
        let is_households = |table: &String| {
            !table.starts_with("sqlite_")
                && !["migration_ledger", "seaql_migrations"].contains(&table.as_str())
                && !CLEARED.contains(&table.as_str())
        };
        let tables = tables.into_iter().filter(is_households).map(|table| {
            let mut columns = names(&format!("SELECT name FROM pragma_table_info('{table}')"));
            columns.retain(|column| !COMPUTED.contains(&column.as_str()));
            let rows = Self::read(&connection, &table, &columns);
            (table, (columns, rows))
        });
        Self(tables.collect())
    }

    fn read(connection: &Connection, table: &str, columns: &[String]) -> Vec<Vec<Sql>> {
        let list = columns.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(", ");
        let mut statement = connection.prepare(&format!("SELECT {list} FROM \"{table}\"")).unwrap();
        let rows = statement.query_map([], |row| (0..columns.len()).map(|index| row.get(index)).collect());
        rows.unwrap().map(Result::unwrap).collect()
    }

    /// Asserts that each row of `before` is still there, with the same value in each column.
    fn hold(&self, before: &Rows, case: &str) {
        for (table, (columns, rows)) in &before.0 {
            let Some((now, present)) = self.0.get(table) else { panic!("{case}: table {table} is gone") };
            let places: Vec<usize> = columns
                .iter()
                .map(|column| {
                    now.iter()
                        .position(|name| name == column)
                        .unwrap_or_else(|| panic!("{case}: {table}.{column} is gone"))
                })
                .collect();
            let mut left: Vec<&Vec<Sql>> = present.iter().collect();
            for row in rows {
                let is_it = |other: &&Vec<Sql>| places.iter().zip(row).all(|(place, value)| other[*place] == *value);
                let Some(found) = left.iter().position(is_it) else { panic!("{case}: {table} has lost {row:?}") };
                left.swap_remove(found);
            }
        }
    }

    /// The records, as the API tells them.
    fn records(&self) -> BTreeMap<i64, BTreeMap<&'static str, Sql>> {
        let (columns, rows) = &self.0["record"];
        let value = |row: &[Sql], name: &str| row[columns.iter().position(|column| column == name).unwrap()].clone();
        let record = |row: &Vec<Sql>| {
            let Sql::Integer(id) = value(row, "id") else { panic!("an id") };
            (id, ["title", "category", "notes", "due_date"].map(|name| (name, value(row, name))).into())
        };
        rows.iter().map(record).collect()
    }
}

/// Gives the harness an account, where the release's household has none that it knows the password of.
fn let_in(hearth: &Hearth, address: SocketAddr) {
    let has_users = Connection::open(hearth.database()).unwrap().query_row(
        "SELECT count(*) FROM user WHERE email <> ?",
        [http::EMAIL],
        |row| row.get::<_, i64>(0),
    );
    if has_users.unwrap() == 0 {
        // The owner whom the settings name.
        return;
    }
    let mut app = Command::new(program("app"));
    app.args(["user", "create", http::EMAIL, "--role", "admin", "--json"]).env("HEARTH_DATA_DIR", &hearth.data);
    let output = app.env_remove("HEARTH_DATABASE").output().unwrap();
    assert!(output.status.success(), "{}", harness::told(&output));
    let link: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let body = json!({ "token": link["token"], "password": http::PASSWORD });
    let chosen = request(address, "POST", "/api/v1/reset", "application/json", Some(&body)).unwrap();
    assert!(chosen.status < 300, "{}", chosen.body);
}

/// Asserts that the API shows all of the household's records, and takes another one.
fn assert_served(hearth: &Hearth, address: SocketAddr, before: &Rows, case: &str) {
    let_in(hearth, address);
    let shown = household::all(address);
    let expected = before.records();
    assert_eq!(shown.keys().collect::<BTreeSet<_>>(), expected.keys().collect(), "{case}");
    for (id, record) in expected {
        for (name, value) in record {
            let told = shown[&id][name].as_str().map_or(Sql::Null, |text| Sql::Text(text.to_owned()));
            assert_eq!(told, value, "{case}: {name} of record {id}");
        }
    }
    household::add(address, &household::record(1));
}

/// Asserts that an upgrade left the database before it as a snapshot, byte for byte, and nothing half-done.
fn assert_snapshot(hearth: &Hearth, left: &str, is_new: bool, case: &str) {
    hearth.assert_tidy();
    let expected: &[&str] = if is_new { &["0001", "0002"] } else { &["0001"] };
    assert_eq!(hearth.generations(), expected, "{case}");
    if is_new {
        assert_eq!(hash(&hearth.data.join("generations/0001/app.db")), left, "{case}: the snapshot is as it was");
    }
}

#[test]
fn every_release_is_upgraded_to_this_source_and_its_records_are_served() {
    for release in releases() {
        let case = format!("{} to this source", release.version);
        let _telling = Telling(case.clone());
        let hearth = left_by(&release);
        let before = Rows::of(&hearth.database());
        assert!(before.records().len() > 50, "{case}");
        let left = hash(&hearth.database());
        let mut running = hearth.start();
        let address = running.wait_serving();
        assert!(!running.log().contains("was added"), "{case}: drift\n{}", running.log());
        assert_served(&hearth, address, &before, &case);
        assert_eq!(running.stop().code(), Some(0), "{case}");
        assert_snapshot(&hearth, &left, release.migrations.len() < harness::MIGRATIONS.len(), &case);
        Rows::of(&hearth.database()).hold(&before, &case);
    }
}

#[test]
fn every_release_is_upgraded_to_every_later_one() {
    let releases = releases();
    let pairs =
        releases.iter().enumerate().flat_map(|(index, from)| releases[index + 1..].iter().map(move |to| (from, to)));
    let pairs: Vec<_> = pairs.collect();
    in_parallel(&pairs, |(from, to)| {
        let case = format!("{} to {}", from.version, to.version);
        let _telling = Telling(case.clone());
        let mut hearth = left_by(from);
        let before = Rows::of(&hearth.database());
        let left = hash(&hearth.database());
        run_release(&mut hearth, to);
        let mut running = hearth.start();
        running.wait_serving();
        assert_eq!(running.stop().code(), Some(0), "{case}");
        assert_snapshot(&hearth, &left, from.migrations.len() < to.migrations.len(), &case);
        let now = Rows::of(&hearth.database());
        now.hold(&before, &case);
        // And what this source makes of that.
        run_this(&mut hearth);
        let mut running = hearth.start();
        let address = running.wait_serving();
        assert_served(&hearth, address, &now, &case);
        assert_eq!(running.stop().code(), Some(0), "{case}");
        Rows::of(&hearth.database()).hold(&now, &case);
    });
}

/// Starts each release on the same data directory, and at last this source. `disturb` is done before each start.
fn live_through(releases: &[Release], mut disturb: impl FnMut(&Hearth)) {
    let mut hearth = left_by(&releases[0]);
    let first = Rows::of(&hearth.database());
    let mut before = Rows::of(&hearth.database());
    let this = [None];
    for step in releases[1..].iter().map(Some).chain(this) {
        let case = format!("from {} on, to {}", releases[0].version, step.map_or("this source", |step| &step.version));
        let _telling = Telling(case.clone());
        match step {
            Some(release) => run_release(&mut hearth, release),
            None => run_this(&mut hearth),
        }
        disturb(&hearth);
        let mut running = hearth.start();
        let address = running.wait_serving();
        if step.is_none() {
            assert_served(&hearth, address, &before, &case);
        }
        assert_eq!(running.stop().code(), Some(0), "{case}: {}", running.log());
        hearth.assert_tidy();
        let now = Rows::of(&hearth.database());
        now.hold(&before, &case);
        now.hold(&first, &case);
        before = now;
    }
    let upgrades = releases[1..].iter().map(|release| release.migrations.len()).chain([harness::MIGRATIONS.len()]);
    let mut known = releases[0].migrations.len();
    let upgrades = upgrades.filter(|&number| std::mem::replace(&mut known, number) < number).count();
    assert_eq!(
        hearth.live().unwrap(),
        format!("{:04}", upgrades + 1),
        "one generation for each upgrade, however often it was tried"
    );
}

#[test]
fn a_household_that_took_every_release_has_every_row() {
    live_through(&releases(), |_| {});
}

#[test]
fn a_household_whose_upgrades_were_killed_at_random_moments_has_every_row() {
    let releases = releases();
    let kills = number("HEARTH_TEST_KILLS").unwrap_or(releases.len() as u64);
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let first = number("HEARTH_TEST_SEED").unwrap_or(clock.as_secs() * 1_000_000);
    println!("HEARTH_TEST_SEED={first} HEARTH_TEST_KILLS={kills}");
    // One kill at each upgrade of a chain.
    let chains = kills.div_ceil(releases.len() as u64);
    let longest = undisturbed(&releases[0]).mul_f64(1.2);
    let seeds: Vec<u64> = (first..first + chains).collect();
    in_parallel(&seeds, |seed| {
        let _telling = Telling(format!("HEARTH_TEST_SEED={seed} HEARTH_TEST_KILLS=1"));
        let mut dice = Dice(*seed);
        live_through(&releases, |hearth| {
            let mut running = hearth.start();
            thread::sleep(dice.time(longest));
            running.signal(Signal::SIGKILL);
            running.wait_end();
            wait_left_alone(hearth, &running);
        });
    });
}

/// How long an upgrade takes when nothing is killed.
fn undisturbed(release: &Release) -> Duration {
    let hearth = left_by(release);
    let since = Instant::now();
    hearth.start().wait_serving();
    since.elapsed()
}

/// Waits until no process has the data directory's lock any more.
fn wait_left_alone(hearth: &Hearth, running: &Running) {
    let Ok(lock) = fs::File::open(hearth.data.join("supervisor/lock")) else { return };
    let mut lock = Some(lock);
    running.wait("the lock to be free", || match Flock::lock(lock.take()?, FlockArg::LockExclusiveNonblock) {
        Ok(_) => Some(()),
        Err((back, _)) => {
            lock = Some(back);
            None
        }
    });
}

/// Does the work for each item, several at a time.
fn in_parallel<T: Sync>(items: &[T], work: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some(item) = items.get(next.fetch_add(1, Ordering::Relaxed)) {
                    work(item);
                }
            });
        }
    });
}
