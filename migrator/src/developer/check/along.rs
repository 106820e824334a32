//! Which rows go when an older program writes, and did not before? SQLite itself says it.
//!
//! With foreign keys on, preparing a statement asks the authorizer for every deletion that may come of it: by its own words, by
//! triggers, by `ON DELETE CASCADE`, and by the rows that `INSERT OR REPLACE` takes the place of, however long the way is. What a
//! statement of the older release may delete from after the migrations and not before them is lost when that program runs.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::{Connection, Result};

/// A table that an older program's writes take rows from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Taken {
    /// What the program does, as in: *deletes from table place*.
    pub(crate) when: String,
    /// The table.
    pub(crate) table: String,
}

/// Returns the tables from which `statements` may delete on `new` and not on `old`, each once.
pub(crate) fn taken(old: &Connection, new: &Connection, statements: &[String]) -> Result<Vec<Taken>> {
    let mut found: Vec<Taken> = Vec::new();
    for statement in statements.iter().filter(|statement| !is_query(statement)) {
        // What does not prepare any more is another rule's.
        let (Some(before), Some(after)) = (deletions(old, statement)?, deletions(new, statement)?) else { continue };
        for table in after.difference(&before) {
            if !found.iter().any(|known| known.table == *table) {
                found.push(Taken { when: action(statement), table: table.clone() });
            }
        }
    }
    Ok(found)
}

fn is_query(statement: &str) -> bool {
    let word = first(statement);
    word == "select" || word == "pragma" || word == "explain"
}

fn first(statement: &str) -> String {
    statement.split_whitespace().next().unwrap_or_default().to_lowercase()
}

/// The tables that a statement may delete from; none if it does not prepare.
fn deletions(connection: &Connection, statement: &str) -> Result<Option<BTreeSet<String>>> {
    connection.execute_batch("PRAGMA foreign_keys = ON")?;
    let deleted: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let noted = Arc::clone(&deleted);
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if let AuthAction::Delete { table_name } = context.action {
            noted.lock().unwrap_or_else(PoisonError::into_inner).insert(table_name.to_lowercase());
        }
        Authorization::Allow
    }));
    let prepared = connection.prepare(statement).is_ok();
    connection.authorizer(None::<fn(AuthContext<'_>) -> Authorization>);
    let deleted = std::mem::take(&mut *deleted.lock().unwrap_or_else(PoisonError::into_inner));
    Ok(prepared.then_some(deleted))
}

/// What a statement does: *deletes from table place*.
fn action(statement: &str) -> String {
    let words = crate::schema::words(statement);
    let after = |word: &str| words.iter().position(|one| one == word).and_then(|at| words.get(at + 1));
    let (verb, table) = match first(statement).as_str() {
        "delete" => ("deletes from", after("from")),
        "update" => ("updates", after("update")),
        _ => ("inserts into", after("into")),
    };
    format!("{verb} table {}", table.map_or("", String::as_str))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

    use super::*;

    #[test]
    fn what_goes_along_is_found_however_long_the_way_is() {
        let old = Connection::open_in_memory().unwrap();
        let tables = "CREATE TABLE a (id INTEGER PRIMARY KEY, x); CREATE TABLE b (id INTEGER PRIMARY KEY, a_id REFERENCES a (id));
            CREATE TABLE log (id INTEGER PRIMARY KEY, n); CREATE TRIGGER t AFTER UPDATE ON a BEGIN INSERT OR REPLACE INTO log VALUES (1, 1); END";
        old.execute_batch(tables).unwrap();
        let statements: Vec<String> = [
            "SELECT * FROM a",
            "delete from a where id = ?",
            "INSERT OR REPLACE INTO \"a\" VALUES (?, ?)",
            "UPDATE a SET x = ?",
            "DELETE FROM gone",
        ]
        .map(str::to_owned)
        .to_vec();
        let taken = |sql: &str| {
            let new = Connection::open_in_memory().unwrap();
            new.execute_batch(tables).unwrap();
            new.execute_batch(sql).unwrap();
            let taken = super::taken(&old, &new, &statements).unwrap();
            taken.iter().map(|one| format!("{}: {}", one.when, one.table)).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(taken("CREATE TABLE c (id INTEGER PRIMARY KEY, a_id REFERENCES a (id) ON DELETE SET NULL)"), "");
        assert_eq!(taken("CREATE TABLE c (a_id REFERENCES a (id) ON DELETE CASCADE)"), "deletes from table a: c");
        assert_eq!(
            taken(
                "CREATE TABLE c (id INTEGER PRIMARY KEY, a_id REFERENCES a (id) ON DELETE CASCADE); CREATE TABLE d (c_id REFERENCES c (id) ON DELETE CASCADE)"
            ),
            "deletes from table a: c, deletes from table a: d"
        );
        assert_eq!(
            taken("ALTER TABLE b ADD COLUMN other REFERENCES a (id) ON DELETE CASCADE"),
            "deletes from table a: b"
        );
        assert_eq!(taken("CREATE TABLE c (log_id REFERENCES log (id) ON DELETE CASCADE)"), "updates table a: c");
        assert_eq!(
            taken("CREATE TABLE c (x); CREATE TRIGGER u AFTER UPDATE ON a BEGIN DELETE FROM c; END"),
            "updates table a: c"
        );
    }
}
