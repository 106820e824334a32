//! What does one migration do to a released database? For the test beside it: whatever is wrong is a panic.
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "in a test a panic is the answer")]

use rusqlite::Connection;
use sea_orm::{ConnectOptions, Database, TransactionTrait};
use sea_orm_migration::{SchemaManager, SchemaManagerConnection};
use tempfile::TempDir;

use super::releases;
use crate::Release;

/// The database of the newest release that a migration is new for, and that has no other migrations than the list has, after it.
#[derive(Debug)]
pub struct Trial {
    directory: TempDir,
}

impl Trial {
    /// Makes that database, applies all that is pending up to `migration`, and makes sure that no row went and that a second
    /// run changes nothing.
    #[track_caller]
    pub fn of(migration: &str) -> Trial {
        Trial::of_release(&Release::current(), migration)
    }

    /// The same for a migration of `release`.
    #[track_caller]
    pub fn of_release(release: &Release, migration: &str) -> Trial {
        let mut names = release.names();
        let mut trial = Trial { directory: tempfile::tempdir().unwrap() };
        let mut releases = releases::all().unwrap();
        let applied = loop {
            let released = releases.pop().unwrap_or_else(|| panic!("{migration} is of the first release"));
            trial.directory = tempfile::tempdir().unwrap();
            released.make(&trial.directory.path().join("app.db")).unwrap();
            let applied = trial.texts("SELECT name FROM migration_ledger ORDER BY id");
            if applied.iter().all(|name| name != migration && names.contains(name)) {
                break applied;
            }
        };
        assert!(names.iter().any(|name| name == migration), "{migration} is not in the list of migrations");
        names.truncate(names.iter().position(|name| name == migration).unwrap() + 1);
        names.retain(|name| !applied.contains(name));
        let before = trial.counts();
        trial.run(release, &names);
        for (table, rows) in before {
            let now = trial.texts(&format!("SELECT count(*) FROM {table}")).concat().parse::<u64>().unwrap();
            assert!(now >= rows, "table {table} has {now} rows, and had {rows}");
        }
        let after = trial.content();
        trial.run(release, &[migration.to_owned()]);
        assert!(trial.content() == after, "the second run changed something");
        assert_eq!(trial.texts("PRAGMA foreign_key_check"), [""; 0]);
        trial
    }

    /// Makes sure that a condition holds in each row of a table.
    #[track_caller]
    pub fn holds(&self, table: &str, condition: &str) {
        let from = crate::schema::quoted(table);
        let others = self.texts(&format!("SELECT count(*) FROM {from} WHERE NOT ifnull(({condition}), 0)"));
        assert_eq!(others, ["0"], "rows of {table} in which this does not hold: {condition}");
    }

    fn open(&self) -> Connection {
        Connection::open(self.directory.path().join("app.db")).unwrap()
    }

    /// The rows of a query, each as SQL writes its values.
    fn texts(&self, sql: &str) -> Vec<String> {
        let connection = self.open();
        let mut statement = connection.prepare(sql).unwrap();
        let width = statement.column_count();
        let rows = statement.query_map([], |row| {
            let values = (0..width).map(|index| row.get::<_, rusqlite::types::Value>(index));
            let values = values.collect::<Result<Vec<_>, _>>()?;
            Ok(values.iter().map(word).collect::<Vec<_>>().join(", "))
        });
        rows.unwrap().collect::<Result<_, _>>().unwrap()
    }

    fn tables(&self) -> Vec<String> {
        self.texts("SELECT '\"' || name || '\"' FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
    }

    fn counts(&self) -> Vec<(String, u64)> {
        let count = |table: &String| self.texts(&format!("SELECT count(*) FROM {table}")).concat().parse().unwrap();
        let kept = |table: &&String| !table.starts_with("\"sqlite_");
        self.tables().iter().filter(kept).map(|table| (table.clone(), count(table))).collect()
    }

    fn content(&self) -> Vec<String> {
        let mut all = self.texts("SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2");
        for table in self.tables() {
            let mut rows = self.texts(&format!("SELECT * FROM {table}"));
            rows.sort();
            all.extend(rows);
        }
        all
    }

    fn run(&self, release: &Release, names: &[String]) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let path = self.directory.path().join("app.db");
            let mut options = ConnectOptions::new("sqlite:");
            options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(move |sqlite| {
                sqlite.filename(&path).create_if_missing(false).foreign_keys(false)
            });
            let connection = Database::connect(options).await.unwrap();
            let transaction = connection.begin().await.unwrap();
            for migration in (release.migrations)() {
                if names.iter().any(|name| name == migration.name()) {
                    let manager = SchemaManager::new(SchemaManagerConnection::Transaction(&transaction));
                    migration.up(&manager).await.unwrap();
                }
            }
            transaction.commit().await.unwrap();
            connection.close().await.unwrap();
        });
    }
}

fn word(value: &rusqlite::types::Value) -> String {
    match value {
        rusqlite::types::Value::Text(text) => text.clone(),
        rusqlite::types::Value::Integer(number) => number.to_string(),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::Trial;

    #[test]
    fn a_trial_begins_at_the_newest_release_without_the_migration() {
        let trial = Trial::of("m0003_search_and_changes");
        trial.holds("record", "version >= 1 AND title_key IS NOT NULL");
        assert_eq!(trial.texts("SELECT max(version) < '0.5.0' FROM migration_ledger"), ["1"]);
    }

    #[test]
    #[should_panic(expected = "rows of record in which this does not hold: id < 0")]
    fn a_condition_that_does_not_hold_is_said() {
        Trial::of("m0003_search_and_changes").holds("record", "id < 0");
    }
}
