//! Which statements does the app prepare?
//!
//! With `HEARTH_RECORD_STATEMENTS=<file>` each distinct one is kept in that file, sorted, one a line. The next
//! release's migrations are tested against them (`migrator/releases/<version>.statements`).

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    sync::{Mutex, PoisonError},
};

use sea_orm::DatabaseConnection;

static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

/// Records the statements of a connection, when a file is named for them.
pub(super) fn attach(connection: &mut DatabaseConnection) {
    let Some(file) = std::env::var_os("HEARTH_RECORD_STATEMENTS").map(PathBuf::from) else {
        return;
    };
    connection.set_metric_callback(move |info| {
        let mut seen = SEEN.lock().unwrap_or_else(PoisonError::into_inner);
        // One line each: no statement of the app holds a line break within a literal.
        let statement = info.statement.sql.split_whitespace().collect::<Vec<_>>().join(" ");
        if !statement.contains("hearth_fault") && seen.insert(statement) {
            let mut text = String::new();
            for statement in seen.iter() {
                text.push_str(statement);
                text.push('\n');
            }
            if let Err(error) = fs::write(&file, text) {
                panic!("{}: {error}", file.display());
            }
        }
    });
}
