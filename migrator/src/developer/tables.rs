//! What tables, columns, indexes, triggers and views does a database have?
//!
//! [`Listing`](crate::schema::Listing) says it in a form that is stored and compared for ever; this is for commands that have
//! to do with each column by itself.

use rusqlite::Connection;
use sea_orm::{ConnectOptions, ConnectionTrait, Database, DatabaseConnection};
use sea_orm_migration::SchemaManager;

use super::{Problem, blocking};
use crate::Release;
use crate::error::words;
use crate::schema::statements;

/// The tables and views of a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    all: Vec<Table>,
}

/// A table or a view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: String,
    /// Where its rows are.
    pub stored: Stored,
    /// The statement that made it.
    pub sql: String,
    /// Whether SQLite refuses values of another type.
    pub is_strict: bool,
    /// Its columns, in order, generated ones included.
    pub columns: Vec<Stands>,
    /// The columns of its primary key, in the key's order.
    pub primary_key: Vec<String>,
    /// Its indexes, those of its constraints included.
    pub indexes: Vec<Indexed>,
    /// What its columns refer to: the columns, and the table.
    pub foreign_keys: Vec<(Vec<String>, String)>,
    /// Its triggers: name and statement.
    pub triggers: Vec<(String, String)>,
}

/// Where a table's rows are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stored {
    /// In the table, by number.
    Rowid,
    /// In the table, by primary key.
    WithoutRowid,
    /// In others: it is a view or a virtual table.
    Elsewhere,
}

/// A column as it stands in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stands {
    /// Its name.
    pub name: String,
    /// Its type as it was declared.
    pub declared: String,
    /// Whether it may be null.
    pub nullable: bool,
    /// Its default, as SQL.
    pub default: Option<String>,
    /// Whether SQLite computes it.
    pub is_generated: bool,
    /// Whether it is another name of the row's number.
    pub is_rowid: bool,
}

/// An index as it stands in a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indexed {
    /// Its name.
    pub name: String,
    /// Its columns; none in the place of an expression.
    pub columns: Vec<Option<String>>,
    /// Whether no two rows may have the same values.
    pub unique: bool,
    /// Whether it leaves rows out.
    pub is_partial: bool,
    /// The statement that made it; none if it is of a constraint.
    pub sql: Option<String>,
}

impl Tables {
    /// Reads them.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn read(connection: &Connection) -> rusqlite::Result<Tables> {
        let sql = "SELECT l.name, l.type, l.wr, l.strict, ifnull(s.sql, '')
            FROM pragma_table_list l JOIN sqlite_schema s ON s.name = l.name AND s.type IN ('table', 'view')
            WHERE l.schema = 'main' AND l.type <> 'shadow' AND l.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
            ORDER BY l.name";
        let all = connection
            .prepare(sql)?
            .query_map([], |row| {
                let (kind, without_rowid) = (row.get::<_, String>(1)?, row.get::<_, bool>(2)?);
                let stored = match (kind.as_str(), without_rowid) {
                    ("table", false) => Stored::Rowid,
                    ("table", true) => Stored::WithoutRowid,
                    _ => Stored::Elsewhere,
                };
                table(connection, row.get(0)?, stored, row.get(3)?, row.get(4)?)
            })?
            .collect::<rusqlite::Result<_>>()?;
        Ok(Tables { all })
    }

    /// Returns the tables of a database that all migrations of `release` have made from nothing.
    ///
    /// # Errors
    ///
    /// Says what a migration stopped at.
    pub fn of_release(release: &Release) -> Result<Tables, Problem> {
        blocking(async || Tables::of(&migrated(release).await?).await)?
    }

    /// Returns the tables of a database that SeaORM has open, read from their statements.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub async fn of(connection: &impl ConnectionTrait) -> Result<Tables, Problem> {
        let failed = |error: String| Problem::new(format!("cannot read the schema: {error}"));
        let sql = statements(connection).await.map_err(|error| failed(words(&error)))?;
        let copied = Connection::open_in_memory().and_then(|copy| {
            copy.execute_batch(&sql)?;
            Tables::read(&copy)
        });
        copied.map_err(|error| failed(error.to_string()))
    }

    /// Returns the table of this name.
    pub fn get(&self, name: &str) -> Option<&Table> {
        self.all.iter().find(|table| table.name.eq_ignore_ascii_case(name))
    }

    /// Returns all of them.
    pub fn iter(&self) -> impl Iterator<Item = &Table> {
        self.all.iter()
    }
}

impl Table {
    /// Returns its column of this name.
    pub fn column(&self, name: &str) -> Option<&Stands> {
        self.columns.iter().find(|column| column.name.eq_ignore_ascii_case(name))
    }

    /// Says whether no two rows can have the same values in these columns.
    pub fn is_unique(&self, columns: &[&str]) -> bool {
        let all_of = |own: &[Option<String>]| {
            own.len() == columns.len()
                && own
                    .iter()
                    .all(|own| own.as_ref().is_some_and(|own| columns.iter().any(|one| one.eq_ignore_ascii_case(own))))
        };
        let key: Vec<Option<String>> = self.primary_key.iter().cloned().map(Some).collect();
        all_of(&key) || self.indexes.iter().any(|index| index.unique && !index.is_partial && all_of(&index.columns))
    }

    /// Says whether an index begins with these columns.
    pub fn is_indexed(&self, columns: &[&str]) -> bool {
        let begins = |own: &[Option<String>]| {
            own.len() >= columns.len()
                && own
                    .iter()
                    .zip(columns)
                    .all(|(own, one)| own.as_ref().is_some_and(|own| own.eq_ignore_ascii_case(one)))
        };
        let key: Vec<Option<String>> = self.primary_key.iter().cloned().map(Some).collect();
        begins(&key) || self.indexes.iter().any(|index| !index.is_partial && begins(&index.columns))
    }
}

fn table(
    connection: &Connection,
    name: String,
    stored: Stored,
    is_strict: bool,
    sql: String,
) -> rusqlite::Result<Table> {
    // 2 and 3 are generated columns: https://www.sqlite.org/pragma.html#pragma_table_xinfo
    let rows = "SELECT name, type, \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid";
    let mut key: Vec<(i64, String)> = Vec::new();
    let mut columns: Vec<Stands> = connection
        .prepare(rows)?
        .query_map([&name], |row| {
            let position: i64 = row.get(4)?;
            if position > 0 {
                key.push((position, row.get(0)?));
            }
            Ok(Stands {
                name: row.get(0)?,
                declared: row.get(1)?,
                nullable: !row.get::<_, bool>(2)? && (position == 0 || stored == Stored::Rowid && !is_strict),
                default: row.get(3)?,
                is_generated: matches!(row.get::<_, i64>(5)?, 2 | 3),
                is_rowid: false,
            })
        })?
        .collect::<rusqlite::Result<_>>()?;
    key.sort();
    if let ([(_, only)], Stored::Rowid) = (key.as_slice(), stored)
        && let Some(column) = columns.iter_mut().find(|column| column.name == *only)
        && column.declared.eq_ignore_ascii_case("INTEGER")
    {
        column.is_rowid = true;
        column.nullable = false;
    }
    let indexes = "SELECT i.name, i.\"unique\", i.partial, s.sql
        FROM pragma_index_list(?) i LEFT JOIN sqlite_schema s ON s.type = 'index' AND s.name = i.name ORDER BY i.name";
    let indexes = connection
        .prepare(indexes)?
        .query_map([&name], |row| {
            let name: String = row.get(0)?;
            let columns = connection
                .prepare("SELECT name FROM pragma_index_info(?) ORDER BY seqno")?
                .query_map([&name], |row| row.get(0))?
                .collect::<rusqlite::Result<_>>()?;
            Ok(Indexed { name, columns, unique: row.get(1)?, is_partial: row.get(2)?, sql: row.get(3)? })
        })?
        .collect::<rusqlite::Result<_>>()?;
    let mut foreign_keys: Vec<(i64, Vec<String>, String)> = Vec::new();
    let mut keys =
        connection.prepare("SELECT id, \"from\", \"table\" FROM pragma_foreign_key_list(?) ORDER BY id, seq")?;
    let mut rows = keys.query([&name])?;
    while let Some(row) = rows.next()? {
        let (id, from, to): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        match foreign_keys.last_mut() {
            Some((last, columns, _)) if *last == id => columns.push(from),
            _ => foreign_keys.push((id, vec![from], to)),
        }
    }
    let triggers = connection
        .prepare(
            "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND tbl_name = ? COLLATE NOCASE ORDER BY rowid",
        )?
        .query_map([&name], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    Ok(Table {
        stored,
        sql,
        is_strict,
        columns,
        primary_key: key.into_iter().map(|(_, name)| name).collect(),
        indexes,
        foreign_keys: foreign_keys.into_iter().map(|(_, columns, table)| (columns, table)).collect(),
        triggers,
        name,
    })
}

/// Returns a database in memory that all migrations of `release` have made from nothing.
///
/// # Errors
///
/// Says what a migration stopped at.
pub async fn migrated(release: &Release) -> Result<DatabaseConnection, Problem> {
    let failed = |error| Problem::new(format!("cannot open a database in memory: {}", words(&error)));
    let mut options = ConnectOptions::new("sqlite::memory:");
    options.max_connections(1).sqlx_logging(false).map_sqlx_sqlite_opts(|sqlite| sqlite.foreign_keys(false));
    let connection = Database::connect(options).await.map_err(failed)?;
    for migration in (release.migrations)() {
        migration.up(&SchemaManager::new(&connection)).await.map_err(|error| {
            let name = migration.name();
            Problem::new(format!("migration {name} does not run on an empty database: {}", words(&error)))
        })?;
    }
    Ok(connection)
}
