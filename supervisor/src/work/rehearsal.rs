//! Where is an upgrade rehearsed?
//!
//! On a copy of the live database in a directory of its own, while the app serves: SQLite's backup API takes a consistent copy of a
//! database that is written to. Nothing else of the data directory is touched, and no start ever takes it for a generation.

use std::fs::{self, File};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use super::database::{Database, beside, length};
use crate::{
    data::{
        DATABASE, DataDir, GenerationId,
        durable::{self, Explain},
        permissions, space,
    },
    failure::Failure,
    fault,
    jobs::Rehearsal,
    process::sandbox::{SandboxSupport, Sockets},
};

/// What must stay free besides what is known to be needed: whoever serves meanwhile goes on writing.
const MARGIN: u64 = 64 << 20;

/// Makes the directory anew, with a copy of this generation's database in it.
///
/// # Errors
/// [`crate::failure::Cause::NoSpace`] with the sum; what SQLite and the file system said.
pub fn begin(data: &DataDir, support: SandboxSupport, generation: GenerationId) -> Result<Rehearsal, Failure> {
    let doing = || "cannot rehearse the upgrade";
    fault::point("rehearse.begun").explain(doing)?;
    end(data)?;
    let source = data.database(generation);
    let wal = length(&beside(&source, "-wal"))?.unwrap_or(0);
    let bytes = length(&source)?.unwrap_or(0) + wal;
    let needs = [(bytes, "a copy of the database"), (bytes, "the migrations")];
    space::check("the upgrade cannot be rehearsed", &data.generations(), &needs, MARGIN, String::new)?;
    durable::create_directory(&data.rehearsal())?;
    let target = data.rehearsal().join(DATABASE);
    drop(durable::create_file(&target)?);
    support.confine(data.places(), &[&data.rehearsal(), &data.generation(generation)], Sockets::None)?;
    let live = Database::open_live(&source)?;
    live.copy_to(&target)?;
    fault::point("rehearse.copied").explain(doing)?;
    Ok(Rehearsal { bytes })
}

/// Removes the directory, if it is there.
///
/// # Errors
/// What the file system said.
pub fn end(data: &DataDir) -> Result<(), Failure> {
    let place = data.rehearsal();
    match fs::symlink_metadata(&place) {
        Err(_) => Ok(()),
        Ok(found) if !found.is_dir() => durable::remove_if_there(&place).map(drop),
        Ok(_) => permissions::remove_all(&place).explain(|| format!("cannot remove {}", place.display())),
    }
}

/// Removes what a killed rehearsal left. One of another container, which may run beside a start, keeps what it works on.
///
/// # Errors
/// What the file system said.
pub fn end_if_nobody_rehearses(data: &DataDir) -> Result<(), Failure> {
    if fs::symlink_metadata(data.rehearsal()).is_err() {
        return Ok(());
    }
    match File::open(data.rehearsal_lock()).map(|lock| Flock::lock(lock, FlockArg::LockExclusiveNonblock)) {
        Ok(Err((_, Errno::EWOULDBLOCK))) => Ok(()),
        _ => end(data),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::testing::{ONE, data, fill};

    #[test]
    fn what_is_rehearsed_on_is_whole_while_others_write_and_goes_again() {
        let (_directory, data) = data();
        let connection = fill(&data.database(ONE), 100);
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).unwrap();
        connection.execute("INSERT INTO t (words) VALUES ('in the log')", []).unwrap();
        fs::create_dir(data.rehearsal()).unwrap();
        fs::write(data.rehearsal().join("left"), "by a killed one").unwrap();
        // In a process of its own it would be confined.
        begin(&data, SandboxSupport::default(), ONE).unwrap();
        let copy = rusqlite::Connection::open(data.rehearsal().join(DATABASE)).unwrap();
        assert_eq!(copy.query_row("SELECT count(*) FROM t", [], |row| row.get(0)), Ok(101));
        assert!(!data.rehearsal().join("left").exists());
        drop(copy);
        let lock = File::create(data.rehearsal_lock()).unwrap();
        let lock = Flock::lock(lock, FlockArg::LockExclusiveNonblock).unwrap();
        end_if_nobody_rehearses(&data).unwrap();
        assert!(data.rehearsal().exists(), "another one works on it");
        drop(lock);
        for _ in 0..2 {
            end_if_nobody_rehearses(&data).unwrap();
            assert!(!data.rehearsal().exists());
        }
    }
}
