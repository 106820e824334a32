//! Which statements does a migration execute?
//!
//! sqlx logs each statement when it is done, in the thread that serves the connection. [`capture`] gives that thread a name of its own
//! and listens to what is logged there, so that captures at the same time, and all that else uses SQLite in this process, do not
//! mix. A batch of several statements is logged as the one text that it was given as. The values that are bound are not logged.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DbErr, TransactionTrait};
use sea_orm_migration::SchemaManager;
use tracing::field::{Field, Visit};
use tracing::span;
use tracing::{Event, Metadata, Subscriber};

use super::{Problem, blocking};
use crate::error::words;
use crate::{Release, database};

/// What one migration executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// The migration's name.
    pub migration: String,
    /// The statements, in the order in which they ended.
    pub statements: Vec<String>,
}

/// A connection whose statements are captured.
#[derive(Debug)]
pub struct Capture {
    /// The connection; it has foreign keys off, as that of an upgrade has.
    pub connection: DatabaseConnection,
    thread: String,
}

/// Opens the database at `path` (it is made if it is not there) so that what is executed on it can be told.
///
/// # Errors
///
/// SQLite's, and that another log listens in this process.
pub async fn capture(path: &Path) -> Result<Capture, Problem> {
    let log = Log::of_this_process()?;
    let thread = log.new_thread();
    let mut options = ConnectOptions::new("sqlite:");
    let (level, name, file) = (options.get_sqlx_logging_level(), thread.clone(), path.to_owned());
    options
        .max_connections(1)
        .min_connections(0)
        .test_before_acquire(false)
        // However slow, it is logged like the others.
        .sqlx_slow_statements_logging_settings(level, Duration::MAX)
        .map_sqlx_sqlite_opts(move |sqlite| {
            let name = name.clone();
            sqlite.filename(&file).create_if_missing(true).foreign_keys(false).thread_name(move |_| name.clone())
        });
    let failed = |error: DbErr| Problem::new(format!("cannot open {}: {}", path.display(), words(&error)));
    let connection = Database::connect(options).await.map_err(failed)?;
    let capture = Capture { connection, thread };
    // What the libraries do to open it is not the caller's.
    capture.take(&capture.connection).await.map_err(failed)?;
    Ok(capture)
}

impl Capture {
    /// Returns what was executed since the last call.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn take(&self, connection: &impl ConnectionTrait) -> Result<Vec<String>, DbErr> {
        // A statement is logged after its answer is sent: at the latest before the thread does the next.
        const LAST: &str = "SELECT 'that was all'";
        database::rows(connection, LAST, []).await?;
        let mut taken = Log::of_this_process().map(|log| log.take(&self.thread)).unwrap_or_default();
        taken.retain(|statement| statement != LAST);
        Ok(taken)
    }

    /// Closes the connection.
    pub async fn close(self) {
        self.connection.close().await.ok();
        if let Ok(log) = Log::of_this_process() {
            log.forget(&self.thread);
        }
    }
}

/// Returns what each migration of `release` executes on a database that is new, in one transaction as an upgrade does.
///
/// # Errors
///
/// The migration's, named.
pub fn on_empty(release: &Release) -> Result<Vec<Executed>, Problem> {
    blocking(async || {
        let capture = capture(Path::new(":memory:")).await?;
        let executed = run(&capture, release).await;
        capture.close().await;
        executed
    })?
}

async fn run(capture: &Capture, release: &Release) -> Result<Vec<Executed>, Problem> {
    let sqlite = |error: DbErr| Problem::new(format!("cannot capture statements: {}", words(&error)));
    let transaction = capture.connection.begin().await.map_err(sqlite)?;
    let mut all = Vec::new();
    for migration in (release.migrations)() {
        capture.take(&transaction).await.map_err(sqlite)?;
        let name = migration.name().to_owned();
        migration
            .up(&SchemaManager::new(&transaction))
            .await
            .map_err(|error| Problem::new(format!("migration {name} fails on an empty database: {}", words(&error))))?;
        all.push(Executed { migration: name, statements: capture.take(&transaction).await.map_err(sqlite)? });
    }
    transaction.rollback().await.map_err(sqlite)?;
    Ok(all)
}

/// What sqlx logged in the threads of captures.
#[derive(Clone, Debug, Default)]
struct Log {
    threads: Arc<Mutex<BTreeMap<String, Vec<String>>>>,
}

thread_local! {
    /// Whether this thread is asking for its own name, which must not log.
    static LISTENING: Cell<bool> = const { Cell::new(true) };
}

impl Log {
    /// Returns the one of this process, which listens from the first call on.
    fn of_this_process() -> Result<&'static Log, Problem> {
        static LOG: OnceLock<Option<Log>> = OnceLock::new();
        let log = LOG.get_or_init(|| {
            let log = Log::default();
            tracing::subscriber::set_global_default(Listener(log.clone())).ok().map(|()| log)
        });
        log.as_ref().ok_or_else(|| {
            Problem::new("cannot capture statements: this process has a log already, which sqlx's statements go to")
        })
    }

    fn new_thread(&self) -> String {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let mut number = threads.len();
        loop {
            let name = format!("captured-{number}");
            if !threads.contains_key(&name) {
                threads.insert(name.clone(), Vec::new());
                return name;
            }
            number += 1;
        }
    }

    fn take(&self, thread: &str) -> Vec<String> {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.get_mut(thread).map(std::mem::take).unwrap_or_default()
    }

    fn forget(&self, thread: &str) {
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).remove(thread);
    }

    fn note(&self, thread: &str, statement: String) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(statements) = threads.get_mut(thread) {
            statements.push(statement);
        }
    }
}

/// Hears what sqlx logs, and nothing else.
struct Listener(Log);

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, event: &Event<'_>) {
        if !LISTENING.get() {
            return;
        }
        LISTENING.set(false);
        let thread = std::thread::current();
        if let Some(name) = thread.name() {
            let mut logged = Logged::default();
            event.record(&mut logged);
            self.0.note(name, logged.statement());
        }
        LISTENING.set(true);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// The fields of an event of sqlx's: a statement of up to four words is its own summary, and `db.statement` is empty then.
#[derive(Default)]
struct Logged {
    summary: String,
    statement: String,
}

impl Logged {
    fn statement(self) -> String {
        let whole = self.statement.trim();
        if whole.is_empty() { self.summary } else { whole.to_owned() }
    }
}

impl Visit for Logged {
    fn record_str(&mut self, field: &Field, value: &str) {
        match field.name() {
            "summary" => self.summary = value.to_owned(),
            "db.statement" => self.statement = value.to_owned(),
            _ => {}
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

    use super::*;

    #[test]
    fn each_migrations_statements_are_captured_the_same_each_time_also_by_several_at_once() {
        let release = Release::current();
        let first = on_empty(&release).unwrap();
        assert_eq!(first.iter().map(|one| one.migration.clone()).collect::<Vec<_>>(), release.names());
        for one in &first {
            assert!(one.statements.iter().any(|sql| sql.starts_with("CREATE ")), "{one:?}");
            assert!(one.statements.iter().all(|sql| !sql.contains("that was all")), "{one:?}");
        }
        let others: Vec<_> = (0..4).map(|_| std::thread::spawn(|| on_empty(&Release::current()).unwrap())).collect();
        for other in others {
            assert_eq!(other.join().unwrap(), first);
        }
    }

    #[tokio::test]
    async fn short_statements_and_batches_are_captured_whole() {
        let capture = capture(Path::new(":memory:")).await.unwrap();
        let run = async |sql: &str| {
            capture.connection.execute_unprepared(sql).await.unwrap();
            capture.take(&capture.connection).await.unwrap()
        };
        for sql in [
            "CREATE TABLE t (a)",
            "SELECT 1",
            "INSERT INTO t VALUES (1);\n  INSERT INTO t VALUES ('a  b')",
            "DROP  TABLE t",
        ] {
            assert_eq!(run(sql).await, [sql]);
        }
        capture.close().await;
    }
}
