//! Are all the values of a database still there after its upgrade?
//!
//! Each row is known by its key, and compared are the columns that there were before. The two books in which migrations are recorded,
//! full-text indexes and SQLite's own tables are no household's data.

use std::collections::BTreeMap;

use rusqlite::{Connection, Result};

use crate::schema::quoted;

/// How much there was, and how much of it is still there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Tables before.
    pub tables: usize,
    /// Rows before.
    pub rows: usize,
    /// Values before: those of every row in every column that stores one.
    pub values: usize,
    /// How many of the values are the same after.
    pub kept: usize,
}

/// The values of a database: by table, key and column.
#[derive(Clone, Debug, Default)]
pub struct Values {
    tables: BTreeMap<String, Table>,
}

#[derive(Clone, Debug)]
struct Table {
    key: Vec<String>,
    columns: Vec<String>,
    rows: BTreeMap<String, Vec<String>>,
}

impl Values {
    /// Reads those of a database.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn read(connection: &Connection) -> Result<Values> {
        let sql = "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'
            AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND name NOT IN ('seaql_migrations', 'migration_ledger')";
        let names = connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>>>()?;
        let mut values = Values::default();
        for name in names {
            let sql = "SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 AND hidden <> 2 ORDER BY cid";
            let mut statement = connection.prepare(sql)?;
            let columns: Vec<(String, i64)> =
                statement.query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_>>()?;
            let mut key: Vec<&(String, i64)> = columns.iter().filter(|(_, position)| *position > 0).collect();
            key.sort_by_key(|(_, position)| *position);
            let mut key: Vec<String> = key.iter().map(|(name, _)| quoted(name)).collect();
            if key.is_empty() {
                key.push("rowid".to_owned());
            }
            let columns = columns.iter().map(|(name, _)| quoted(name)).collect();
            let table = Table { key, columns, rows: BTreeMap::new() };
            let rows = table.rows(connection, &name)?;
            values.tables.insert(name, Table { rows, ..table });
        }
        Ok(values)
    }

    /// Counts how many of these values are still the same in `connection`.
    ///
    /// # Errors
    ///
    /// SQLite's, such as that a table or a column is gone.
    pub fn compare(&self, connection: &Connection) -> Result<Kept> {
        let mut kept = Kept { tables: self.tables.len(), ..Kept::default() };
        for (name, before) in &self.tables {
            let after = before.rows(connection, name)?;
            kept.rows += before.rows.len();
            for (key, was) in &before.rows {
                kept.values += was.len();
                if let Some(is) = after.get(key) {
                    kept.kept += was.iter().zip(is).filter(|(was, is)| was == is).count();
                }
            }
        }
        Ok(kept)
    }
}

impl Table {
    /// The rows by key, each value as its type and SQL's literal of it.
    fn rows(&self, connection: &Connection, name: &str) -> Result<BTreeMap<String, Vec<String>>> {
        let text = |column: &String| format!("typeof(t.{column}) || hex(CAST(t.{column} AS BLOB))");
        let key = self.key.iter().map(text).collect::<Vec<_>>().join(" || ',' || ");
        let columns = self.columns.iter().map(text).collect::<Vec<_>>().join(", ");
        let mut statement = connection.prepare(&format!("SELECT {key}, {columns} FROM {} AS t", quoted(name)))?;
        let row = |row: &rusqlite::Row<'_>| {
            let values = (1..=self.columns.len()).map(|index| row.get(index)).collect::<Result<_>>()?;
            Ok((row.get(0)?, values))
        };
        statement.query_map([], row)?.collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

    use super::*;

    #[test]
    fn each_value_that_is_another_counts() {
        let connection = Connection::open_in_memory().unwrap();
        connection
            .execute_batch(
                "CREATE TABLE a (id INTEGER PRIMARY KEY, b, c);
                 CREATE TABLE d (e TEXT, f TEXT, g, PRIMARY KEY (e, f)) WITHOUT ROWID;
                 CREATE TABLE no_key (h);
                 INSERT INTO a VALUES (1, 'x', NULL), (2, '', 1.5), (3, x'00', 7);
                 INSERT INTO d VALUES ('p', 'q', 1), ('p', 'r', 2);
                 INSERT INTO no_key VALUES (1), (1)",
            )
            .unwrap();
        let values = Values::read(&connection).unwrap();
        let all = Kept { tables: 3, rows: 7, values: 3 * 3 + 2 * 3 + 2, kept: 17 };
        assert_eq!(values.compare(&connection).unwrap(), all);
        let loses = |number: usize, sql: &str| {
            connection.execute_batch(&format!("BEGIN; {sql}")).unwrap();
            assert_eq!(values.compare(&connection).unwrap(), Kept { kept: 17 - number, ..all }, "{sql}");
            connection.execute_batch("ROLLBACK").unwrap();
        };
        loses(0, "ALTER TABLE a ADD COLUMN i DEFAULT 1; INSERT INTO a (b) VALUES ('new')");
        loses(1, "UPDATE a SET b = NULL WHERE id = 2");
        loses(1, "UPDATE a SET c = '7' WHERE id = 3");
        loses(3, "DELETE FROM a WHERE id = 1");
        loses(3, "UPDATE a SET id = 9 WHERE id = 1");
        loses(3, "DELETE FROM d WHERE f = 'q'");
        loses(1, "DELETE FROM no_key WHERE rowid = 2");
        connection.execute_batch("ALTER TABLE a DROP COLUMN c").unwrap();
        assert!(values.compare(&connection).unwrap_err().to_string().contains("no such column"));
    }
}
