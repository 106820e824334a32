//! How does the app reach its database?
//!
//! The household's content is read by [`DirectReads`], all else through a pool of read-only connections; writes through the one [`writer`], which commits those that
//! wait together in one transaction. The app never creates a database file and never migrates one: both are the
//! migrator's.

mod direct;
mod error;
mod floor;
#[cfg(test)]
pub(crate) mod for_tests;
mod instance;
#[cfg(feature = "faults")]
mod record;
mod transaction;
mod writer;

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use sea_orm::{
    ActiveEnum, ActiveModelTrait, ColumnTrait, ConnectOptions, ConnectionTrait, DatabaseConnection, DbBackend, DbErr,
    EntityTrait, IntoActiveModel, Iterable, ModelTrait, Statement,
    sea_query::SimpleExpr,
    sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};

use self::writer::Writer;
pub(crate) use self::{
    direct::{DirectReads, READERS},
    error::DbError,
    transaction::{Abort, Tx},
    writer::WriterState,
};
use crate::failure::Failure;

/// Connections for all reads but those of the household's content.
const POOL: u32 = 2;

/// Page cache of each connection. The kernel's own cache holds the file; SQLite's default of 2 MiB times five
/// connections would be a third of the app's memory.
const READER_CACHE_KIB: i32 = 512;
const WRITER_CACHE_KIB: i32 = 2048;

/// How long a connection waits for a lock of another process: a backup, or the operator's own `sqlite3`.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a request waits for a free reader before it is told that the app is busy.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long closing waits for readers that are still out.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// Statements kept prepared in each connection. The list has some dozens of shapes; few are in use at a time.
const STATEMENTS: usize = 32;

/// Whether anything may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Access {
    /// In probation: not even a writing connection is opened.
    Read,
    Write,
}

/// The open database.
#[derive(Debug)]
pub(crate) struct Database {
    reads: DatabaseConnection,
    direct: DirectReads,
    writer: Option<Writer>,
    damaged: AtomicBool,
    /// Why the disk refused a write; until that is asked for.
    refusal: Mutex<Option<String>>,
    hindered: AtomicBool,
    /// How often anything but content was written.
    changes: Arc<AtomicU64>,
}

impl Database {
    /// Opens the database at `path`, which must exist.
    pub(crate) async fn open(path: &Path, access: Access) -> Result<Self, Failure> {
        if !path.is_file() {
            return Err(Failure::new(format!("there is no database at {}", path.display()))
                .hint("start it under the supervisor, or set one up first: HEARTH_DATABASE=… migrator up"));
        }
        let explain = |error: DbErr| DbError::from(error).opening(path);
        let reads = connect(path, Role::Reader).await.map_err(explain)?;
        // Only what is Hearth's is opened for writing, which alone would change another program's file.
        let own = application_id(&reads).await.map_err(explain)?;
        if own != APPLICATION_ID {
            let _ = reads.close_by_ref().await;
            return Err(Failure::new(format!("{} is no database of Hearth's, or was not set up yet", path.display()))
                .hint("nothing was changed; start it under the supervisor, or set it up first: HEARTH_DATABASE=… migrator up"));
        }
        if let Some(refusal) = floor::refusal(path, &reads).await.map_err(explain)? {
            let _ = reads.close_by_ref().await;
            return Err(refusal);
        }
        let writer = match access {
            Access::Read => None,
            Access::Write => Some(Writer::open(path).await.map_err(explain)?),
        };
        Ok(Self {
            reads,
            direct: DirectReads::new(path),
            writer,
            damaged: AtomicBool::new(false),
            hindered: AtomicBool::new(false),
            refusal: Mutex::default(),
            changes: Arc::default(),
        })
    }

    /// Returns what reads all else.
    pub(crate) fn reads(&self) -> &DatabaseConnection {
        &self.reads
    }

    /// Returns what reads the household's content.
    pub(crate) fn direct(&self) -> &DirectReads {
        &self.direct
    }

    /// Carries out `work` in a writing transaction; when it returns, the work is on the disk or did not happen. It may be
    /// carried out more than once; what it does beside the transaction must bear that.
    pub(crate) async fn write<T, R, F>(&self, work: F) -> Result<T, R>
    where
        T: Send + 'static,
        R: From<DbError> + Send + 'static,
        F: AsyncFnMut(&Tx) -> Result<T, Abort<R>> + Send + 'static,
    {
        let changes = Some(self.changes.clone());
        self.writing()?.write(work, changes).await.map_err(|abort| self.outcome(abort))
    }

    /// As [`write`](Self::write), for the household's content, on which it does not hang who anybody is.
    pub(crate) async fn write_content<T, R, F>(&self, work: F) -> Result<T, R>
    where
        T: Send + 'static,
        R: From<DbError> + Send + 'static,
        F: AsyncFnMut(&Tx) -> Result<T, Abort<R>> + Send + 'static,
    {
        self.writing()?.write(work, None).await.map_err(|abort| self.outcome(abort))
    }

    fn writing(&self) -> Result<&Writer, DbError> {
        self.writer.as_ref().ok_or(DbError::ReadOnly)
    }

    /// Returns what the caller is told, and remembers what a disk refused.
    fn outcome<R: From<DbError>>(&self, abort: Abort<R>) -> R {
        let error = match abort {
            Abort::Refused(why) => return why,
            Abort::Db(error) => error,
        };
        self.notice(&error);
        if matches!(error, DbError::Full | DbError::ReadOnly | DbError::Refused(_)) {
            *self.refusal() = Some(error.to_string());
        }
        error.into()
    }

    /// Writes, and changes nothing: a page of the database that stays as it is.
    pub(crate) async fn try_writing(&self) -> Result<(), DbError> {
        self.write_content(async |tx| {
            let row = tx.query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA user_version")).await?;
            let version: i32 = row.map_or(Ok(0), |row| row.try_get_by_index(0))?;
            tx.execute_unprepared(&format!("PRAGMA user_version = {version}")).await?;
            Ok(())
        })
        .await
    }

    /// Returns, once, why the disk refused a write.
    pub(crate) fn take_refusal(&self) -> Option<String> {
        self.refusal().take()
    }

    fn refusal(&self) -> std::sync::MutexGuard<'_, Option<String>> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether anything may be written: not in probation.
    pub(crate) fn may_write(&self) -> bool {
        self.writer.is_some()
    }

    /// Returns how often this process wrote anything but content; counted after the commit and before its answer.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    /// Returns the error of a read as the app speaks of it, and remembers when it means damage.
    pub(crate) fn failed(&self, error: DbErr) -> DbError {
        if error::is_of_the_machine(&error) {
            self.hindered.store(true, Ordering::Relaxed);
        }
        let error = DbError::from(error);
        self.notice(&error);
        error
    }

    fn notice(&self, error: &DbError) {
        if matches!(error, DbError::Damaged(_)) && !self.damaged.swap(true, Ordering::Relaxed) {
            tracing::error!("The database is damaged: {error}");
        }
    }

    /// Returns whether something but the data has kept a read from being done: a full disk, an I/O error, another process.
    pub(crate) fn is_hindered(&self) -> bool {
        self.hindered.load(Ordering::Relaxed)
    }

    /// Returns whether SQLite has reported damage since the start.
    pub(crate) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    /// Returns how the writer is; in probation there is none, which is as it should be.
    pub(crate) fn writer(&self) -> WriterState {
        match &self.writer {
            Some(writer) => writer.state(),
            None => WriterState::Working(Duration::ZERO),
        }
    }

    /// Closes all connections, the writer last, so that SQLite checkpoints and removes the `-wal`.
    pub(crate) async fn close(&self) {
        // A reader may still belong to a request that was cut off; what it holds does not matter any more.
        if tokio::time::timeout(CLOSE_TIMEOUT, self.reads.close_by_ref()).await.is_err() {
            tracing::warn!("A read was still under way when the database was closed");
        }
        self.direct.close();
        if let Some(writer) = &self.writer {
            writer.close().await;
        }
    }
}

/// Returns what makes `before` into `after`: only the columns that differ are written, so that triggers and indexes of the
/// others have no work.
pub(crate) fn difference<M, A>(before: M, after: M) -> A
where
    M: ModelTrait + IntoActiveModel<A>,
    A: ActiveModelTrait,
{
    let (before, mut row) = (before.into_active_model(), after.into_active_model());
    for column in <A::Entity as EntityTrait>::Column::iter() {
        if row.get(column) != before.get(column) {
            row.reset(column);
        }
    }
    row
}

/// That a column has one of the words that this version knows. A row with another was written by a newer version, and is none for this
/// one.
pub(crate) fn is_known<W: ActiveEnum>(column: impl ColumnTrait) -> SimpleExpr {
    column.is_in(W::iter().map(|word| word.to_value()))
}

/// Checks that a table is there and has these columns.
pub(crate) async fn check_columns(
    database: &Database,
    table: &str,
    known: impl Iterator<Item = &'static str>,
) -> Result<(), Failure> {
    let found = columns(database.reads(), table)
        .await
        .map_err(|error| database.failed(error))
        .map_err(|error| Failure::new(format!("the database cannot be read: {error}")))?;
    let advice = "start it under the supervisor, which migrates first, or run: HEARTH_DATABASE=… migrator up";
    if found.is_empty() {
        return Err(Failure::new(format!("the database has no table {table}: it was not set up for this app"))
            .hint(advice)
            .of_the_data());
    }
    for name in known {
        if !found.iter().any(|found| found == name) {
            return Err(Failure::new(format!(
                "table {table} has no column {name}: the database is older than this app"
            ))
            .hint(advice)
            .of_the_data());
        }
    }
    Ok(())
}

async fn columns(reads: &DatabaseConnection, table: &str) -> Result<Vec<String>, DbErr> {
    let statement = Statement::from_sql_and_values(
        reads.get_database_backend(),
        "SELECT name FROM pragma_table_xinfo(?)",
        [table.into()],
    );
    let rows = reads.query_all_raw(statement).await?;
    rows.iter().map(|row| row.try_get_by_index(0)).collect()
}

/// `HRTH`: what the migrator writes into the header of a database.
const APPLICATION_ID: i32 = 0x4852_5448;

async fn application_id(reads: &DatabaseConnection) -> Result<i32, DbErr> {
    let row = reads.query_one_raw(Statement::from_string(DbBackend::Sqlite, "PRAGMA application_id")).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Reader,
    Writer,
}

async fn connect(path: &Path, role: Role) -> Result<DatabaseConnection, DbErr> {
    let path = path.to_owned();
    // The address is replaced as a whole below: in one, a path with `?` or `%` would not survive.
    let mut options = ConnectOptions::new("sqlite::memory:");
    options
        .max_connections(match role {
            Role::Reader => POOL,
            Role::Writer => 1,
        })
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // A file does not go away as a server might: no ping before each use, no ageing.
        .test_before_acquire(false)
        .idle_timeout(None)
        .max_lifetime(None)
        .sqlx_logging(false)
        .map_sqlx_sqlite_opts(move |_| {
            let sqlite = SqliteConnectOptions::new()
                .filename(&path)
                .create_if_missing(false)
                .foreign_keys(true)
                .busy_timeout(BUSY_TIMEOUT)
                .statement_cache_capacity(STATEMENTS);
            let sqlite = sea_orm::sqlx::ConnectOptions::disable_statement_logging(sqlite);
            match role {
                Role::Reader => sqlite.read_only(true).pragma("cache_size", (-READER_CACHE_KIB).to_string()),
                Role::Writer => sqlite
                    .journal_mode(SqliteJournalMode::Wal)
                    .synchronous(SqliteSynchronous::Full)
                    .pragma("cache_size", (-WRITER_CACHE_KIB).to_string()),
            }
        });
    #[allow(unused_mut)]
    let mut connection = sea_orm::Database::connect(options).await?;
    #[cfg(feature = "faults")]
    record::attach(&mut connection);
    Ok(connection)
}
