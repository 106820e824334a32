//! Which statements does the app prepare?
//!
//! With `HEARTH_RECORD_STATEMENTS=<file>` each distinct one is kept in that file, sorted, one a line. The next
//! release's migrations are tested against them (`migrator/releases/<version>.statements`).

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{LazyLock, Mutex, PoisonError},
};

use sea_orm::DatabaseConnection;

static FILE: LazyLock<Option<PathBuf>> =
    LazyLock::new(|| std::env::var_os("HEARTH_RECORD_STATEMENTS").map(PathBuf::from));
static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Records the statements of a connection, when a file is named for them.
pub(super) fn attach(connection: &mut DatabaseConnection) {
    if FILE.is_some() {
        connection.set_metric_callback(|info| saw(&info.statement.sql));
    }
}

/// Records a statement, when a file is named for them.
pub(super) fn saw(sql: &str) {
    let Some(file) = &*FILE else {
        return;
    };
    let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
    // One line each: no statement of the app holds a line break within a literal.
    let statement = sql.split_whitespace().collect::<Vec<_>>().join(" ");
    if !statement.contains("hearth_fault") && seen.insert(statement) {
        let mut text = String::new();
        for statement in seen.iter() {
            text.push_str(statement);
            text.push('\n');
        }
        if let Err(error) = fs::write(file, text) {
            panic!("{}: {error}", file.display());
        }
    }
}
