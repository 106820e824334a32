//! What can go wrong, what was being done to what, and what helps.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sea_orm::{DbErr, RuntimeErr, SqlxError};

/// How long another process may keep the database busy until that is an error; sqlx's default for SQLite's busy timeout.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);

/// Why the migrator could not do its work. Whichever it is, the database is as it was before.
///
/// `Display` is one sentence for people, [`kind`](Error::kind) the word for programs and
/// [`hint`](Error::hint) the next step.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no file at this path.
    #[error("there is no database at {}", .path.display())]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The path holds something that SQLite did not write.
    #[error("{} is not a database: {found}", .path.display())]
    NotADatabase {
        /// Where it is.
        path: PathBuf,
        /// What is there instead.
        found: String,
    },
    /// An SQLite database, but not one of Hearth's.
    #[error("{} belongs to another program: {found}", .path.display())]
    Foreign {
        /// Where it is.
        path: PathBuf,
        /// How that was seen.
        found: String,
    },
    /// SQLite found the file to be inconsistent.
    #[error("{} is damaged: {found}", .path.display())]
    Damaged {
        /// Where it is.
        path: PathBuf,
        /// SQLite's first words about it.
        found: String,
    },
    /// A later release has been at work on the database.
    #[error(
        "the database was last upgraded by {last}, and this is v{version}: it has {count}, {names}",
        count = counted(unknown.len(), "migration that this version does not know", "migrations that this version does not know"),
        names = unknown.join(", ")
    )]
    Newer {
        /// The version that upgraded it last, with its `v`, or `a later version`.
        last: String,
        /// This migrator's version.
        version: String,
        /// The migrations it does not know.
        unknown: Vec<String>,
    },
    /// A release between has to upgrade the database first.
    #[error(
        "this database was last upgraded by {last}, and v{version} upgrades from v{oldest} on; start v{oldest} first, then this version"
    )]
    Stop {
        /// The version that upgraded it last, with its `v`, or `an unknown version`.
        last: String,
        /// This migrator's version.
        version: String,
        /// The oldest version that it upgrades from.
        oldest: String,
    },
    /// The schema is not the one that the last migration made, so it is not known what the next
    /// one would do to it.
    #[error("the schema of {} is not what the ledger says: {}", .path.display(), .differences.join("; "))]
    Drift {
        /// The database.
        path: PathBuf,
        /// One phrase for each difference, such as `table record: column due_date is missing`.
        differences: Vec<String>,
    },
    /// Rows or indexes are not as they have to be. The operator can accept each by its sentence.
    #[error("{} cannot be upgraded as it is: {}", .path.display(), few(.findings))]
    Finding {
        /// The database.
        path: PathBuf,
        /// One sentence for each row or index.
        findings: Vec<String>,
    },
    /// A migration failed by itself.
    #[error("migration {name} failed: {reason}")]
    Migration {
        /// The migration.
        name: String,
        /// Its own or SQLite's words.
        reason: String,
    },
    /// The migrations ran, but what they would leave behind is not acceptable.
    #[error("{0}")]
    Check(String),
    /// The disk is full.
    #[error("the disk is full: no space was left while {doing} at {}", .path.display())]
    NoSpace {
        /// The database.
        path: PathBuf,
        /// What was being done, such as `applying m0002_accounts`.
        doing: String,
    },
    /// The file, or the directory it is in, may not be read or written.
    #[error("no permission while {doing} at {}: {reason}", .path.display())]
    Permission {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: String,
        /// The system's or SQLite's words.
        reason: String,
    },
    /// Another process holds the database.
    #[error("another process is using {}: {doing} had to wait more than {waited} s", .path.display())]
    Busy {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: String,
        /// How long it waited, in seconds.
        waited: u64,
    },
    /// Anything else between SQLite and the disk.
    #[error("{doing} at {} failed: {reason}", .path.display())]
    Io {
        /// The database.
        path: PathBuf,
        /// What was being done.
        doing: String,
        /// The system's or SQLite's words.
        reason: String,
    },
}

impl Error {
    /// Returns the word for programs: one of those listed in docs/ARCHITECTURE.md.
    pub fn kind(&self) -> &'static str {
        match self {
            Error::Missing { .. } => "missing",
            Error::NotADatabase { .. } => "not-a-database",
            Error::Foreign { .. } => "foreign",
            Error::Damaged { .. } => "damaged",
            Error::Newer { .. } => "newer",
            Error::Stop { .. } => "stop",
            Error::Drift { .. } => "drift",
            Error::Finding { .. } => "finding",
            Error::Migration { .. } => "migration",
            Error::Check(_) => "check",
            Error::NoSpace { .. } => "no-space",
            Error::Permission { .. } => "permission",
            Error::Busy { .. } => "busy",
            Error::Io { .. } => "io",
        }
    }

    /// Returns what the operator can do next, as one phrase without a full stop.
    pub fn hint(&self) -> Option<String> {
        Some(match self {
            Error::Missing { .. } => {
                "check the path; a database is never created here, an empty file is taken for a new one".to_owned()
            }
            Error::NotADatabase { .. } | Error::Foreign { .. } => {
                "check the path, and move the file away if it does not belong there; it was not changed".to_owned()
            }
            Error::Damaged { .. } => {
                "nothing was changed; go back to a snapshot: supervisor snapshot list, then supervisor restore <snapshot>".to_owned()
            }
            Error::Newer { last, .. } => {
                format!("start {last} or newer, or go back to the data from before that upgrade: supervisor snapshot list, then supervisor restore <snapshot>")
            }
            Error::Stop { last, oldest, .. } => {
                format!("nothing was changed; {last} can still serve it; once v{oldest} has served it, start this version again")
            }
            Error::Drift { .. } => {
                "nothing was changed; undo the change that was made by hand, or go back to a snapshot: supervisor snapshot list; if it may stay: supervisor resume --accept \"<finding>\"".to_owned()
            }
            Error::Finding { .. } => {
                "nothing was changed; go back to a snapshot: supervisor snapshot list; or let the upgrade through: supervisor resume --accept \"<finding>\" for each".to_owned()
            }
            Error::Migration { .. } | Error::Check(_) => {
                "nothing was changed; report this as a bug of the release".to_owned()
            }
            Error::NoSpace { .. } => {
                "nothing was changed; free some space and try again: supervisor resume".to_owned()
            }
            Error::Permission { path, .. } => {
                let folder = path.parent().unwrap_or(path);
                format!("let the user that Hearth runs as read and write {} and what is in it", folder.display())
            }
            Error::Busy { .. } => {
                "stop the other process (a backup tool, an sqlite3 shell) and try again".to_owned()
            }
            Error::Io { .. } => return None,
        })
    }

    /// Sorts a failure of the file system while `doing` something to `path`.
    pub(crate) fn from_io(error: &io::Error, path: &Path, doing: &str) -> Error {
        let (path, doing, reason) = (path.to_owned(), doing.to_owned(), error.to_string());
        match error.kind() {
            io::ErrorKind::NotFound => Error::Missing { path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Error::Permission { path, doing, reason }
            }
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Error::NoSpace { path, doing },
            _ => Error::Io { path, doing, reason },
        }
    }

    /// Sorts a failure of SQLite while `doing` something to `path`.
    pub(crate) fn from_database(error: &DbErr, path: &Path, doing: &str) -> Error {
        let (path, doing) = (path.to_owned(), doing.to_owned());
        let reason = words(error);
        let code = sqlite_code(error).unwrap_or(0);
        // Result codes: https://www.sqlite.org/rescode.html; the low byte is the primary one.
        match (code & 0xff, code) {
            (5 | 6, _) => Error::Busy { path, doing, waited: PATIENCE.as_secs() },
            // SQLITE_FULL; and SQLITE_IOERR_SHMSIZE, which a full disk gives when it is the -shm
            // file that no longer fits.
            (13, _) | (_, 4874) => Error::NoSpace { path, doing },
            // SQLITE_PERM, SQLITE_READONLY, SQLITE_AUTH; and SQLITE_CANTOPEN: that the database
            // is there was seen before, so it is a file beside it that could not be made.
            (3 | 8 | 14 | 23, _) => Error::Permission { path, doing, reason },
            (11, _) => Error::Damaged { path, found: reason },
            (26, _) => Error::NotADatabase { path, found: reason },
            _ => Error::Io { path, doing, reason },
        }
    }

    /// Sorts a failure of migration `name`: its own, unless the disk or the file is to blame.
    pub(crate) fn from_migration(error: &DbErr, path: &Path, name: &str) -> Error {
        match Error::from_database(error, path, &format!("applying {name}")) {
            Error::Io { reason, .. } if sqlite_code(error).unwrap_or(0) & 0xff != 10 => {
                Error::Migration { name: name.to_owned(), reason }
            }
            other => other,
        }
    }
}

/// Returns the first of them, and how many more there are.
fn few(sentences: &[String]) -> String {
    const FEW: usize = 5;
    let mut text = sentences.iter().take(FEW).map(String::as_str).collect::<Vec<_>>().join("; ");
    if let Some(more @ 1..) = sentences.len().checked_sub(FEW) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// Returns "1 row", "2 rows".
pub(crate) fn counted(number: usize, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

/// Returns SQLite's or the migration's own words, without the wrapping of the libraries between.
pub(crate) fn words(error: &DbErr) -> String {
    match error {
        DbErr::Conn(RuntimeErr::SqlxError(inner))
        | DbErr::Exec(RuntimeErr::SqlxError(inner))
        | DbErr::Query(RuntimeErr::SqlxError(inner)) => match &**inner {
            SqlxError::Database(database) => {
                format!("{} (SQLite code {})", database.message(), database.code().unwrap_or_default())
            }
            other => other.to_string(),
        },
        DbErr::Migration(words) | DbErr::Custom(words) => words.clone(),
        other => other.to_string(),
    }
}

/// Returns SQLite's extended result code.
pub(crate) fn sqlite_code(error: &DbErr) -> Option<i32> {
    let (DbErr::Conn(RuntimeErr::SqlxError(inner))
    | DbErr::Exec(RuntimeErr::SqlxError(inner))
    | DbErr::Query(RuntimeErr::SqlxError(inner))) = error
    else {
        return None;
    };
    match &**inner {
        SqlxError::Database(database) => database.code()?.parse().ok(),
        _ => None,
    }
}
