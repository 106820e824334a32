//! Is the file a database, and how is it opened so that nothing is created or disturbed?
//!
//! SQLite is never given the create flag. Reading leaves no trace where that can be had:
//! a database in WAL mode that nobody has open has neither `-wal` nor `-shm` beside it, and an
//! ordinary reader would have to create both (so could not read at all in a read-only
//! directory) and would leave them lying. So a database without `-wal` and `-journal` is read as
//! *immutable* and looked at again afterwards; one that has them, or that changed meanwhile, is
//! read as an ordinary reader with `mode=ro`.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use sea_orm::{
    ConnectOptions, ConnectionTrait, Database, DatabaseConnection, DatabaseTransaction, DbBackend, DbErr, QueryResult,
    SqliteTransactionMode, Statement, TransactionOptions, TransactionTrait, Value,
};

use crate::error::{Error, PATIENCE, sqlite_code};
use crate::progress::Life;

/// `application_id` of Hearth's databases: "HRTH" in ASCII.
pub const APPLICATION_ID: i64 = 0x4852_5448;

/// Where a developer's check says after which statement a migrator is to be killed. No shipped program reads it.
pub(crate) const STOP_AFTER: &str = "MIGRATION_CHECK_STOP_AFTER";

/// The first bytes of every SQLite file: https://www.sqlite.org/fileformat.html#the_database_header
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Runs `read` on the database inside one read transaction, leaving the file as it is.
///
/// # Errors
///
/// What [`judge`] says of the file, SQLite's, and `read`'s own.
pub(crate) async fn read<T>(
    path: &Path,
    read: impl AsyncFn(&DatabaseTransaction) -> Result<T, Error>,
) -> Result<T, Error> {
    judge(path)?;
    if let Some(before) = at_rest(path) {
        let result = read_once(path, true, &read).await;
        if at_rest(path) == Some(before) {
            return result;
        }
    }
    read_once(path, false, &read).await
}

async fn read_once<T>(
    path: &Path,
    immutable: bool,
    read: &impl AsyncFn(&DatabaseTransaction) -> Result<T, Error>,
) -> Result<T, Error> {
    const DOING: &str = "opening the database to read it";
    let connection = connect(path, DOING, Access::Read { immutable }).await?;
    let result = match connection.begin().await {
        Ok(transaction) => {
            let result = read(&transaction).await;
            // Nothing was written, so there is nothing that a failure here could lose.
            transaction.rollback().await.ok();
            result
        }
        Err(error) => Err(Error::from_database(&error, path, DOING)),
    };
    connection.close().await.ok();
    result
}

/// Opens the database for an upgrade: one connection, in WAL mode, with foreign keys off. `life` grows while SQLite works.
///
/// With foreign keys on, a table rebuild would delete the rows that refer to the table: `DROP
/// TABLE` follows ON DELETE CASCADE. They are checked before the commit instead.
///
/// # Errors
///
/// What [`judge`] says of the file, and SQLite's.
pub(crate) async fn open_to_write(path: &Path, life: &Life) -> Result<DatabaseConnection, Error> {
    judge(path)?;
    let connection = connect(path, "opening the database", Access::Write(life)).await?;
    match set_wal(&connection, path).await {
        Ok(()) => Ok(connection),
        Err(error) => {
            connection.close().await.ok();
            Err(error)
        }
    }
}

/// Sets WAL mode and makes sure of it. In rollback-journal mode a killed migration would leave
/// rows that were never committed in the main file, to be taken back by whoever opens it next.
async fn set_wal(connection: &DatabaseConnection, path: &Path) -> Result<(), Error> {
    const DOING: &str = "switching to WAL mode";
    let since = Instant::now();
    loop {
        match text(connection, "PRAGMA journal_mode = WAL").await {
            Ok(mode) if mode.eq_ignore_ascii_case("wal") => return Ok(()),
            Ok(mode) => {
                return Err(Error::Io {
                    path: path.to_owned(),
                    doing: DOING.to_owned(),
                    reason: format!("SQLite stays in {mode} mode, as on a filesystem without shared memory"),
                });
            }
            // The switch does not wait for a lock by itself, whatever the busy timeout.
            Err(error) if sqlite_code(&error).is_some_and(|code| code & 0xff == 5) && since.elapsed() < PATIENCE => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(Error::from_database(&error, path, DOING)),
        }
    }
}

/// Begins a transaction that holds the write lock from its first moment.
///
/// # Errors
///
/// SQLite's; that another process kept the lock for longer than [`PATIENCE`] is `busy`.
pub(crate) async fn begin_immediate(
    connection: &DatabaseConnection,
    path: &Path,
) -> Result<DatabaseTransaction, Error> {
    connection
        .begin_with_options(TransactionOptions {
            sqlite_transaction_mode: Some(SqliteTransactionMode::Immediate),
            ..Default::default()
        })
        .await
        .map_err(|error| Error::from_database(&error, path, "taking the write lock"))
}

/// Writes all of the write-ahead log into the database file and empties it.
///
/// # Errors
///
/// SQLite's; a reader that keeps the log in use for longer than [`PATIENCE`] is `busy`.
pub(crate) async fn checkpoint(connection: &DatabaseConnection, path: &Path) -> Result<(), Error> {
    const DOING: &str = "emptying the write-ahead log";
    let found = rows(connection, "PRAGMA wal_checkpoint(TRUNCATE)", [])
        .await
        .map_err(|error| Error::from_database(&error, path, DOING))?;
    // A busy checkpoint is a row that says so and not an error.
    let busy: i64 = match found.first() {
        Some(row) => row.try_get_by_index(0),
        None => Ok(1),
    }
    .map_err(|error| Error::from_database(&error, path, DOING))?;
    if busy == 0 {
        return Ok(());
    }
    Err(Error::Busy { path: path.to_owned(), doing: DOING.to_owned(), waited: PATIENCE.as_secs() })
}

/// Looks at the file before SQLite does: is it there, is it a file, does it begin as one of
/// SQLite's? An empty file is a new database.
///
/// # Errors
///
/// `missing`, `not-a-database`, `permission`, `io`.
fn judge(path: &Path) -> Result<(), Error> {
    const DOING: &str = "looking at the file";
    let not_a_database = |found: &str| Err(Error::NotADatabase { path: path.to_owned(), found: found.to_owned() });
    let metadata = fs::metadata(path).map_err(|error| Error::from_io(&error, path, DOING))?;
    if metadata.is_dir() {
        return not_a_database("it is a directory");
    }
    if !metadata.is_file() {
        return not_a_database("it is not a regular file");
    }
    // SQLite has no connection to it yet, so closing this drops no lock.
    let mut head = Vec::with_capacity(MAGIC.len());
    File::open(path)
        .and_then(|file| file.take(MAGIC.len() as u64).read_to_end(&mut head))
        .map_err(|error| Error::from_io(&error, path, DOING))?;
    if head.is_empty() || head == MAGIC {
        return Ok(());
    }
    not_a_database(&format!(
        "its {} do not begin as an SQLite database does",
        crate::error::counted(usize::try_from(metadata.len()).unwrap_or(usize::MAX), "byte", "bytes")
    ))
}

/// What changes when a file is written: size, inode, and when it was last written to.
#[derive(PartialEq, Eq)]
pub(crate) struct Trace(u64, u64, i64, i64);

/// Returns the file's trace if nobody has it open in WAL mode and nothing is left to recover.
pub(crate) fn at_rest(path: &Path) -> Option<Trace> {
    // SQLite follows links and puts its files beside the one they lead to.
    let path = &fs::canonicalize(path).ok()?;
    for suffix in ["-wal", "-journal"] {
        match fs::symlink_metadata(beside(path, suffix)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => return None,
        }
    }
    let file = fs::metadata(path).ok()?;
    Some(Trace(file.len(), file.ino(), file.mtime(), file.mtime_nsec()))
}

/// How large the database and its write-ahead log are, and when they were last written to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Files([Option<(u64, i64, i64)>; 2]);

/// Looks at the files of a database, without opening them.
pub(crate) fn files(path: &Path) -> Files {
    let path = &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let of = |path: &Path| fs::metadata(path).ok().map(|file| (file.len(), file.mtime(), file.mtime_nsec()));
    Files([of(path), of(&beside(path, "-wal"))])
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[derive(Clone, Copy)]
enum Access<'a> {
    Read { immutable: bool },
    Write(&'a Life),
}

/// After so many steps of its machine SQLite shows that it works: about a microsecond's worth. They are counted for each statement, and
/// many are short.
const STEPS: i32 = 100;

async fn connect(path: &Path, doing: &str, access: Access<'_>) -> Result<DatabaseConnection, Error> {
    // Absolute, so that no path is taken for an option of SQLite's (`:memory:`, `file:…`).
    let file = std::path::absolute(path).map_err(|error| Error::from_io(&error, path, doing))?;
    let mut options = ConnectOptions::new("sqlite:");
    let level = options.get_sqlx_logging_level();
    options.sqlx_slow_statements_logging_settings(level, Duration::MAX);
    options.sqlx_logging(cfg!(feature = "developer") && std::env::var_os(STOP_AFTER).is_some());
    if let Access::Write(life) = access {
        let life = life.clone();
        options.map_sqlx_sqlite_pool_opts(move |pool| {
            let life = life.clone();
            // However long a migration takes, it is this connection that the rest is done by.
            let pool = pool.max_lifetime(None).idle_timeout(None);
            pool.after_connect(move |connection, _| {
                let life = life.clone();
                Box::pin(async move {
                    let beat = move || {
                        life.beat();
                        true
                    };
                    connection.lock_handle().await?.set_progress_handler(STEPS, beat);
                    Ok(())
                })
            })
        });
    }
    let immutable = match access {
        Access::Read { immutable } => Some(immutable),
        Access::Write(_) => None,
    };
    options.max_connections(1).min_connections(0).test_before_acquire(false).map_sqlx_sqlite_opts(move |sqlite| {
        let sqlite = sqlite
            .filename(&file)
            .in_memory(false)
            .shared_cache(false)
            .create_if_missing(false)
            .busy_timeout(PATIENCE)
            .foreign_keys(false);
        match immutable {
            Some(immutable) => sqlite.read_only(true).immutable(immutable),
            None => sqlite.pragma("synchronous", "FULL"),
        }
    });
    Database::connect(options).await.map_err(|error| Error::from_database(&error, path, doing))
}

/// Returns the rows of a query.
pub(crate) async fn rows<const N: usize>(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: [Value; N],
) -> Result<Vec<QueryResult>, DbErr> {
    connection.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await
}

/// Returns the one number that a query gives.
pub(crate) async fn number(connection: &impl ConnectionTrait, sql: &str) -> Result<i64, DbErr> {
    match rows(connection, sql, []).await?.first() {
        Some(row) => row.try_get_by_index(0),
        None => Err(DbErr::RecordNotFound(sql.to_owned())),
    }
}

/// Returns the one text that a query gives.
async fn text(connection: &impl ConnectionTrait, sql: &str) -> Result<String, DbErr> {
    match rows(connection, sql, []).await?.first() {
        Some(row) => row.try_get_by_index(0),
        None => Err(DbErr::RecordNotFound(sql.to_owned())),
    }
}
