//! Can an older release's app serve the databases of this source?
//!
//! That its statements still prepare does not prove it: the app of 0.3.0 prepares all of its own on the schema of 0.4.0, and
//! would show private records to everybody. So its programs run (`.ci/previous-programs` builds them):
//!
//! 1. Its own tests of its API, deletes included, start from a database that this source has migrated and whose app has used it.
//!    Tests that count on an empty household fail there in any case; so what counts is a test that fails there and passes on such a
//!    database of the older release itself. They start from an empty household as well.
//! 2. It shows nobody more than this source's app does.
//! 3. This source's app reads what each of those tests left behind, and no row is gone from a table that the older app does not know.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rusqlite::Connection;
use semver::Version;

use super::releases::{self, Released, root};
use super::{Problem, blocking, cargo, scratch};
use crate::Release;
use crate::schema::quoted;

/// What came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The older release.
    pub version: Version,
    /// How many runs of its tests told something: they pass on databases of this source or on its own.
    pub told: usize,
    /// A sentence for each reason why it cannot serve; none if it can.
    pub breaches: Vec<String>,
    /// The statements that this source's app prepared when it used a database.
    pub statements: Vec<String>,
}

/// An older release's programs and tests, as `.ci/previous-programs` leaves them.
struct Programs {
    version: Version,
    directory: PathBuf,
    /// Its tests of its API, if they can be started from another database than their own.
    tests: Option<PathBuf>,
}

/// Tries the release `version` on databases of `release`, and says on standard error what is being done.
///
/// # Errors
///
/// What cannot be built or started; what the tries found is in the [`Verdict`].
pub fn judge(release: &Release, version: &Version) -> Result<Verdict, Problem> {
    let all = releases::all()?;
    let Some(released) = all.iter().find(|released| released.version == *version) else {
        let known: Vec<_> = all.iter().map(|released| released.version.to_string()).collect();
        return Err(Problem::new(format!("there is no release {version}"))
            .hint(format!("migrator/releases has {}", known.join(", "))));
    };
    say(&format!("building the programs and tests of {version}"));
    let programs = Programs::build(version)?;
    let scratch = scratch()?;
    programs.judged(release, released, scratch.path())
}

/// The databases that the tests start from.
struct Databases {
    /// Used by the older release alone.
    used_by_older: PathBuf,
    /// The same, migrated and then used by this source's app.
    used: PathBuf,
    /// The older release's, with nobody in it.
    empty_of_older: PathBuf,
    /// The same, migrated.
    empty: PathBuf,
}

impl Databases {
    fn make(release: &Release, released: &Released, programs: &Programs, scratch: &Path) -> Result<Databases, Problem> {
        let path = |name: &str| scratch.join(name);
        let databases = Databases {
            used_by_older: path("used-by-older.db"),
            // As the test leaves it.
            used: path("app.db"),
            empty_of_older: path("empty-of-older.db"),
            empty: path("empty.db"),
        };
        released.make(&databases.used_by_older)?;
        programs.migrate(&databases.empty_of_older)?;
        copy(&databases.empty_of_older, &databases.empty)?;
        upgrade(release, &databases.empty)?;
        say("this source's app uses a database that was migrated");
        own_test("statements::release_files", &[("HEARTH_TEST_RELEASE_FILES", scratch)])?;
        // An app since 0.8.0 looks at the floor itself; what is tried here is whether it may be lowered to it.
        for database in [&databases.used, &databases.empty] {
            lower_floor(database, &released.version)?;
        }
        Ok(databases)
    }
}

impl Programs {
    fn build(version: &Version) -> Result<Programs, Problem> {
        let directory = root().join("target").join(version.to_string());
        run(Command::new(root().join(".ci/previous-programs")).arg(version.to_string()))?;
        let tests = directory.join("blackbox");
        // The tests of releases before 0.5.0 do not know the variable, and would pass on a database of their own.
        let hook = fs::read_to_string(directory.join("source/app/tests/blackbox/served.rs")).unwrap_or_default();
        let tests = Some(tests).filter(|tests| tests.exists() && hook.contains("HEARTH_TEST_DATABASE"));
        Ok(Programs { version: version.clone(), directory, tests })
    }

    fn app(&self) -> PathBuf {
        self.directory.join("app/app")
    }

    /// Makes a new database as this release's migrator does.
    fn migrate(&self, database: &Path) -> Result<(), Problem> {
        fs::write(database, "").map_err(|error| unwritable(database, &error))?;
        run(Command::new(self.directory.join("app/migrator")).arg("up").arg("--database").arg(database))
    }

    fn judged(&self, release: &Release, released: &Released, scratch: &Path) -> Result<Verdict, Problem> {
        let databases = Databases::make(release, released, self, scratch)?;
        let statements = scratch.join("statements");
        let statements = fs::read_to_string(&statements).map_err(|error| unreadable(&statements, &error))?;
        let statements = statements.lines().map(str::to_owned).collect();
        let mut verdict = Verdict { version: self.version.clone(), told: 0, breaches: Vec::new(), statements };
        match &self.tests {
            Some(tests) => self.try_tests(tests, &databases, scratch, &mut verdict)?,
            None => verdict.breaches.push(format!(
                "the tests of {} can be started from no other database than their own, so they prove nothing here",
                self.version
            )),
        }
        say("what each app shows to whom");
        own_test_of(
            &mut verdict,
            "older::an_older_program_shows_nobody_more",
            &[("HEARTH_TEST_DATABASE", &databases.used), ("HEARTH_TEST_OLDER_APP", &self.app())],
        );
        Ok(verdict)
    }

    /// Runs its tests on its own databases and on those of this source, and lets this source's app read what they leave.
    fn try_tests(
        &self,
        tests: &Path,
        databases: &Databases,
        scratch: &Path,
        verdict: &mut Verdict,
    ) -> Result<(), Problem> {
        for database in [&databases.used_by_older, &databases.used] {
            make_way(database)?;
        }
        let kept = scratch.join("kept");
        fs::create_dir(&kept).map_err(|error| unwritable(&kept, &error))?;
        let pairs = [
            ("an empty household", &databases.empty_of_older, &databases.empty, None),
            ("a used household", &databases.used_by_older, &databases.used, Some(kept.as_path())),
        ];
        for (what, before, after, kept) in pairs {
            say(&format!("the tests of {} on {what}, before and after the migration", self.version));
            let (passed, failed) = self.compared(tests, before, after, kept)?;
            verdict.told += passed + failed.len();
            verdict.breaches.extend(failed.into_iter().map(|test| {
                format!("its test {test} passes on {what} of {}, and not on the same after the migration", self.version)
            }));
        }
        verdict.breaches.extend(lost_rows(databases, &kept)?);
        say("what this source's app reads of what the other left");
        own_test_of(
            verdict,
            "older::what_an_older_program_left_is_read",
            &[("HEARTH_TEST_KEPT", &kept), ("HEARTH_TEST_OLDER_APP", &self.app())],
        );
        Ok(())
    }

    /// Returns how many tests pass after the migration, and the names of those that pass before it alone.
    fn compared(
        &self,
        tests: &Path,
        before: &Path,
        after: &Path,
        kept: Option<&Path>,
    ) -> Result<(usize, Vec<String>), Problem> {
        let (passed, failed) = self.tried(tests, after, None, kept)?;
        if passed.is_empty() {
            return Err(Problem::new(format!("no test of {} passes after the migration", self.version))
                .hint(format!("see for yourself: {}", tests.display())));
        }
        // Most of these fail on any database but a new one.
        let (passed_before, _) = self.tried(tests, before, Some(&failed), None)?;
        // A loaded machine fails one now and then; what the database is to blame for fails again.
        let (_, failed_again) = self.tried(tests, after, Some(&passed_before), None)?;
        Ok((passed.len() + passed_before.len() - failed_again.len(), failed_again))
    }

    /// Runs the tests, only those in `names` if they are given, and returns the names of those that passed and of those that failed.
    fn tried(
        &self,
        tests: &Path,
        database: &Path,
        names: Option<&[String]>,
        kept: Option<&Path>,
    ) -> Result<(Vec<String>, Vec<String>), Problem> {
        if names.is_some_and(<[String]>::is_empty) {
            return Ok(Default::default());
        }
        let mut command = Command::new(tests);
        command
            .current_dir(self.directory.join("source/app"))
            .env("HEARTH_TEST_APP", self.app())
            .env("HEARTH_TEST_DATABASE", database)
            .stdin(Stdio::null());
        if let Some(names) = names {
            command.arg("--exact").args(names);
        }
        if let Some(kept) = kept {
            command.env("HEARTH_TEST_KEEP", kept);
        }
        let output = command.output().map_err(|error| unstarted(&command, &error))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let ended = |how: &str| {
            let names = text.lines().filter_map(|line| line.strip_prefix("test ")?.strip_suffix(how));
            names.map(str::to_owned).collect::<Vec<_>>()
        };
        if !text.contains("\ntest result: ") {
            return Err(Problem::new(format!("the tests of {} did not come to their end", self.version)));
        }
        Ok((ended(" ... ok"), ended(" ... FAILED")))
    }
}

/// Runs an ignored test of this source's app; why it fails is a breach.
fn own_test_of(verdict: &mut Verdict, name: &str, variables: &[(&str, &Path)]) {
    if let Err(problem) = own_test(name, variables) {
        verdict.breaches.push(problem.message);
    }
}

/// Runs an ignored test of this source's app; what it says when it fails is the problem's message.
fn own_test(name: &str, variables: &[(&str, &Path)]) -> Result<(), Problem> {
    let mut command = cargo::cargo();
    command
        .args(["test", "--quiet", "--workspace", "--locked", "--test", "blackbox", "--", "--ignored", "--exact", name])
        .envs(variables.iter().copied())
        .env("RUST_BACKTRACE", "0");
    let output = command.output().map_err(|error| unstarted(&command, &error))?;
    if output.status.success() {
        return Ok(());
    }
    // What a test panics with, without where.
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    let mut lines = text.lines().skip_while(|line| !line.contains("panicked at")).skip(1);
    let said: Vec<&str> = lines.by_ref().take_while(|line| !line.starts_with("note: ")).collect();
    let said = if said.is_empty() { text.trim().to_owned() } else { said.join("\n") };
    Err(Problem::new(said))
}

/// Says of which tables that the older release does not know rows are gone, in what its tests left behind.
fn lost_rows(databases: &Databases, kept: &Path) -> Result<Vec<String>, Problem> {
    let known = rows(&databases.used_by_older)?;
    let before = rows(&databases.used)?;
    let mut lost = BTreeSet::new();
    let entries = fs::read_dir(kept).map_err(|error| unwritable(kept, &error))?;
    for path in
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| path.extension() == Some("db".as_ref()))
    {
        // Some tests leave nothing that could be read, by intent.
        let Ok(after) = rows(&path) else {
            continue;
        };
        for (table, was) in before.iter().filter(|(table, _)| !known.contains_key(*table)) {
            if after.get(table).is_some_and(|is| is < was) {
                lost.insert(format!("what it deletes takes rows of the table {table} along, which it does not know"));
            }
        }
    }
    Ok(lost.into_iter().collect())
}

/// Counts the rows of each ordinary table.
fn rows(database: &Path) -> Result<BTreeMap<String, i64>, Problem> {
    let count = || -> rusqlite::Result<BTreeMap<String, i64>> {
        let connection = Connection::open(database)?;
        let tables =
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'";
        let mut statement = connection.prepare(tables)?;
        let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        names
            .into_iter()
            .map(|name| {
                let sql = format!("SELECT count(*) FROM {}", quoted(&name));
                Ok((name, connection.query_row(&sql, [], |row| row.get(0))?))
            })
            .collect()
    };
    count().map_err(|error| Problem::new(format!("cannot read {}: {error}", database.display())))
}

/// Gives those of the used household other addresses than the tests give to whom they add.
fn make_way(database: &Path) -> Result<(), Problem> {
    let change = || {
        let connection = Connection::open(database)?;
        connection.execute_batch("UPDATE user SET email = 'of-before-' || email WHERE id > 1")?;
        connection.execute_batch("UPDATE user SET email_key = email WHERE id > 1").ok();
        connection.close().map_err(|(_, error)| error)
    };
    change().map_err(|error: rusqlite::Error| Problem::new(format!("cannot write {}: {error}", database.display())))
}

fn upgrade(release: &Release, database: &Path) -> Result<(), Problem> {
    let result = blocking(async || crate::up(database, release, &mut |_| {}).await)?;
    result.map(|_| ()).map_err(|error| Problem::new(format!("cannot migrate {}: {error}", database.display())))
}

/// Has the ledger of a database say that this version may serve it.
fn lower_floor(database: &Path, version: &Version) -> Result<(), Problem> {
    let lower = "UPDATE migration_ledger SET floor = ? WHERE floor IS NOT NULL";
    Connection::open(database)
        .and_then(|connection| connection.execute(lower, [version.to_string()]))
        .map(drop)
        .map_err(|error| Problem::new(format!("cannot lower the floor of {}: {error}", database.display())))
}

fn copy(from: &Path, to: &Path) -> Result<(), Problem> {
    fs::copy(from, to).map(|_| ()).map_err(|error| unwritable(to, &error))
}

fn run(command: &mut Command) -> Result<(), Problem> {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    cargo::without_package(command);
    let status = command.status().map_err(|error| unstarted(command, &error))?;
    if status.success() {
        return Ok(());
    }
    Err(Problem::new(format!("{} failed ({status})", command.get_program().to_string_lossy())))
}

fn unstarted(command: &Command, error: &std::io::Error) -> Problem {
    Problem::new(format!("cannot start {}: {error}", command.get_program().to_string_lossy()))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(format!("cannot read {}: {error}", path.display()))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(format!("cannot write {}: {error}", path.display()))
}

fn say(what: &str) {
    eprintln!("{what}…");
}
