//! A database for tests, as this version's migrator makes it.

use std::path::PathBuf;

use tempfile::TempDir;

use super::{Database, writer::tests::as_one_batch};

/// Returns a migrated database with what some SQL adds.
pub(crate) async fn migrated(sql: &str) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("app.db");
    std::fs::write(&path, "").unwrap();
    migrator::up(&path, &migrator::Release::current(), &mut |_| {}).await.unwrap();
    rusqlite::Connection::open(&path).unwrap().execute_batch(sql).unwrap();
    (directory, path)
}

/// Has all these writes carried out in one transaction, in the order in which they are polled.
pub(crate) async fn in_one_transaction<T>(database: &Database, writes: impl Future<Output = T>) -> T {
    as_one_batch(database.writer.as_ref().unwrap(), writes, async {}).await
}
