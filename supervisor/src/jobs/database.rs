//! How does a job open a household's database?
//!
//! As something that may have been planted or damaged: regular files only, no create flag, `trusted_schema` off,
//! defensive on, no memory map. And by one rule: no plain file call opens and closes the database while this
//! process has an SQLite connection to it, since that would drop SQLite's POSIX locks.

use std::{
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig};

use crate::{
    data::durable::{self, Explain},
    failure::{Cause, Failure},
};

/// What each SQLite file begins with: <https://www.sqlite.org/fileformat2.html#the_database_header>.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How long another connection is waited for. None should be there: the lock sees to that; so this is for an
/// operator's `sqlite3` shell that is just being left.
const PATIENCE: Duration = Duration::from_secs(2);

/// A database, opened and checked by nobody yet.
pub(super) struct Database {
    connection: Connection,
    path: PathBuf,
}

impl Database {
    /// Opens an existing database for reading and writing.
    ///
    /// # Errors
    /// [`Cause::NotADatabase`], [`Cause::Damaged`] and what else keeps it from being opened, naming the file.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        check_files(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let database = |connection| Self { connection, path: path.to_owned() };
        let opened = Connection::open_with_flags(path, flags).and_then(|connection| {
            connection.busy_timeout(PATIENCE)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
            connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
            connection.query_row("PRAGMA mmap_size = 0", [], |_| Ok(())).or_else(none_is_fine)?;
            // The first read: a hot journal is rolled back, a WAL recovered, and garbage found out.
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))?;
            Ok(connection)
        });
        opened.map(database).map_err(|error| explain("cannot open", path, &error))
    }

    /// Runs `quick_check` and returns the first problems, none when the database is whole.
    ///
    /// # Errors
    /// What kept the check from running to its end.
    pub(super) fn quick_check(&self) -> Result<Vec<String>, Failure> {
        let rows = self.connection.prepare("PRAGMA quick_check(5)").and_then(|mut check| {
            let rows = check.query_map([], |row| row.get::<_, String>(0))?;
            rows.collect::<Result<Vec<_>, _>>()
        });
        match rows {
            Ok(rows) if rows == ["ok"] => Ok(Vec::new()),
            Ok(rows) => Ok(rows),
            // Some damage ends the check itself.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => Ok(vec![error.to_string()]),
            Err(error) => Err(explain("cannot check", &self.path, &error)),
        }
    }

    /// Moves all that is in the WAL into the database, closes it, and checks that nothing was left beside it.
    ///
    /// # Errors
    /// [`Cause::Busy`] when another process has it open: a checkpoint that was kept from its work says so in a
    /// result row, which is no error for SQLite.
    pub(super) fn checkpoint_and_close(self) -> Result<(), Failure> {
        let Self { connection, path } = self;
        let busy = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0));
        if busy.map_err(|error| explain("cannot checkpoint", &path, &error))? != 0 {
            return Err(in_use(&path));
        }
        connection.close().map_err(|(_, error)| explain("cannot close", &path, &error))?;
        for name in ["-wal", "-journal"].map(|end| beside(&path, end)) {
            if length(&name)?.is_some_and(|length| length > 0) {
                return Err(in_use(&path));
            }
        }
        Ok(())
    }
}

/// Returns the name of a file beside the database: `app.db-wal`.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Returns the length of a regular file that may be missing.
///
/// # Errors
/// When it is a link or anything else that is no regular file.
pub(super) fn length(path: &Path) -> Result<Option<u64>, Failure> {
    match fs::symlink_metadata(path) {
        Ok(stat) if stat.is_file() => Ok(Some(stat.len())),
        Ok(_) => Err(Failure::new(Cause::Io, format!("{} is not a regular file", path.display()))
            .hint("Hearth makes no links or other things there; look at who did, and put the file itself in its place; nothing was touched")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(format!("cannot look at {}", path.display()), &error)),
    }
}

/// Checks the files before SQLite sees them: it follows links, and makes a database of an empty file.
fn check_files(path: &Path) -> Result<(), Failure> {
    let Some(own) = length(path)? else {
        return Err(Failure::new(Cause::Damaged, format!("there is no database at {}", path.display())));
    };
    let mut journals = 0;
    for end in ["-wal", "-journal", "-shm"] {
        let length = length(&beside(path, end))?.unwrap_or(0);
        journals += if end == "-shm" { 0 } else { length };
    }
    if own == 0 && journals == 0 {
        return Err(Failure::new(Cause::NotADatabase, format!("{} is empty", path.display())));
    }
    let mut header = [0; MAGIC.len()];
    let mut file = durable::open_regular(path).explain(|| format!("cannot open {}", path.display()))?;
    // A file that a crash cut short below its header is rolled back from its journal by SQLite.
    if own >= header.len() as u64 {
        file.read_exact(&mut header).explain(|| format!("cannot read {}", path.display()))?;
        if &header != MAGIC {
            return Err(Failure::new(Cause::NotADatabase, format!("{} is not an SQLite database", path.display())));
        }
    } else if journals == 0 {
        return Err(Failure::new(
            Cause::NotADatabase,
            format!("{} is only {own} bytes long and no SQLite database", path.display()),
        ));
    }
    Ok(())
}

fn in_use(path: &Path) -> Failure {
    Failure::new(Cause::Busy, format!("another process has {} open", path.display()))
        .hint("close what has it open (an sqlite3 shell, a backup tool; `fuser` names it), then try again; nothing was changed")
}

fn none_is_fine(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        other => Err(other),
    }
}

/// Makes a failure of an SQLite error.
fn explain(doing: &str, path: &Path, error: &rusqlite::Error) -> Failure {
    let message = format!("{doing} {}: {error}", path.display());
    let of = |errno: nix::errno::Errno| Failure::io(format!("{doing} {}", path.display()), &errno.into());
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => Failure::new(Cause::NotADatabase, message),
        Some(ErrorCode::DatabaseCorrupt) => Failure::new(Cause::Damaged, message),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => in_use(path),
        Some(ErrorCode::DiskFull) => of(nix::errno::Errno::ENOSPC),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => of(nix::errno::Errno::EACCES),
        _ => Failure::new(Cause::Io, message),
    }
}
