//! What the tests share: databases in temporary directories, and the real binaries.
#![allow(dead_code, reason = "each test file is a program of its own and uses a part of it")]

#[path = "../../../supervisor/tests/harness/watchdog.rs"]
mod watchdog;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rusqlite::types::Value as Sql;
use rusqlite::{Connection, OpenFlags};
use serde_json::Value;

/// A directory with a database in it; both go when it is dropped.
pub(crate) struct Place {
    pub(crate) dir: tempfile::TempDir,
    pub(crate) database: PathBuf,
}

impl Place {
    /// With a new, empty database.
    pub(crate) fn empty() -> Place {
        watchdog::step();
        let dir = tempfile::tempdir().unwrap();
        let database = dir.path().join("app.db");
        fs::write(&database, "").unwrap();
        Place { dir, database }
    }

    /// With the database of this release and `number` records in it.
    pub(crate) fn with_records(number: usize) -> Place {
        let place = Place::empty();
        place.up(migrator()).succeeded();
        fill(&place.database, number);
        place
    }

    /// With a database made from a release's SQL text.
    pub(crate) fn from_sql(sql: &str) -> Place {
        let place = Place::empty();
        let connection = Connection::open(&place.database).unwrap();
        connection.execute_batch(sql).unwrap();
        connection.close().unwrap();
        place
    }

    pub(crate) fn up(&self, command: Command) -> Ran {
        self.run(command, &["up", "--json"])
    }

    pub(crate) fn status(&self, command: Command) -> Ran {
        self.run(command, &["status", "--json"])
    }

    pub(crate) fn run(&self, mut command: Command, arguments: &[&str]) -> Ran {
        ran(command.args(arguments).arg("--database").arg(&self.database))
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        fs::read(&self.database).unwrap()
    }

    /// Nothing lies beside the database.
    pub(crate) fn is_tidy(&self) -> bool {
        fs::read_dir(self.dir.path()).unwrap().count() == 1
    }

    pub(crate) fn open(&self) -> Connection {
        open(&self.database)
    }

    pub(crate) fn content(&self) -> Content {
        content(&self.open())
    }
}

/// The shipped migrator.
pub(crate) fn migrator() -> Command {
    command(Path::new(env!("CARGO_BIN_EXE_migrator")))
}

/// A later release's migrator with the test migrations in `list`.
pub(crate) fn next(list: &str) -> Command {
    let binary = Path::new(env!("CARGO_BIN_EXE_migrator"));
    let next = binary.parent().unwrap().join("examples/next_migrator");
    assert!(next.exists(), "{} is not built: cargo build -p migrator --examples", next.display());
    let mut command = command(&next);
    command.env("TEST_MIGRATIONS", list);
    command
}

fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("HEARTH_") {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null());
    command
}

/// How a process ended and what it said.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) signal: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

pub(crate) fn ran(command: &mut Command) -> Ran {
    watchdog::step();
    Ran::from(command.output().unwrap())
}

impl From<Output> for Ran {
    fn from(output: Output) -> Ran {
        Ran {
            code: output.status.code(),
            signal: output.status.signal(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Ran {
    /// The documents on standard output.
    pub(crate) fn documents(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[track_caller]
    pub(crate) fn succeeded(self) -> Ran {
        assert_eq!((self.code, self.stderr.as_str()), (Some(0), ""), "{self:?}");
        self
    }

    /// It ended with exit 1 and one error document of this kind; its message and hint.
    #[track_caller]
    pub(crate) fn failed(&self, kind: &str) -> String {
        assert_eq!((self.code, self.stderr.as_str()), (Some(1), ""), "{self:?}");
        let documents = self.documents();
        let error = documents.last().unwrap();
        assert_eq!((&error["event"], &error["error"]["kind"]), (&"error".into(), &kind.into()), "{self:?}");
        let text = |name: &str| error["error"][name].as_str().unwrap_or("").to_owned();
        format!("{}\n{}", text("message"), text("hint"))
    }

    /// The names of the migrations it said it applied.
    pub(crate) fn applied(&self) -> Vec<String> {
        let documents = self.documents();
        let last = documents.last().unwrap();
        assert_eq!(last["event"], "complete", "{self:?}");
        last["applied"].as_array().unwrap().iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }
}

/// A database's statements by type and name, and the rows of its ordinary tables.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Content {
    pub(crate) schema: BTreeMap<(String, String), String>,
    pub(crate) rows: BTreeMap<String, Vec<Vec<Sql>>>,
}

pub(crate) fn open(path: &Path) -> Connection {
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE).unwrap()
}

pub(crate) fn content(connection: &Connection) -> Content {
    let tables = tables(connection);
    let rows = tables
        .into_iter()
        .map(|table| {
            let sql = format!("SELECT * FROM \"{table}\" ORDER BY 1, 2");
            (table, query(connection, &sql))
        })
        .collect();
    let schema = query(connection, "SELECT type, name, ifnull(sql, '') FROM sqlite_schema")
        .into_iter()
        .map(|row| ((text(&row[0]), text(&row[1])), text(&row[2])))
        .collect();
    Content { schema, rows }
}

/// The ordinary tables, without shadow tables and SQLite's own.
pub(crate) fn tables(connection: &Connection) -> Vec<String> {
    let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite%'";
    query(connection, sql).iter().map(|row| text(&row[0])).collect()
}

pub(crate) fn query(connection: &Connection, sql: &str) -> Vec<Vec<Sql>> {
    let mut statement = connection.prepare(sql).unwrap();
    let width = statement.column_count();
    statement
        .query_map([], |row| (0..width).map(|index| row.get(index)).collect())
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}

pub(crate) fn text(value: &Sql) -> String {
    match value {
        Sql::Text(text) => text.clone(),
        other => panic!("{other:?} is not a text"),
    }
}

/// Somebody drops the column `due_date`, and all that needs it.
pub(crate) const DUE_DATE_GOES: &str = "
    DROP INDEX record_due_date; DROP INDEX record_updated_at; DROP INDEX record_title;
    DROP TRIGGER record_version; DROP TRIGGER record_change_update; DROP TRIGGER record_history; DROP TRIGGER record_trash;
    ALTER TABLE record DROP COLUMN due_date";

/// Adds records in several scripts, with long notes and due dates.
pub(crate) fn fill(database: &Path, number: usize) {
    let titles =
        ["Passport", "Steuererklärung", "出生証明書", "Свидетельство", "شهادة الميلاد", "O'Neil's \"policy\"\n2"];
    let mut connection = open(database);
    let transaction = connection.transaction().unwrap();
    for n in 0..number {
        let time = format!("2026-11-{:02}T10:00:{:02}.{:03}Z", n % 28 + 1, n % 60, n % 1000);
        transaction
            .execute(
                "INSERT INTO record (title, category, notes, due_date, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?)",
                rusqlite::params![
                    format!("{} {n}", titles[n % titles.len()]),
                    ["papers", "", "家"][n % 3],
                    "a long note — ".repeat(n % 40),
                    (n % 2 == 0).then(|| format!("2027-01-{:02}", n % 28 + 1)),
                    time,
                    time,
                ],
            )
            .unwrap();
    }
    transaction.commit().unwrap();
    connection.close().unwrap();
}

pub(crate) fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}
