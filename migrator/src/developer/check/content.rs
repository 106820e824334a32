//! What stands in a database, so that two can be compared value by value?

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, Result};

use crate::schema::quoted;

/// The two books in which migrations are recorded; they are no data.
pub(crate) const BOOKS: [&str; 2] = ["seaql_migrations", "migration_ledger"];

/// A value, in an order of its own so that it can be a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    Null,
    Integer(i64),
    /// The bits of a floating-point number.
    Real(u64),
    Text(Vec<u8>),
    Blob(Vec<u8>),
}

impl Value {
    /// The text, if it is a word as programs write it.
    pub(crate) fn word(&self) -> Option<String> {
        let Value::Text(text) = self else { return None };
        let is_word = (1..30).contains(&text.len()) && text.iter().all(|c| c.is_ascii_lowercase() || *c == b'_');
        is_word.then(|| String::from_utf8_lossy(text).into_owned())
    }
}

impl From<ValueRef<'_>> for Value {
    fn from(value: ValueRef<'_>) -> Value {
        match value {
            ValueRef::Null => Value::Null,
            ValueRef::Integer(number) => Value::Integer(number),
            ValueRef::Real(number) => Value::Real(number.to_bits()),
            ValueRef::Text(text) => Value::Text(text.to_owned()),
            ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => formatter.write_str("NULL"),
            Value::Integer(number) => write!(formatter, "{number}"),
            Value::Real(bits) => write!(formatter, "{}", f64::from_bits(*bits)),
            Value::Text(text) => {
                let text = String::from_utf8_lossy(text);
                let start: String = text.chars().take(40).map(|c| if c.is_control() { ' ' } else { c }).collect();
                let more = if text.chars().nth(40).is_some() { "…" } else { "" };
                write!(formatter, "'{start}{more}'")
            }
            Value::Blob(bytes) => write!(formatter, "{} bytes", bytes.len()),
        }
    }
}

/// The rows of one table or view.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rows {
    /// Its columns.
    pub(crate) columns: Vec<String>,
    /// Which of them are its key; none: a row is known by all its values.
    pub(crate) key: Vec<usize>,
    /// Whether it belongs to a full-text index, which may keep its things anew.
    is_shadow: bool,
    rows: BTreeMap<Vec<Value>, Vec<Vec<Value>>>,
}

impl Rows {
    pub(crate) fn count(&self) -> usize {
        self.rows.values().map(Vec::len).sum()
    }

    /// The values of one column, or of all rows whose key `other` does not have.
    pub(crate) fn values_of<'a>(&'a self, column: usize, but_of: Option<&'a Rows>) -> impl Iterator<Item = &'a Value> {
        let rows = self.rows.iter().filter(move |(key, _)| but_of.is_none_or(|other| !other.rows.contains_key(*key)));
        rows.flat_map(|(_, rows)| rows).map(move |row| &row[column])
    }

    /// The keys that are here and not in `gone`, and are still in `there`: as text, the first of them.
    pub(crate) fn still(&self, gone: &Rows, there: &Rows) -> Option<String> {
        let key = self.rows.keys().find(|key| !gone.rows.contains_key(*key) && there.rows.contains_key(*key))?;
        Some(self.key_of(key))
    }

    fn key_of(&self, key: &[Value]) -> String {
        let names = self.key.iter().map(|index| self.columns[*index].as_str());
        let pairs: Vec<String> = names.zip(key).map(|(name, value)| format!("{name} {value}")).collect();
        if pairs.is_empty() {
            key.iter().take(3).map(ToString::to_string).collect::<Vec<_>>().join(", ")
        } else {
            pairs.join(", ")
        }
    }
}

/// The rows of every table and view of a database, but those of the books.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) tables: BTreeMap<String, Rows>,
}

/// A difference between what was and what is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Loss {
    /// `table record`, or `table record: column title`.
    pub(crate) object: String,
    /// A phrase that says it.
    pub(crate) what: String,
}

impl Content {
    /// Reads everything.
    pub(crate) fn read(connection: &Connection) -> Result<Content> {
        let mut tables = BTreeMap::new();
        for (name, kind) in objects(connection)? {
            if BOOKS.contains(&name.as_str()) || kind == "virtual" {
                continue;
            }
            // Of a full-text index only which entries it has: how they are stored is its own business.
            if kind == "shadow" && !name.ends_with("_docsize") {
                continue;
            }
            let columns = columns(connection, &name)?;
            let names: Vec<String> = columns.iter().map(|(name, _)| name.clone()).collect();
            let mut key: Vec<(i64, usize)> = columns
                .iter()
                .enumerate()
                .filter(|(_, (_, pk))| *pk > 0)
                .map(|(index, (_, pk))| (*pk, index))
                .collect();
            key.sort_unstable();
            let key: Vec<usize> = key.into_iter().map(|(_, index)| index).collect();
            let rows = match rows(connection, &name, &names, &key) {
                // The rule plain-sqlite says so.
                Err(_) if kind == "view" => continue,
                rows => rows?,
            };
            tables.insert(name, Rows { columns: names, key, is_shadow: kind == "shadow", rows });
        }
        Ok(Content { tables })
    }

    /// Returns the columns that have few values, all of them words, as a column of kinds has: with their tables and these words.
    pub(crate) fn columns_of_few_words(&self) -> Vec<(&str, &str, BTreeSet<String>)> {
        let mut found = Vec::new();
        for (table, rows) in self.tables.iter().filter(|(_, rows)| !rows.is_shadow && !rows.key.is_empty()) {
            for (index, column) in rows.columns.iter().enumerate() {
                let words: Option<BTreeSet<String>> = rows.values_of(index, None).map(Value::word).collect();
                if let Some(words) = words.filter(|words| (1..=40).contains(&words.len())) {
                    found.push((table.as_str(), column.as_str(), words));
                }
            }
        }
        found
    }

    /// Reads again what `before` has, as far as it is still there: its tables, and of each its columns.
    pub(crate) fn read_again(connection: &Connection, before: &Content) -> Result<Content> {
        let present: BTreeMap<String, String> = objects(connection)?.into_iter().collect();
        let mut tables = BTreeMap::new();
        for (name, was) in &before.tables {
            if !present.contains_key(name) {
                continue;
            }
            let there: Vec<String> = columns(connection, name)?.into_iter().map(|(name, _)| name).collect();
            if !was.is_shadow && was.columns.iter().all(|column| there.contains(column)) {
                let rows = match rows(connection, name, &was.columns, &was.key) {
                    Err(_) if present[name] == "view" => continue,
                    rows => rows?,
                };
                tables.insert(
                    name.clone(),
                    Rows { columns: was.columns.clone(), key: was.key.clone(), is_shadow: false, rows },
                );
            }
        }
        Ok(Content { tables })
    }

    /// Returns what of `self` is not in `after` any more. New rows are no loss. Tables and columns that are gone are not named here.
    pub(crate) fn losses(&self, after: &Content) -> Vec<Loss> {
        let mut losses = Vec::new();
        for (table, was) in self.tables.iter().filter(|(_, was)| !was.is_shadow) {
            let Some(is) = after.tables.get(table) else { continue };
            let mut gone: Vec<&Vec<Value>> = Vec::new();
            let mut changed: BTreeMap<usize, (usize, String)> = BTreeMap::new();
            for (key, rows) in &was.rows {
                match is.rows.get(key) {
                    Some(now) if now.len() >= rows.len() => {
                        for (before, after) in rows.iter().zip(now) {
                            for index in (0..before.len()).filter(|index| before[*index] != after[*index]) {
                                let first = || {
                                    let of = was.key_of(key);
                                    format!("in {of} it is {} and was {}", after[index], before[index])
                                };
                                changed.entry(index).or_insert_with(|| (0, first())).0 += 1;
                            }
                        }
                    }
                    _ => gone.push(key),
                }
            }
            if let Some(first) = gone.first() {
                let number = rows_are(gone.len());
                let verb = if gone.len() == 1 { "is" } else { "are" };
                losses.push(Loss {
                    object: format!("table {table}"),
                    what: format!("{number} of table {table} {verb} gone (first: {})", was.key_of(first)),
                });
            }
            for (index, (number, first)) in changed {
                let column = &was.columns[index];
                losses.push(Loss {
                    object: format!("table {table}: column {column}"),
                    what: format!("{number} {} of column {column} of table {table} changed: {first}", values(number)),
                });
            }
        }
        losses
    }

    /// Returns a phrase for the first difference, in any direction.
    pub(crate) fn difference(&self, after: &Content) -> Option<String> {
        if let Some(loss) = self.losses(after).into_iter().next() {
            return Some(loss.what);
        }
        let shadow = self.tables.iter().find(|(name, was)| was.is_shadow && after.tables.get(*name) != Some(*was));
        if let Some((name, _)) = shadow {
            return Some(format!("the entries of full-text index {} changed", name.trim_end_matches("_docsize")));
        }
        let added = self.tables.iter().find_map(|(table, was)| {
            let now = after.tables.get(table)?.count();
            (now > was.count()).then(|| format!("{} of table {table} more", rows_are(now - was.count())))
        });
        let new = || after.tables.keys().find(|name| !self.tables.contains_key(*name));
        added.or_else(|| new().map(|name| format!("table {name} was added")))
    }

    /// Returns how many values of `self` are not in `after`, gone tables and columns included.
    pub(crate) fn lost_values(&self, after: &Content) -> usize {
        let lost_of = |(table, was): (&String, &Rows)| match after.tables.get(table) {
            None => was.count() * was.columns.len(),
            Some(is) => was
                .rows
                .iter()
                .map(|(key, rows)| match is.rows.get(key) {
                    Some(now) if now.len() >= rows.len() => {
                        let pairs = rows.iter().zip(now).flat_map(|(before, after)| before.iter().zip(after));
                        pairs.filter(|(before, after)| before != after).count()
                    }
                    _ => rows.len() * was.columns.len(),
                })
                .sum(),
        };
        self.tables.iter().filter(|(_, was)| !was.is_shadow).map(lost_of).sum()
    }

    /// Returns how many rows there are, and how many values.
    pub(crate) fn size(&self) -> (usize, usize) {
        self.data()
            .fold((0, 0), |(rows, values), table| (rows + table.count(), values + table.count() * table.columns.len()))
    }

    /// The tables but those that belong to full-text indexes.
    pub(crate) fn data(&self) -> impl Iterator<Item = &Rows> {
        self.tables.values().filter(|table| !table.is_shadow)
    }

    /// Without the table in which SQLite keeps the numbers that it gave: they only go up.
    pub(crate) fn take_sequences(&mut self) -> BTreeMap<String, i64> {
        let Some(table) = self.tables.remove("sqlite_sequence") else { return BTreeMap::new() };
        let all = table.rows.into_values().flatten();
        all.filter_map(|row| match row.as_slice() {
            [Value::Text(name), Value::Integer(number)] => Some((String::from_utf8_lossy(name).into_owned(), *number)),
            _ => None,
        })
        .collect()
    }
}

fn rows_are(number: usize) -> String {
    if number == 1 { "1 row".to_owned() } else { format!("{number} rows") }
}

fn values(number: usize) -> &'static str {
    if number == 1 { "value" } else { "values" }
}

/// Names and kinds (`table`, `view`, `virtual`, `shadow`) of what can be read.
pub(crate) fn objects(connection: &Connection) -> Result<Vec<(String, String)>> {
    let sql = "SELECT name, type FROM pragma_table_list WHERE schema = 'main'
        AND (name NOT LIKE 'sqlite\\_%' ESCAPE '\\' OR name = 'sqlite_sequence') ORDER BY name";
    let mut statement = connection.prepare(sql)?;
    statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

/// Names of columns with their place in the primary key; computed ones too, hidden ones not.
pub(crate) fn columns(connection: &Connection, table: &str) -> Result<Vec<(String, i64)>> {
    let mut statement =
        connection.prepare("SELECT name, pk FROM pragma_table_xinfo(?) WHERE hidden <> 1 ORDER BY cid")?;
    statement.query_map([table], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
}

fn rows(
    connection: &Connection,
    table: &str,
    columns: &[String],
    key: &[usize],
) -> Result<BTreeMap<Vec<Value>, Vec<Vec<Value>>>> {
    let names: Vec<String> = columns.iter().map(|name| quoted(name)).collect();
    let mut statement = connection.prepare(&format!("SELECT {} FROM {}", names.join(", "), quoted(table)))?;
    let mut found = statement.query([])?;
    let mut rows: BTreeMap<Vec<Value>, Vec<Vec<Value>>> = BTreeMap::new();
    while let Some(row) = found.next()? {
        let values: Vec<Value> =
            (0..columns.len()).map(|index| row.get_ref(index).map(Value::from)).collect::<Result<_>>()?;
        let of = if key.is_empty() { values.clone() } else { key.iter().map(|index| values[*index].clone()).collect() };
        rows.entry(of).or_default().push(values);
    }
    Ok(rows)
}
