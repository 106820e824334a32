//! What the tests of the jobs start from.

use std::{fs, path::Path};

use rusqlite::Connection;

use crate::data::{DataDir, GenerationId};

pub(super) const ONE: GenerationId = GenerationId(1);
pub(super) const TWO: GenerationId = GenerationId(2);
pub(super) const THREE: GenerationId = GenerationId(3);

/// Makes a data directory with `generations/0001/`, `files/` and `supervisor/`.
pub(super) fn data() -> (tempfile::TempDir, DataDir) {
    let directory = tempfile::tempdir().unwrap();
    let data = DataDir::new(directory.path().to_owned());
    fs::create_dir_all(data.generation(ONE)).unwrap();
    fs::create_dir(data.files()).unwrap();
    fs::create_dir(data.supervisor()).unwrap();
    (directory, data)
}

/// Makes a database in WAL mode with a table of so many rows, and returns its open connection: all rows are still
/// in the WAL.
pub(super) fn fill(path: &Path, rows: u32) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection
        .execute_batch("PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0; CREATE TABLE t (id INTEGER PRIMARY KEY, words TEXT)")
        .unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for id in 0..rows {
        connection.execute("INSERT INTO t VALUES (?1, ?2)", (id, "words ".repeat(20))).unwrap();
    }
    connection.execute_batch("COMMIT").unwrap();
    connection
}

/// A tmpfs of so many MiB with a data directory, unmounted at the end.
pub(super) fn tmpfs(mebibytes: u32) -> (Tmpfs, DataDir) {
    use nix::mount::{MsFlags, mount};
    let place = tempfile::tempdir().unwrap();
    let options = format!("size={mebibytes}m");
    mount(Some("tmpfs"), place.path(), Some("tmpfs"), MsFlags::empty(), Some(options.as_str())).unwrap();
    let data = DataDir::new(place.path().to_owned());
    for directory in [data.generations(), data.files(), data.supervisor()] {
        fs::create_dir(directory).unwrap();
    }
    (Tmpfs(place), data)
}

/// A mounted tmpfs.
pub(super) struct Tmpfs(tempfile::TempDir);

impl Drop for Tmpfs {
    fn drop(&mut self) {
        let _ = nix::mount::umount(self.0.path());
    }
}
