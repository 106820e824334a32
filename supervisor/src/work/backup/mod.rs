//! How are backups made, verified, pruned, copied and read?

pub mod archive;
mod attachment;
pub mod catalog;
pub mod clean_up;
pub mod copy;
pub mod create;
pub mod destination;
pub mod encryption;
pub mod examine;
pub mod identity;
mod lease;
pub mod manifest;
pub mod marker;
pub mod prune;
pub mod retention;
pub mod schedule;
pub mod source;
pub mod status;
mod trial;
pub mod verify;

use std::{
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use self::manifest::Manifest;
use super::database::Database;
use crate::{
    data::{
        DATABASE, DataDir,
        durable::{self, Explain},
        permissions,
        size::counted,
        space,
    },
    failure::{Cause, Failure},
    jobs::backup::BackupJob,
    process::sandbox::{SandboxSupport, Sockets, rules},
};

/// What must stay free besides what is known to be needed.
const MARGIN: u64 = 64 << 20;

pub(super) fn run(
    data: &DataDir,
    support: SandboxSupport,
    job: BackupJob,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Option<serde_json::Value>, Failure> {
    use super::value;
    match job {
        BackupJob::Create(order) => {
            let dir = order.settings.dir.clone();
            let made = create::create(data, support, *order, progress);
            made.map_err(|failure| space::explain(failure, &[&dir, &data.supervisor()])).and_then(value)
        }
        BackupJob::Verify(order) => verify::verify(data, support, &order, progress).and_then(value),
        BackupJob::Drilled { id, dir, found } => verify::drilled(data, support, &dir, &id, found).and_then(value),
        BackupJob::Prune { settings, dry_run } => prune::prune(data, support, &settings, dry_run).and_then(value),
        BackupJob::Remove { settings, ids } => prune::remove(data, support, &settings, &ids).and_then(value),
        BackupJob::Copy { settings, destination, remove } => {
            let copied = copy::copy(data, support, &settings, &destination, &remove, progress);
            copied.map_err(|failure| space::explain(failure, &[Path::new(&destination)])).and_then(value)
        }
        BackupJob::Try { settings, destination } => {
            trial::try_out(data, support, &settings, destination.as_deref()).and_then(value)
        }
        BackupJob::Status(request) => status::status(data, support, &request).and_then(value),
        BackupJob::List { settings, elsewhere } => examine::list(data, support, &settings, elsewhere).and_then(value),
        BackupJob::Preview { archive, settings, rows_now } => {
            examine::preview(data, support, &archive, &settings, rows_now).and_then(value)
        }
        BackupJob::Note { what, trouble } => catalog::note(data, &what, Some(trouble)).and_then(value),
        BackupJob::CleanUp { settings } => value(clean_up::clean_up(data, &settings)),
    }
}

/// Leaves a job what it takes to tell whose backups are whose, and these; beside `supervisor/` it writes to `writes`.
fn confine(
    data: &DataDir,
    support: SandboxSupport,
    reads: Vec<PathBuf>,
    writes: Option<&Path>,
    sockets: Sockets,
) -> Result<(), Failure> {
    let reads = reads.into_iter().chain([identity::MACHINE.into()]).chain(rules::system()).chain(data.places());
    let supervisor = data.supervisor();
    let writes: Vec<_> = [supervisor.as_path()].into_iter().chain(writes).collect();
    support.confine(reads, &writes, sockets)
}

/// An empty scratch directory of a job's own, removed when it is dropped unless it is to be kept.
struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// Makes it, in place of what an earlier job left. One job at a time has one.
    fn make(data: &DataDir) -> Result<Self, Failure> {
        clear(data)?;
        let path = data.scratch();
        durable::create_directory(&path)?;
        Ok(Self { path, keep: false })
    }

    /// Where a backup's database is restored to.
    fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep {
            let _ = permissions::remove_all(&self.path);
        }
    }
}

/// Removes the scratch directory.
fn clear(data: &DataDir) -> Result<(), Failure> {
    permissions::remove_all(&data.scratch()).explain(|| format!("cannot remove {}", data.scratch().display()))
}

/// Checks that there is room in a place for what is needed there.
fn check_space(doing: &str, place: &Path, bytes: u64, what: &str) -> Result<(), Failure> {
    space::check(doing, place, &[(bytes, what)], MARGIN, String::new)
}

/// Checks a restored database against its manifest; returns what is wrong.
pub(super) fn check_database(path: &Path, manifest: &Manifest) -> Result<Option<String>, Failure> {
    let database = match Database::open(path) {
        Ok(database) => database,
        Err(failure) if matches!(failure.cause, Cause::Damaged | Cause::NotADatabase) => {
            return Ok(Some(failure.message));
        }
        Err(failure) => return Err(failure),
    };
    if let Some(problem) = database.full_check()? {
        return Ok(Some(format!("its database is damaged: {problem}")));
    }
    let rows = database.rows()?;
    if rows != manifest.rows {
        let differ = manifest.rows.iter().find(|(table, count)| rows.get(*table) != Some(count));
        let told = match differ {
            Some((table, count)) => {
                let found = rows.get(table).map_or("no rows".into(), |rows| counted(*rows, "row", "rows"));
                format!("table {table} has {found}, not {count}")
            }
            None => "it has tables that the manifest does not know".into(),
        };
        return Ok(Some(format!("its database is not the one that was backed up: {told}")));
    }
    Ok(None)
}

/// Hashes and counts what passes through.
struct Hashing<T> {
    inner: T,
    hasher: blake3::Hasher,
    bytes: u64,
}

impl<T> Hashing<T> {
    fn new(inner: T) -> Self {
        Self { inner, hasher: blake3::Hasher::new(), bytes: 0 }
    }

    fn blake3(&self) -> String {
        self.hasher.finalize().to_hex().to_string()
    }
}

impl<T: Write> Write for Hashing<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<T: Read> Read for Hashing<T> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.hasher.update(&bytes[..read]);
        self.bytes += read as u64;
        Ok(read)
    }
}
