//! How does a job open a household's database?
//!
//! As something that may have been planted or damaged: regular files only, no create flag, `trusted_schema` off,
//! defensive on, no memory map. And by one rule: no plain file call opens and closes the database while this
//! process has an SQLite connection to it, since that would drop SQLite's POSIX locks.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use rusqlite::{
    Connection, ErrorCode, OpenFlags,
    backup::{Backup, StepResult},
    config::DbConfig,
};

use crate::{
    data::durable::{self, Explain},
    failure::{Cause, Failure},
};

/// What each SQLite file begins with: <https://www.sqlite.org/fileformat2.html#the_database_header>.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// How long another connection is waited for. None should be there: the lock sees to that; so this is for an
/// operator's `sqlite3` shell that is just being left.
const PATIENCE: Duration = Duration::from_secs(2);

/// How the indexes of a database are, each case with the first problem that was found.
pub(super) enum Indexes {
    /// They agree with the tables, and those are whole.
    Whole,
    /// They did not agree with the tables, and do now.
    Rebuilt(String),
    /// The tables are damaged themselves, or lack rows.
    TablesDamaged(String),
}

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
        Self::open_with(path, OpenFlags::SQLITE_OPEN_READ_WRITE)
    }

    fn open_with(path: &Path, access: OpenFlags) -> Result<Self, Failure> {
        check_files(path)?;
        // A link that is put there after the look is not followed either: the path leads through none, so that SQLite
        // can refuse every one.
        let real = path.parent().and_then(|parent| Some(parent.canonicalize().ok()?.join(path.file_name()?)));
        let real = real.unwrap_or_else(|| path.to_owned());
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_NOFOLLOW;
        let database = |connection| Self { connection, path: path.to_owned() };
        let opened = Connection::open_with_flags(&real, flags).and_then(|connection| {
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

    /// Opens a database that an app may have open and write to, for reading alone.
    pub(super) fn open_live(path: &Path) -> Result<Self, Failure> {
        Self::open_with(path, OpenFlags::SQLITE_OPEN_READ_ONLY)
    }

    /// Copies it into an empty file in a single step of SQLite's Online Backup API: one read transaction, which does
    /// not lock out a writer in WAL mode. In several steps it would begin anew at every commit of another process.
    /// The file is durable when this returns: SQLite fsyncs it.
    ///
    /// # Errors
    /// What SQLite said; nothing is known of the copy then.
    pub(super) fn copy_to(&self, target: &Path) -> Result<(), Failure> {
        let failed = |error: rusqlite::Error| explain("cannot copy the database to", target, &error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut copy = Connection::open_with_flags(target, flags).map_err(failed)?;
        let until = Instant::now() + PATIENCE;
        loop {
            let step = Backup::new(&self.connection, &mut copy).and_then(|backup| backup.step(-1)).map_err(failed)?;
            match step {
                StepResult::Done => break,
                // A checkpoint that resets the log holds readers off for a moment.
                _ if Instant::now() < until => std::thread::sleep(Duration::from_millis(10)),
                _ => return Err(in_use(&self.path)),
            }
        }
        // One file that opens anywhere, with nothing beside it.
        copy.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).map_err(failed)?;
        copy.close().map_err(|(_, error)| failed(error))
    }

    /// Returns how many rows each ordinary table has. Virtual tables and their shadows follow from those.
    pub(super) fn rows(&self) -> Result<BTreeMap<String, u64>, Failure> {
        let counted = || {
            let tables = self.texts(
                "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
            )?;
            let count = |table: String| {
                let count = format!("SELECT count(*) FROM main.{}", quoted(&table));
                Ok((table, self.connection.query_row(&count, [], |row| row.get(0))?))
            };
            tables.into_iter().map(count).collect::<rusqlite::Result<BTreeMap<String, u64>>>()
        };
        counted().map_err(|error| explain("cannot count the rows of", &self.path, &error))
    }

    /// Checks everything that SQLite can check: `integrity_check` and `foreign_key_check`. Returns the first problem.
    ///
    /// # Errors
    /// What kept the check from running to its end.
    pub(super) fn full_check(&self) -> Result<Option<String>, Failure> {
        if let Some(problem) = self.integrity_check()? {
            return Ok(Some(problem));
        }
        let broken = self.connection.query_row("PRAGMA foreign_key_check", [], |row| {
            Ok((row.get::<_, String>(0)?, row.get::<_, Option<i64>>(1)?))
        });
        match broken {
            Err(rusqlite::Error::QueryReturnedNoRows) => Ok(None),
            Ok((table, row)) => {
                let row = row.map(|row| format!(" {row}")).unwrap_or_default();
                Ok(Some(format!("row{row} of table {table} refers to a row that is not there")))
            }
            Err(error) => Err(explain("cannot check the foreign keys of", &self.path, &error)),
        }
    }

    fn integrity_check(&self) -> Result<Option<String>, Failure> {
        Ok(self.problems("PRAGMA integrity_check(1)")?.into_iter().next())
    }

    /// Runs `quick_check` and returns the first problems, none when the database is whole.
    ///
    /// # Errors
    /// What kept the check from running to its end.
    pub(super) fn quick_check(&self) -> Result<Vec<String>, Failure> {
        self.problems("PRAGMA quick_check(5)")
    }

    fn problems(&self, check: &str) -> Result<Vec<String>, Failure> {
        match self.texts(check) {
            Ok(rows) if rows == ["ok"] => Ok(Vec::new()),
            // Some damage ends the check itself.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => Ok(vec![error.to_string()]),
            rows => rows.map_err(|error| explain("cannot check", &self.path, &error)),
        }
    }

    /// Returns the first column of all rows.
    fn texts(&self, query: &str) -> rusqlite::Result<Vec<String>> {
        self.connection.prepare(query)?.query_map([], |row| row.get(0))?.collect()
    }

    /// Checks the database as a whole, and where that finds something rebuilds the indexes from the tables. To be asked of a copy.
    pub(super) fn rebuild_damaged_indexes(self) -> Result<(Self, Indexes), Failure> {
        let Some(problem) = self.integrity_check()? else { return Ok((self, Indexes::Whole)) };
        if let Some(lost) = self.lost_rows().map_err(|error| explain("cannot check", &self.path, &error))? {
            return Ok((self, Indexes::TablesDamaged(lost)));
        }
        let (database, rebuilt) = match self.rebuild_indexes() {
            // SQLite reads an index before it builds it anew, and pages of this one may lead nowhere.
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                let database = self.empty_indexes()?;
                // The pages that the indexes had are free only after a VACUUM, which may number rows anew.
                let rebuilt = database.connection.execute_batch("REINDEX; VACUUM");
                let rebuilt = rebuilt.and_then(|()| database.rebuild_indexes());
                (database, rebuilt)
            }
            rebuilt => (self, rebuilt),
        };
        if let Err(error) = rebuilt {
            return match error.sqlite_error_code() {
                // Pages of a table that lead nowhere, or two rows where an index allows one.
                Some(ErrorCode::DatabaseCorrupt | ErrorCode::ConstraintViolation) => {
                    Ok((database, Indexes::TablesDamaged(format!("{problem} ({error})"))))
                }
                _ => Err(explain("cannot rebuild the indexes of", &database.path, &error)),
            };
        }
        Ok(match database.integrity_check()? {
            None => (database, Indexes::Rebuilt(problem)),
            Some(left) => (database, Indexes::TablesDamaged(left)),
        })
    }

    /// Says which table lacks rows that all its indexes still have: a write to the table was lost, and new indexes would hide it.
    /// An entry that only some of them have is the index's own fault. Partial indexes, and those that cannot be read, say nothing.
    fn lost_rows(&self) -> rusqlite::Result<Option<String>> {
        for table in self.texts("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")? {
            let of = format!("'{}'", table.replace('\'', "''"));
            let is_without_rowid =
                format!("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = {of} AND wr");
            let (key, own) = if self.connection.prepare(&is_without_rowid)?.exists([])? {
                (self.texts(&format!("SELECT name FROM pragma_table_info({of}) WHERE pk > 0"))?, "origin != 'pk'")
            } else {
                (vec!["_rowid_".to_owned()], "1")
            };
            let table = quoted(&table);
            let key: Vec<_> = key.iter().map(|column| quoted(column)).collect();
            let shown = key.iter().map(|column| format!("quote(e.{column})")).collect::<Vec<_>>().join(" || ', ' || ");
            let same = key.iter().map(|column| format!("r.{column} = e.{column}")).collect::<Vec<_>>().join(" AND ");
            let highest = format!("SELECT quote(ifnull(max(_rowid_), 0)) FROM main.{table} NOT INDEXED");
            let mut lost: Option<BTreeSet<String>> = None;
            let mut names = Vec::new();
            for index in self.texts(&format!("SELECT name FROM pragma_index_list({of}) WHERE NOT partial AND {own}"))? {
                // The index alone is read: what is shown is all in it.
                let entries = self.texts(&format!(
                    "SELECT {shown} FROM main.{table} AS e INDEXED BY {} WHERE NOT EXISTS (SELECT 1 FROM main.{table} AS r NOT INDEXED WHERE {same})",
                    quoted(&index)
                ));
                match entries {
                    Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {}
                    entries => {
                        let is_left = |row: &String| lost.as_ref().is_none_or(|lost| lost.contains(row));
                        lost = Some(entries?.into_iter().filter(is_left).collect());
                        names.push(index);
                    }
                }
            }
            // A single index cannot be told from the table by others. What was added last is missing where a write to the table
            // was lost; any other entry may as well be of a row that was deleted.
            if names.len() == 1 && own == "1" {
                let number = |row: &String| row.parse::<i64>().unwrap_or(i64::MAX);
                let highest = self.texts(&highest)?.first().map_or(0, number);
                lost = lost.map(|lost| lost.into_iter().filter(|row| number(row) > highest).collect());
            }
            if let Some(lost) = lost.filter(|lost| !lost.is_empty()) {
                let (count, indexes) = (lost.len(), names.join(", "));
                let rows = if count == 1 { "a row" } else { &format!("{count} rows") };
                return Ok(Some(format!("table {table} lacks {rows} that its indexes ({indexes}) still have")));
            }
        }
        Ok(None)
    }

    /// Builds all indexes anew, those of full-text tables among them. A full-text table without content of its own or of
    /// another table cannot be; whether it had to be, a check finds out.
    fn rebuild_indexes(&self) -> rusqlite::Result<()> {
        self.connection.execute_batch("REINDEX")?;
        let tables =
            "SELECT name FROM main.sqlite_schema WHERE type = 'table' AND sql LIKE 'CREATE VIRTUAL TABLE%USING%fts5%'";
        for table in self.texts(tables)? {
            let table = quoted(&table);
            let _ = self.connection.execute(&format!("INSERT INTO main.{table} ({table}) VALUES ('rebuild')"), []);
        }
        Ok(())
    }

    /// Closes it, makes each index an empty one, which SQLite can always read, and opens it again. The pages that they had
    /// belong to nothing then.
    fn empty_indexes(self) -> Result<Self, Failure> {
        let path = self.path.clone();
        let roots = self.connection.prepare("SELECT rootpage FROM main.sqlite_schema WHERE type = 'index'").and_then(
            |mut roots| {
                let roots = roots.query_map([], |row| row.get::<_, u32>(0))?;
                roots.collect::<Result<Vec<_>, _>>()
            },
        );
        let roots = roots.map_err(|error| explain("cannot read the indexes of", &path, &error))?;
        self.checkpoint_and_close()?;
        write_empty_indexes(&path, &roots).explain(|| format!("cannot write {}", path.display()))?;
        Self::open(&path)
    }

    /// Puts it into WAL mode for good. A database in rollback-journal mode would be put into it by the first app to serve,
    /// and a power cut just then can bring back the journal of that change, which only a writer can take back.
    ///
    /// # Errors
    /// [`Cause::Busy`] when another process has it open; what SQLite said.
    pub(super) fn use_wal(&self) -> Result<(), Failure> {
        let mode = self.connection.query_row("PRAGMA journal_mode = WAL", [], |row| row.get::<_, String>(0));
        match mode.map_err(|error| explain("cannot put into WAL mode", &self.path, &error))?.as_str() {
            "wal" => Ok(()),
            _ => Err(in_use(&self.path)),
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

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Overwrites these pages with empty leaves of an index: <https://www.sqlite.org/fileformat2.html#b_tree_pages>.
fn write_empty_indexes(path: &Path, roots: &[u32]) -> io::Result<()> {
    const INDEX_LEAF: u8 = 0x0a;
    let file = fs::File::options().read(true).write(true).open(path)?;
    let mut header = [0_u8; 100];
    file.read_exact_at(&mut header, 0)?;
    // The page's size stands at 16, where 1 means 65,536; the bytes at its end that are not used, at 20.
    let size = match u16::from_be_bytes([header[16], header[17]]) {
        1 => 65_536,
        size => usize::from(size),
    };
    let mut page = vec![0_u8; size];
    page[0] = INDEX_LEAF;
    // Where the content begins; 0 means 65,536.
    let content = (size - usize::from(header[20])) & 0xffff;
    page[5..7].copy_from_slice(&u16::try_from(content).unwrap_or(0).to_be_bytes());
    for root in roots.iter().filter(|root| **root > 1) {
        file.write_all_at(&page, (u64::from(*root) - 1) * size as u64)?;
    }
    file.sync_all()
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
