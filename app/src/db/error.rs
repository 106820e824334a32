//! What can go wrong with the database, as the app acts on it?

use std::path::Path;

use sea_orm::{
    DbErr, RuntimeErr,
    sqlx::{self, error::DatabaseError},
};

use crate::failure::Failure;

/// A failed read or write. The text of [`DbErr`] holds SQL and goes to the log only.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum DbError {
    #[error("the disk is full")]
    Full,
    #[error("the database is in use by another process")]
    Busy,
    #[error("SQLite reports damage: {0}")]
    Damaged(String),
    #[error("this app may only read the database")]
    ReadOnly,
    /// A quota, a file system that went read-only, a disk that fails.
    #[error("the disk refused a write: {0}")]
    Refused(String),
    #[error("the file is no SQLite database")]
    NotADatabase,
    #[error("the app is stopping")]
    Closed,
    #[error("{0}")]
    Other(String),
}

// SQLite's primary result codes: https://sqlite.org/rescode.html
const SQLITE_BUSY: u32 = 5;
const SQLITE_LOCKED: u32 = 6;
const SQLITE_READONLY: u32 = 8;
const SQLITE_CORRUPT: u32 = 11;
/// BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, FULL, CANTOPEN, PROTOCOL, NOLFS, AUTH.
const OF_THE_MACHINE: [u32; 11] = [5, 6, 7, 8, 9, 10, 13, 14, 15, 22, 23];
const SQLITE_FULL: u32 = 13;
const SQLITE_NOTADB: u32 = 26;
// The extended codes of an I/O error that a read never meets: IOERR_WRITE, IOERR_FSYNC, IOERR_DIR_FSYNC, IOERR_TRUNCATE,
// IOERR_SHMOPEN, IOERR_SHMSIZE.
const SQLITE_IOERR_OF_WRITES: [u32; 6] =
    [10 | 3 << 8, 10 | 4 << 8, 10 | 5 << 8, 10 | 6 << 8, 10 | 18 << 8, 10 | 19 << 8];
// The search index does not fit the records: the one write that meets it fails, and the household's data is whole.
const SQLITE_CORRUPT_VTAB: u32 = SQLITE_CORRUPT | 1 << 8;

impl From<DbErr> for DbError {
    fn from(error: DbErr) -> Self {
        if let DbErr::ConnectionAcquire(reason) = &error {
            return match reason {
                sea_orm::ConnAcquireErr::Timeout => Self::Busy,
                sea_orm::ConnAcquireErr::ConnectionClosed => Self::Closed,
            };
        }
        let code = extended_code(&error);
        if code == Some(SQLITE_CORRUPT_VTAB) {
            return Self::Other(error.to_string());
        }
        if code.is_some_and(|code| SQLITE_IOERR_OF_WRITES.contains(&code)) {
            return Self::Refused(error.to_string());
        }
        match code.map(|code| code & 0xff) {
            Some(SQLITE_BUSY | SQLITE_LOCKED) => Self::Busy,
            Some(SQLITE_FULL) => Self::Full,
            Some(SQLITE_READONLY) => Self::ReadOnly,
            Some(SQLITE_CORRUPT) => Self::Damaged(error.to_string()),
            Some(SQLITE_NOTADB) => Self::NotADatabase,
            _ => Self::Other(error.to_string()),
        }
    }
}

/// Whether the machine is in the way, and not what is in the database.
pub(super) fn is_of_the_machine(error: &DbErr) -> bool {
    matches!(error, DbErr::ConnectionAcquire(_))
        || extended_code(error).is_some_and(|code| OF_THE_MACHINE.contains(&(code & 0xff)))
}

impl DbError {
    /// Returns the sentence for the operator when the database could not be opened.
    pub(super) fn opening(&self, path: &Path) -> Failure {
        let path = path.display();
        match self {
            Self::NotADatabase => Failure::new(format!("{path} is no SQLite database"))
                .hint("nothing was changed; point HEARTH_DATABASE at the database that the migrator set up"),
            Self::Busy => Failure::new(format!("the database {path} is in use by another process"))
                .hint("stop the other process (another app, an open sqlite3) and start again"),
            error => Failure::new(format!("the database {path} cannot be opened: {error}")),
        }
    }
}

/// Returns SQLite's extended code; the low byte is the primary one.
fn extended_code(error: &DbErr) -> Option<u32> {
    if let DbErr::Query(RuntimeErr::Internal(text)) = error {
        return text.strip_prefix(CODE)?.split_once(')')?.0.parse().ok();
    }
    let (DbErr::Conn(RuntimeErr::SqlxError(error))
    | DbErr::Exec(RuntimeErr::SqlxError(error))
    | DbErr::Query(RuntimeErr::SqlxError(error))) = error
    else {
        return None;
    };
    match &**error {
        sqlx::Error::Database(error) => DatabaseError::code(&**error)?.parse().ok(),
        _ => None,
    }
}

const CODE: &str = "(code: ";

/// Returns the error of a direct read as one of SeaORM's, which has room for a text alone: SQLite's extended code stands at
/// its beginning.
#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
pub(super) fn query(error: rusqlite::Error) -> DbErr {
    DbErr::Query(RuntimeErr::Internal(match error.sqlite_error() {
        Some(code) => format!("{CODE}{}) {error}", code.extended_code),
        None => error.to_string(),
    }))
}
