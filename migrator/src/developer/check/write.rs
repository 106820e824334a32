//! Which writes does a program make that knows the old tables only?
//!
//! Inserts, updates and deletes of rows as they are in the database, in turn for each table.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::types::Value;
use rusqlite::{Connection, Result, params_from_iter};

use super::listing::{Column, Table};
use crate::schema::quoted;

/// So many rows of a table are written to, spread over it by its key, besides those that show a value.
const ROWS: usize = 30;

/// So many values of a column, those that most rows have, are each shown by a row that is written to.
const VALUES: usize = 32;

/// One write.
pub(crate) struct Write {
    pub(crate) table: String,
    pub(crate) sql: String,
    pub(crate) values: Vec<Value>,
}

/// Makes a write in a savepoint, which stays open. The inner error is SQLite's refusal.
pub(crate) fn attempt(connection: &Connection, write: &Write) -> Result<std::result::Result<(), String>> {
    connection.execute_batch("SAVEPOINT \"write\"")?;
    let done = connection
        .prepare_cached(&write.sql)
        .and_then(|mut statement| statement.execute(params_from_iter(&write.values)));
    Ok(match done {
        Ok(_) => Ok(()),
        Err(rusqlite::Error::SqliteFailure(_, Some(message))) => Err(message),
        Err(error) => Err(error.to_string()),
    })
}

/// The columns that a program can give, of each whether it has to differ from row to row and whether it must be given.
pub(crate) struct Shape {
    pub(crate) names: Vec<String>,
    pub(crate) key: Vec<String>,
    unique: BTreeSet<String>,
    needed: BTreeSet<String>,
}

pub(crate) fn shape(table: &Table) -> Shape {
    let given: Vec<(&String, _)> = table.columns.iter().filter(|(_, column)| column.generated.is_none()).collect();
    let mut key: Vec<(i64, String)> =
        given.iter().filter(|(_, column)| column.key > 0).map(|(name, column)| (column.key, (*name).clone())).collect();
    key.sort();
    let unique = table.unique.iter().flat_map(|columns| columns.split(", ").map(str::to_owned)).collect();
    let needed = |column: &Column| column.not_null && column.default.is_none();
    Shape {
        names: given.iter().map(|(name, _)| (*name).clone()).collect(),
        key: key.into_iter().map(|(_, name)| name).collect(),
        unique,
        needed: given.iter().filter(|(_, column)| needed(column)).map(|(name, _)| (*name).clone()).collect(),
    }
}

impl Shape {
    /// The condition that finds a row by its key.
    pub(crate) fn has_key(&self) -> String {
        self.key.iter().map(|column| format!("{} = ?", quoted(column))).collect::<Vec<_>>().join(" AND ")
    }
}

pub(crate) fn list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// Rows to write to: spread over a table by its key, and one for each common value of each column, since a trigger may look for any.
///
/// Rows spread alone would not do: awkward values come in turn, so that each ninth row has the same one.
fn chosen(connection: &Connection, table: &str, shape: &Shape) -> Result<Vec<Vec<Value>>> {
    let order = if shape.key.is_empty() { "1".to_owned() } else { list(&shape.key) };
    let sql = format!("SELECT {} FROM {} ORDER BY {order}", list(&shape.names), quoted(table));
    let mut statement = connection.prepare(&sql)?;
    let rows: Vec<Vec<Value>> = statement
        .query_map([], |row| (0..shape.names.len()).map(|index| row.get(index)).collect::<Result<Vec<Value>>>())?
        .collect::<Result<_>>()?;
    let step = rows.len().div_ceil(ROWS).max(1);
    let mut is_chosen: Vec<bool> = (0..rows.len()).map(|index| index % step == 0 || index + 1 == rows.len()).collect();
    for column in (0..shape.names.len()).filter(|index| !shape.key.contains(&shape.names[*index])) {
        let mut having: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (index, row) in rows.iter().enumerate() {
            having.entry(format!("{:?}", row[column])).or_default().push(index);
        }
        let mut having: Vec<Vec<usize>> = having.into_values().collect();
        having.sort_by_key(|rows| std::cmp::Reverse(rows.len()));
        for rows in having.into_iter().take(VALUES) {
            if !rows.iter().any(|index| is_chosen[*index]) {
                is_chosen[rows[0]] = true;
            }
        }
    }
    Ok(rows.into_iter().zip(is_chosen).filter_map(|(row, is_chosen)| is_chosen.then_some(row)).collect())
}

/// The key of a row that has all of a table's columns.
fn key_of(shape: &Shape, row: &[Value]) -> Vec<Value> {
    let value = |column: &String| shape.names.iter().position(|name| name == column).map(|index| row[index].clone());
    shape.key.iter().filter_map(value).collect()
}

fn another(value: &Value, number: usize) -> Value {
    match value {
        Value::Integer(old) => Value::Integer(old.wrapping_add(1_000_000 + number as i64)),
        Value::Text(old) => Value::Text(format!("{old}-{number}")),
        Value::Blob(old) => Value::Blob([old.as_slice(), &[number as u8]].concat()),
        other => other.clone(),
    }
}

/// Copies of rows, with keys and unique values of their own, and rows of what has to be given only.
pub(crate) fn inserts(connection: &Connection, tables: &BTreeMap<&String, &Table>) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    for (name, table) in tables {
        let shape = shape(table);
        for (number, row) in chosen(connection, name, &shape)?.into_iter().enumerate() {
            let values: Vec<Value> = shape
                .names
                .iter()
                .zip(&row)
                .map(|(column, value)| {
                    if shape.key.contains(column) || shape.unique.contains(column) {
                        another(value, number)
                    } else {
                        value.clone()
                    }
                })
                .collect();
            let pairs = || shape.names.iter().cloned().zip(values.iter().cloned());
            let all: Vec<(String, Value)> = pairs().collect();
            let few: Vec<(String, Value)> = pairs()
                .filter(|(column, _)| shape.needed.contains(column) && !shape.key.contains(column))
                .map(|(column, value)| {
                    let value = if shape.unique.contains(&column) { another(&value, 7) } else { value };
                    (column, value)
                })
                .collect();
            for given in [all, few] {
                if given.is_empty() {
                    continue;
                }
                let (columns, values): (Vec<String>, Vec<Value>) = given.into_iter().unzip();
                let marks = vec!["?"; values.len()].join(", ");
                let sql = format!("INSERT INTO {} ({}) VALUES ({marks})", quoted(name), list(&columns));
                writes.push(Write { table: (*name).clone(), sql, values });
            }
        }
    }
    Ok(writes)
}

/// Each column of some rows, with values that other rows have: the least, the greatest, the longest, one with blanks at its ends.
pub(crate) fn updates(connection: &Connection, tables: &BTreeMap<&String, &Table>) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    for (name, table) in tables {
        let shape = shape(table);
        if shape.key.is_empty() {
            continue;
        }
        let keys: Vec<Vec<Value>> = chosen(connection, name, &shape)?.iter().map(|row| key_of(&shape, row)).collect();
        for column in shape.names.iter().filter(|column| !shape.key.contains(column)) {
            let (of, from) = (quoted(column), quoted(name));
            let mut values: Vec<Value> = Vec::new();
            for sql in [
                format!("SELECT min({of}) FROM {from}"),
                format!("SELECT max({of}) FROM {from}"),
                format!("SELECT {of} FROM {from} ORDER BY length({of}) DESC LIMIT 1"),
                format!("SELECT {of} FROM {from} WHERE {of} <> trim({of}) LIMIT 1"),
                format!("SELECT {of} FROM {from} WHERE {of} <> lower({of}) LIMIT 1"),
                format!("SELECT {of} FROM {from} WHERE {of} IS NULL LIMIT 1"),
            ] {
                let mut statement = connection.prepare(&sql)?;
                let mut rows = statement.query([])?;
                if let Some(row) = rows.next()? {
                    let value: Value = row.get(0)?;
                    let is_null = value == Value::Null;
                    if !values.contains(&value) && (!is_null || sql.ends_with("IS NULL LIMIT 1")) {
                        values.push(value);
                    }
                }
            }
            for (number, value) in values.into_iter().enumerate() {
                for (index, key) in keys.iter().enumerate().filter(|(index, _)| index % 2 == number % 2) {
                    let is_other = shape.unique.contains(column);
                    let value = if is_other { another(&value, 100 + index) } else { value.clone() };
                    let sql = format!("UPDATE {from} SET {of} = ? WHERE {}", shape.has_key());
                    let mut values = vec![value];
                    values.extend(key.iter().cloned());
                    writes.push(Write { table: (*name).clone(), sql, values });
                }
            }
        }
    }
    Ok(writes)
}

/// Some rows of each table, after the rows that refer to them.
pub(crate) fn deletes(connection: &Connection, tables: &BTreeMap<&String, &Table>) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    for (name, table) in tables {
        let shape = shape(table);
        let [key] = shape.key.as_slice() else { continue };
        for row in chosen(connection, name, &shape)? {
            let row = key_of(&shape, &row);
            for (child, of) in tables {
                for (columns, what) in &of.foreign_keys {
                    if what.split(' ').nth(1) == Some(name.to_lowercase().as_str()) && !columns.contains(',') {
                        let sql = format!("DELETE FROM {} WHERE {} = ?", quoted(child), quoted(columns));
                        writes.push(Write { table: (*child).clone(), sql, values: row.clone() });
                    }
                }
            }
            let sql = format!("DELETE FROM {} WHERE {} = ?", quoted(name), quoted(key));
            writes.push(Write { table: (*name).clone(), sql, values: row });
        }
    }
    Ok(writes)
}
