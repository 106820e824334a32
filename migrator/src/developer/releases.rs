//! What did earlier releases leave in `migrator/releases`?
//!
//! `<version>.sql` is a released version's database with data in it, as SQL text, and `<version>.statements` each statement
//! that this version's app prepares.

use std::fs;
use std::path::{Path, PathBuf};

use semver::Version;

use super::Problem;

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

/// Returns the releases that left something, oldest first.
///
/// # Errors
///
/// Says which file cannot be read, or whose name is no version.
pub fn all() -> Result<Vec<Released>, Problem> {
    let directory = root().join("migrator/releases");
    let failed = |error| Problem::new(format!("cannot read {}: {error}", directory.display()));
    let mut all = Vec::new();
    for entry in fs::read_dir(&directory).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let version = Version::parse(&name)
            .map_err(|_| Problem::new(format!("{} is not named after a version", path.display())))?;
        all.push(Released { version, directory: directory.clone() });
    }
    all.sort_by(|one, other| one.version.cmp(&other.version));
    Ok(all)
}

impl Released {
    /// Writes this release's database to `path`, where nothing is yet.
    ///
    /// # Errors
    ///
    /// Says which file cannot be read or made.
    pub fn make(&self, path: &Path) -> Result<(), Problem> {
        let file = self.file("sql");
        let sql = fs::read_to_string(&file)
            .map_err(|error| Problem::new(format!("cannot read {}: {error}", file.display())))?;
        rusqlite::Connection::open(path)
            .and_then(|connection| {
                connection.execute_batch(&sql)?;
                connection.close().map_err(|(_, error)| error)
            })
            .map_err(|error| Problem::new(format!("cannot make {} of {}: {error}", path.display(), file.display())))
    }

    /// Returns the statements that this release's app prepares.
    ///
    /// # Errors
    ///
    /// Says which file cannot be read.
    pub fn statements(&self) -> Result<Vec<String>, Problem> {
        let file = self.file("statements");
        let text = fs::read_to_string(&file)
            .map_err(|error| Problem::new(format!("cannot read {}: {error}", file.display())))?;
        Ok(text.lines().filter(|line| !line.is_empty() && !line.starts_with("--")).map(str::to_owned).collect())
    }

    /// Returns the migrations that this release's database has applied, in the order in which they were.
    ///
    /// # Errors
    ///
    /// Its database cannot be made.
    pub fn migrations(&self) -> Result<Vec<String>, Problem> {
        let directory =
            tempfile::tempdir().map_err(|error| Problem::new(format!("cannot make a temporary directory: {error}")))?;
        let path = directory.path().join("app.db");
        self.make(&path)?;
        let read = |connection: rusqlite::Connection| {
            let mut statement = connection.prepare("SELECT name FROM migration_ledger ORDER BY id")?;
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<String>>>()
        };
        rusqlite::Connection::open(&path)
            .and_then(read)
            .map_err(|error| Problem::new(format!("cannot read the ledger of {}'s database: {error}", self.version)))
    }

    /// Returns the path of the file that it left with this extension.
    pub fn file(&self, extension: &str) -> PathBuf {
        self.directory.join(format!("{}.{extension}", self.version))
    }
}
