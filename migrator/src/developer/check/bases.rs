//! From which databases is it checked?
//!
//! Each release's own, filled with awkward rows, as a household has it when the upgrade begins; and the same upgraded by the
//! released migrations, on which the unreleased ones then run one by one. Making them takes longer than anything else, so they are
//! kept in `target/migration-check`, under a name that is a hash of all that they are made of.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::Connection;

use super::Subject;
use crate::developer::releases::{self, Released, root};
use crate::developer::{Problem, awkward, migrate};

/// Longer than any check takes.
const OLD: Duration = Duration::from_secs(7 * 24 * 3600);

/// The databases of one release.
#[derive(Clone, Debug)]
pub(crate) struct Base {
    /// The release's version.
    pub(crate) version: String,
    /// As this release has it.
    pub(crate) awkward: PathBuf,
    /// Upgraded by the released migrations.
    pub(crate) upgraded: PathBuf,
    /// The statements that this release prepares.
    pub(crate) statements: Vec<String>,
}

/// Returns those of every release, newest first.
pub(crate) fn prepare(subject: &Subject<'_>, scratch: &Path) -> Result<Vec<Base>, Problem> {
    let cache = cache(scratch)?;
    let directory = cache.join(key(subject)?);
    if !directory.exists() {
        remove_old(&cache);
    }
    fs::create_dir_all(&directory).map_err(|error| failed(&directory, &error))?;
    subject.releases.iter().map(|released| base(subject, released, &directory)).collect()
}

fn base(subject: &Subject<'_>, released: &Released, directory: &Path) -> Result<Base, Problem> {
    let version = released.version.to_string();
    let place = |what: &str| directory.join(format!("{version}.{what}.db"));
    let base = Base {
        awkward: place("awkward"),
        upgraded: place("upgraded"),
        statements: released.statements()?,
        version: version.clone(),
    };
    // Several checks may make it at once; the last one's is as good as the first one's.
    let own = |what: &str| directory.join(format!("{version}.{what}.{}", std::process::id()));
    if !base.awkward.exists() {
        let new = own("awkward");
        remove(&new);
        released.make(&new)?;
        awkward::fill(&new)?;
        fs::rename(&new, &base.awkward).map_err(|error| failed(&base.awkward, &error))?;
    }
    if !base.upgraded.exists() {
        let new = own("upgraded");
        copy(&base.awkward, &new)?;
        let applied = applied(&new)?;
        let names: Vec<String> = subject.released.iter().filter(|name| !applied.contains(name)).cloned().collect();
        if let Err(failed) = migrate::apply(&new, subject.release, &names)? {
            let name = failed.executed.migration;
            return Err(Problem::new(format!(
                "the released migration {name} fails on {version}'s database: {}",
                failed.reason
            )));
        }
        fs::rename(&new, &base.upgraded).map_err(|error| failed(&base.upgraded, &error))?;
    }
    Ok(base)
}

fn applied(path: &Path) -> Result<Vec<String>, Problem> {
    open(path)
        .and_then(|connection| {
            let mut statement = connection.prepare("SELECT name FROM migration_ledger ORDER BY id")?;
            statement.query_map([], |row| row.get(0))?.collect()
        })
        .map_err(|error| unreadable(path, &error))
}

/// Where things are kept from check to check: beside what is built, or, where that is not this user's, nowhere.
pub(crate) fn cache(scratch: &Path) -> Result<PathBuf, Problem> {
    let place = root().join("target/migration-check");
    let probe = place.join(format!("probe-{}", std::process::id()));
    if fs::create_dir_all(&place).is_ok() && fs::write(&probe, "").is_ok() {
        fs::remove_file(&probe).ok();
        return Ok(place);
    }
    let place = scratch.join("cache");
    fs::create_dir_all(&place).map_err(|error| failed(&place, &error))?;
    Ok(place)
}

/// Removes the databases of a source that was changed long ago. What cannot be removed is in nobody's way.
fn remove_old(cache: &Path) {
    let is_old = |path: &Path| {
        let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
        modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > OLD))
    };
    for entry in fs::read_dir(cache).into_iter().flatten().flatten() {
        if entry.path().is_dir() && is_old(&entry.path()) {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
}

/// A hash of all that the databases are made of, and of how far they are upgraded. A migration that is being written is no part of it.
pub(crate) fn key(subject: &Subject<'_>) -> Result<String, Problem> {
    let source = root().join("migrator");
    let mut files =
        vec![source.join("src/fold.rs"), source.join("src/add.rs"), source.join("src/developer/awkward.rs")];
    files.push(source.join("src/developer/check/cost.rs"));
    files.extend(subject.released.iter().map(|name| source.join(format!("src/migrations/{name}.rs"))));
    let newest = subject.releases.first().map(|newest| &newest.version);
    // Not what later releases left, such as the one that is being made.
    let releases = releases::all()?.into_iter().filter(|one| Some(&one.version) <= newest);
    files.extend(releases.flat_map(|one| ["sql", "delta.sql"].map(|extension| one.file(extension))));
    let helpers = source.join("src/add");
    let entries = fs::read_dir(&helpers).map_err(|error| failed(&helpers, &error))?;
    files.extend(entries.filter_map(|entry| entry.ok().map(|entry| entry.path())));
    files.sort();
    let mut hasher = blake3::Hasher::new();
    hasher.update(subject.released.join(" ").as_bytes());
    for file in files.iter().filter(|file| file.is_file()) {
        let content = fs::read(file).map_err(|error| failed(file, &error))?;
        hasher.update(file.as_os_str().as_encoded_bytes()).update(&content);
    }
    let mut key = hasher.finalize().to_hex().to_string();
    key.truncate(16);
    Ok(key)
}

/// Copies a database that nobody has open.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<(), Problem> {
    remove(to);
    fs::copy(from, to).map(|_| ()).map_err(|error| failed(to, &error))
}

/// Removes a database with what lies beside it.
pub(crate) fn remove(path: &Path) {
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        fs::remove_file(name).ok();
    }
}

/// Opens a database as any program could.
pub(crate) fn open(path: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.execute_batch("PRAGMA synchronous = OFF")?;
    Ok(connection)
}

pub(crate) fn failed(path: &Path, error: &std::io::Error) -> Problem {
    Problem::new(format!("cannot make {}: {error}", path.display()))
}

pub(crate) fn unreadable(path: &Path, error: &rusqlite::Error) -> Problem {
    Problem::new(format!("cannot read {}: {error}", path.display()))
}
