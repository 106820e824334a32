//! Which app do these tests start, and on which database?
//!
//! This source's app, on a database of this source's migrator. To find out whether this release's app can serve a later
//! release's databases, that release runs these tests once more (`cargo migration check`, docs/MIGRATIONS.md), and says so
//! with variables:
//!
//! - `HEARTH_TEST_APP`: the app to start, for the path that the tests were built with may have another by now;
//! - `HEARTH_TEST_DATABASE`: a database that each test starts with a copy of;
//! - `HEARTH_TEST_KEEP`: a directory for what each test leaves in its database, for the later release to read.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
};

/// Returns the path of the app that is tested.
pub(crate) fn program() -> String {
    env::var("HEARTH_TEST_APP").unwrap_or_else(|_| env!("CARGO_BIN_EXE_app").to_owned())
}

/// Returns the database that tests start with, if another one than this source's migrator makes.
pub(crate) fn database() -> Option<PathBuf> {
    env::var_os("HEARTH_TEST_DATABASE").map(PathBuf::from)
}

/// Keeps what a test left in its database, where a directory is named for that.
pub(crate) fn keep(database: &Path) {
    static NUMBER: AtomicUsize = AtomicUsize::new(1);
    let Some(directory) = env::var_os("HEARTH_TEST_KEEP").map(PathBuf::from) else {
        return;
    };
    let test = std::thread::current().name().unwrap_or("main").replace("::", ".");
    let name = format!("{test}.{}.db", NUMBER.fetch_add(1, Ordering::Relaxed));
    for suffix in ["", "-wal"] {
        let from = PathBuf::from(format!("{}{suffix}", database.display()));
        if from.exists() {
            fs::copy(from, directory.join(format!("{name}{suffix}"))).unwrap();
        }
    }
}
