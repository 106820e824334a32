//! What is in a database, row by row, as the SQL text that puts it there?
//!
//! Two databases with the same [`Content`] are the same to every program that opens them. Not in it are SQLite's own tables (but for
//! `sqlite_sequence`, the numbers that were given), the shadow tables of full-text indexes, which follow from their entries, and the
//! rowids of tables whose key is another.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Result};

use crate::schema::quoted;

/// Everything that is in a database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// Type, name and statement of each object, but for those that SQLite makes itself.
    pub schema: BTreeSet<(String, String, String)>,
    /// The number that Hearth keeps for an instance.
    pub user_version: i64,
    /// The tables by name, full-text indexes among them, and at last what SQLite counts for AUTOINCREMENT.
    pub tables: BTreeMap<String, Table>,
}

/// What is in one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// How it is filled.
    pub kind: Kind,
    /// Its rows, in the order of their keys.
    pub rows: Vec<Row>,
}

/// How a table is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// By its rows.
    #[default]
    Ordinary,
    /// A full-text index without content, whose rows are its tokens.
    Tokens,
    /// A full-text index of another table: by building it anew from that.
    Rebuilt,
    /// `sqlite_sequence`, which each insert changes: after all others.
    Sequence,
}

/// One row as SQL text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The condition that only it meets: `"id" = 3`.
    pub key: String,
    /// The statement that inserts it.
    pub insert: String,
}

impl Table {
    /// Returns the inserts by key.
    pub fn by_key(&self) -> BTreeMap<&str, &str> {
        self.rows.iter().map(|row| (row.key.as_str(), row.insert.as_str())).collect()
    }
}

impl Content {
    /// Reads a database.
    ///
    /// # Errors
    ///
    /// SQLite's.
    pub fn read(connection: &Connection) -> Result<Content> {
        let mut content = Content {
            user_version: connection.query_row("PRAGMA user_version", [], |row| row.get(0))?,
            ..Content::default()
        };
        let sql = "SELECT s.type, s.name, s.sql, ifnull(l.type, '') FROM sqlite_schema s
            LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = s.name
            WHERE s.sql IS NOT NULL AND ifnull(l.type, '') <> 'shadow'";
        let mut statement = connection.prepare(sql)?;
        let objects = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)))?;
        for object in objects {
            let (of, name, sql, kind): (String, String, String, String) = object?;
            let table = match (of.as_str(), kind.as_str()) {
                _ if name == "sqlite_sequence" => Some(rows(connection, &name, Kind::Sequence)?),
                _ if name.starts_with("sqlite_") => continue,
                (_, "virtual") => Some(full_text(connection, &name, &sql)?),
                ("table", _) => Some(rows(connection, &name, Kind::Ordinary)?),
                _ => None,
            };
            if let Some(table) = table {
                content.tables.insert(name.clone(), table);
            }
            content.schema.insert((of, name, sql));
        }
        Ok(content)
    }
}

fn full_text(connection: &Connection, name: &str, sql: &str) -> Result<Table> {
    let plain: String = sql.split_whitespace().collect();
    if plain.contains("content=''") {
        return tokens(connection, name);
    }
    // One that keeps its text itself is filled as any table; one of another table's follows from that.
    if plain.contains("content=") {
        return Ok(Table { kind: Kind::Rebuilt, rows: Vec::new() });
    }
    rows(connection, name, Kind::Ordinary)
}

/// The entries of a full-text index without content, with their tokens in the first column.
fn tokens(connection: &Connection, table: &str) -> Result<Table> {
    connection.execute_batch(&format!(
        "CREATE VIRTUAL TABLE temp.tokens USING fts5vocab('main', {}, 'instance')",
        quoted(table)
    ))?;
    let sql = "SELECT doc, (SELECT name FROM pragma_table_info(?1)), quote(group_concat(term, ' ' ORDER BY term, col, offset))
        FROM temp.tokens GROUP BY doc ORDER BY doc";
    let mut statement = connection.prepare(sql)?;
    let rows = statement
        .query_map([table], |row| {
            let (doc, column, tokens): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            let insert =
                format!("INSERT INTO {} (rowid, {}) VALUES ({doc}, {tokens});", quoted(table), quoted(&column));
            Ok(Row { key: format!("rowid = {doc}"), insert })
        })?
        .collect::<Result<_>>()?;
    drop(statement);
    connection.execute_batch("DROP TABLE temp.tokens")?;
    Ok(Table { kind: Kind::Tokens, rows })
}

/// The rows of a table, in the order of their keys.
fn rows(connection: &Connection, table: &str, kind: Kind) -> Result<Table> {
    let mut statement =
        connection.prepare("SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid")?;
    let columns: Vec<(String, i64)> =
        statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_>>()?;
    let mut key: Vec<&(String, i64)> = columns.iter().filter(|(_, position)| *position > 0).collect();
    key.sort_by_key(|(_, position)| *position);
    let mut key: Vec<String> = key.iter().map(|(name, _)| quoted(name)).collect();
    if kind == Kind::Sequence {
        key = vec!["name".to_owned()];
    } else if key.is_empty() {
        key = vec!["rowid".to_owned()];
    }
    let mut names: Vec<String> = columns.iter().map(|(name, _)| quoted(name)).collect();
    if key == ["rowid"] {
        names.insert(0, "rowid".to_owned());
    }
    let values = names.iter().map(|name| literal(name)).collect::<Vec<_>>().join(" || ', ' || ");
    let condition =
        key.iter().map(|name| format!("'{} IS ' || {}", name.replace('\'', "''"), literal(name))).collect::<Vec<_>>();
    let sql = format!(
        "SELECT {}, {values} FROM {} ORDER BY {}",
        condition.join(" || ' AND ' || "),
        quoted(table),
        key.join(", ")
    );
    let into = format!("INSERT INTO {} ({})", quoted(table), names.join(", "));
    let mut statement = connection.prepare(&sql)?;
    let rows = statement
        .query_map([], |row| {
            Ok(Row { key: row.get(0)?, insert: format!("{into} VALUES ({});", row.get::<_, String>(1)?) })
        })?
        .collect::<Result<_>>()?;
    Ok(Table { kind, rows })
}

/// The expression that gives a column's value as a literal: quote() ends a text at its first NUL, so such a text goes as its bytes.
fn literal(name: &str) -> String {
    format!(
        "CASE WHEN typeof({name}) = 'text' AND instr(CAST({name} AS BLOB), x'00') > 0
         THEN 'CAST(x''' || hex(CAST({name} AS BLOB)) || ''' AS TEXT)' ELSE quote({name}) END"
    )
}
