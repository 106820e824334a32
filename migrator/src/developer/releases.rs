//! What did earlier releases leave in `migrator/releases`?
//!
//! A released version's database with data in it, as SQL text: whole in `<version>.sql` (to 0.5.0), or in `<version>.delta.sql` as what is
//! new in it ([`delta`]). Beside it `<version>.statements` has each statement that this version's app prepares,
//! `<version>.certificate.json` what was proven of its upgrades, and `<migration>.pinned` what a migration executes ([`pins`](super::pins)).
//! `files/` has the contents of all attachments in these databases, which an app that starts on one of them looks for.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use semver::Version;

use super::delta::{self, Header};
use super::{Problem, blocking, scratch};
use crate::apply::up_to;
use crate::{Release, migrations};

/// What one release left.
#[derive(Clone, Debug)]
pub struct Released {
    /// Its version.
    pub version: Version,
    directory: PathBuf,
}

/// Returns this repository's top directory.
pub fn root() -> PathBuf {
    let migrator = Path::new(env!("CARGO_MANIFEST_DIR"));
    migrator.parent().unwrap_or(migrator).to_owned()
}

/// Returns the directory that releases leave their files in. Tests of what was possible after an earlier release name another one.
pub fn directory() -> PathBuf {
    std::env::var_os("MIGRATION_CHECK_RELEASES").map_or_else(|| root().join("migrator/releases"), PathBuf::from)
}

/// Returns the contents of the attachments in the releases' databases, each with the name of its file.
///
/// # Errors
///
/// Says which file cannot be read.
pub fn files() -> Result<Vec<(String, Vec<u8>)>, Problem> {
    let directory = directory().join("files");
    let failed = |error| Problem::new(format!("cannot read {}: {error}", directory.display()));
    let mut files = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push((name, fs::read(&path).map_err(failed)?));
    }
    files.sort();
    Ok(files)
}

/// Writes these contents where an app with this data directory looks for them.
///
/// # Errors
///
/// Says what cannot be read or written.
pub fn place_files(data: &Path) -> Result<(), Problem> {
    for (_, content) in files()? {
        let hash = blake3::hash(&content).to_hex();
        let directory = data.join("files").join(&hash[..2]);
        let path = directory.join(hash.as_str());
        fs::create_dir_all(&directory)
            .and_then(|()| fs::write(&path, &content))
            .map_err(|error| Problem::new(format!("cannot write {}: {error}", path.display())))?;
    }
    Ok(())
}

/// Returns the releases that left something, oldest first.
///
/// # Errors
///
/// Says which file cannot be read, or whose name is no version.
pub fn all() -> Result<Vec<Released>, Problem> {
    of(&directory())
}

/// Returns those of a directory, oldest first.
///
/// # Errors
///
/// Says which file cannot be read, or whose name is no version.
pub fn of(directory: &Path) -> Result<Vec<Released>, Problem> {
    let failed = |error| Problem::new(format!("cannot read {}: {error}", directory.display()));
    let mut all: Vec<Released> = Vec::new();
    for entry in fs::read_dir(directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name = stem.strip_suffix(".delta").unwrap_or(&stem);
        let version = Version::parse(name)
            .map_err(|_| Problem::new(format!("{} is not named after a version", path.display())))?;
        if all.iter().any(|one| one.version == version) {
            return Err(Problem::new(format!("{version} has two databases in {}", directory.display()))
                .hint(format!("remove {version}.sql or {version}.delta.sql")));
        }
        all.push(Released { version, directory: directory.to_owned() });
    }
    all.sort_by(|one, other| one.version.cmp(&other.version));
    Ok(all)
}

/// Returns the newest release that is older than `version`.
///
/// # Errors
///
/// There is none, or the files cannot be read.
pub fn before(version: &Version) -> Result<Released, Problem> {
    let mut older = all()?;
    older.retain(|one| one.version < *version);
    older.pop().ok_or_else(|| Problem::new(format!("no release is older than {version}")))
}

impl Released {
    /// Writes this release's database to `path`, where nothing is yet.
    ///
    /// # Errors
    ///
    /// Says which file cannot be read or made.
    pub fn make(&self, path: &Path) -> Result<(), Problem> {
        let file = self.file("delta.sql");
        if file.exists() {
            return self.make_from_delta(path, &file);
        }
        let file = self.file("sql");
        let sql = read(&file)?;
        Connection::open(path)
            .and_then(|connection| {
                connection.execute_batch(&sql)?;
                connection.close().map_err(|(_, error)| error)
            })
            .map_err(|error| Problem::new(format!("cannot make {} of {}: {error}", path.display(), file.display())))
    }

    fn make_from_delta(&self, path: &Path, file: &Path) -> Result<(), Problem> {
        let of_file =
            |problem: Problem| Problem { message: format!("{}: {}", file.display(), problem.message), ..problem };
        let text = read(file)?;
        let header = Header::parse(&text).map_err(of_file)?;
        if header.from >= self.version {
            return Err(of_file(Problem::new(format!("it is from {}, which is not older", header.from))));
        }
        let before = Released { version: header.from.clone(), directory: self.directory.clone() };
        before.make(path)?;
        let schema = upgrade(path, header.migrations.last().map(String::as_str))?;
        if schema != header.schema {
            return Err(of_file(
                Problem::new(format!(
                    "the migrations to {} make the schema {schema}, and those of {} made {}",
                    header.migrations.last().map_or("none", String::as_str),
                    self.version,
                    header.schema
                ))
                .hint("a released migration was edited: put it back as it was"),
            ));
        }
        let failed = |error| Problem::new(format!("cannot make {} of {}: {error}", path.display(), file.display()));
        let mut connection = Connection::open(path).map_err(failed)?;
        delta::apply(&mut connection, &text).map_err(failed)?;
        connection.close().map_err(|(_, error)| failed(error))
    }

    /// Returns the statements that this release's app prepares.
    ///
    /// # Errors
    ///
    /// Says which file cannot be read.
    pub fn statements(&self) -> Result<Vec<String>, Problem> {
        let text = read(&self.file("statements"))?;
        Ok(text.lines().filter(|line| !line.is_empty() && !line.starts_with("--")).map(str::to_owned).collect())
    }

    /// Returns the migrations that this release's database has applied, in the order in which they were.
    ///
    /// # Errors
    ///
    /// Its database cannot be made.
    pub fn migrations(&self) -> Result<Vec<String>, Problem> {
        let file = self.file("delta.sql");
        if file.exists() {
            return Ok(Header::parse(&read(&file)?)?.migrations);
        }
        let directory = scratch()?;
        let path = directory.path().join("app.db");
        self.make(&path)?;
        let read = |connection: Connection| {
            let mut statement = connection.prepare("SELECT name FROM migration_ledger ORDER BY id")?;
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        Connection::open(&path)
            .and_then(read)
            .map_err(|error| Problem::new(format!("cannot read the ledger of {}'s database: {error}", self.version)))
    }

    /// Returns the directory that its files are in.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Returns the path of the file that it left with this extension.
    pub fn file(&self, extension: &str) -> PathBuf {
        self.directory.join(format!("{}.{extension}", self.version))
    }
}

fn read(file: &Path) -> Result<String, Problem> {
    fs::read_to_string(file).map_err(|error| Problem::new(format!("cannot read {}: {error}", file.display())))
}

/// Upgrades the database at `path` with this source's migrations as far as the migration `last`, or with all of them, and returns the
/// fingerprint of its schema.
///
/// # Errors
///
/// The migrator's.
pub fn upgrade(path: &Path, last: Option<&str>) -> Result<String, Problem> {
    // Also what households would not be upgraded from any more: a stop is the migrator's and not the migrations'.
    let release = Release { migrations: migrations::all, oldest: None, ..Release::current() };
    let outcome = blocking(async || up_to(path, &release, last, &mut |_| {}).await)?;
    let outcome = outcome.map_err(|error| Problem::new(format!("cannot upgrade {}: {error}", path.display())))?;
    Ok(outcome.schema)
}
