//! The rules *writes-kept* and *older-programs*: what comes of the writes of a program that knows the old tables only?
//!
//! The same writes are made on the newest release's database and on the migrated one: inserts, updates and deletes through old
//! columns, with values that are there. Afterwards both must hold the same in all old tables. That a trigger rewrites what was
//! written, or a delete takes other rows along, is a loss whoever writes. That a write is refused, or takes rows of *new* tables
//! along, matters if the floor lets older programs go on.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, Result, params_from_iter};

use super::Subject;
use super::bases::{Base, copy, open, unreadable};
use super::chain::Chain;
use super::content::{self, Content};
use super::findings::Findings;
use super::listing::{Listing, Table};
use super::report::Rule;
use super::schema::Finding;
use crate::developer::Problem;
use crate::schema::quoted;

/// So many rows of a table are written to.
const ROWS: usize = 30;

/// One write.
struct Write {
    table: String,
    sql: String,
    values: Vec<Value>,
}

const PHASES: [(&str, &str); 3] = [("inserts into", "insert"), ("updates", "update"), ("deletes from", "delete")];

pub(crate) fn check(
    subject: &Subject<'_>,
    bases: &[Base],
    chain: &Chain,
    directory: &Path,
    findings: &mut Findings,
) -> std::result::Result<(), Problem> {
    let Some(base) = bases.first() else { return Ok(()) };
    if findings.has(Rule::DataKept) {
        // What differs already would differ after each write.
        findings.skip(&[Rule::WritesKept, Rule::OlderPrograms], "first what the migrations lose");
        return Ok(());
    }
    let (old, new) = (directory.join("writes-old.db"), directory.join("writes-new.db"));
    copy(&base.upgraded, &old)?;
    copy(&chain.path, &new)?;
    let mut compared = Compared { version: &base.version, lowered: subject.is_floor_lowered(), findings };
    compared.writes(&old, &new, &chain.before.listing).map_err(|error| unreadable(&new, &error))?;
    compared.children(base, &chain.before.listing, &chain.after.listing);
    compared.new_values(chain);
    Ok(())
}

struct Compared<'a> {
    version: &'a str,
    lowered: bool,
    findings: &'a mut Findings,
}

impl Compared<'_> {
    fn writes(&mut self, old: &Path, new: &Path, listing: &Listing) -> Result<()> {
        let (old, new) = (open(old)?, open(new)?);
        for connection in [&old, &new] {
            connection.execute_batch("PRAGMA foreign_keys = ON; BEGIN")?;
        }
        let tables: BTreeMap<&String, &Table> =
            listing.tables.iter().filter(|(_, table)| table.kind == "table").collect();
        let mut told = BTreeSet::new();
        for (phase, (verb, _)) in PHASES.iter().enumerate() {
            let before = Content::read(&old)?;
            let mut refused: BTreeSet<&str> = BTreeSet::new();
            let writes = match phase {
                0 => inserts(&old, &tables)?,
                1 => updates(&old, &tables)?,
                _ => deletes(&old, &tables)?,
            };
            for write in &writes {
                let trials = [attempt(&old, write)?, attempt(&new, write)?];
                let undo = trials[0].is_ok() != trials[1].is_ok();
                for connection in [&old, &new] {
                    connection.execute_batch(if undo {
                        "ROLLBACK TO write; RELEASE write"
                    } else {
                        "RELEASE write"
                    })?;
                }
                if let [Ok(()), Err(reason)] = &trials
                    && refused.insert(&write.table)
                {
                    self.refused(&write.table, verb, reason);
                }
            }
            let mut is = Content::read(&old)?;
            is.take_sequences();
            let again = Content::read_again(&new, &is)?;
            for loss in is.losses(&again) {
                // What differs after the inserts differs after the updates, too.
                if told.insert(loss.object.clone()) {
                    self.rewritten(loss, phase);
                }
            }
            if phase == 2 {
                for (name, was) in &before.tables {
                    let (Some(gone), Some(there)) = (is.tables.get(name), again.tables.get(name)) else { continue };
                    if let Some(key) = was.still(gone, there) {
                        let what =
                            format!("rows of table {name} that {} deletes are still there ({key})", self.version);
                        let instead = "let a delete delete: what a person deletes has to go";
                        self.breach(Rule::WritesKept, format!("table {name}"), what, instead);
                    }
                }
            }
        }
        Ok(())
    }

    fn breach(&mut self, rule: Rule, object: String, what: String, instead: &str) {
        let name = self.findings.last();
        self.findings.breach(rule, &name, Finding { object, what, instead: instead.to_owned() }, None);
    }

    /// For the rule *older-programs*: a breach with a lowered floor only.
    fn for_older(&mut self, object: String, what: String, instead: &str) {
        if self.lowered {
            self.breach(Rule::OlderPrograms, object, what, instead);
        } else {
            let name = self.findings.last();
            self.findings.note(Rule::OlderPrograms, format!("{name}: {what}; so the floor stays this release"));
        }
    }

    fn refused(&mut self, table: &str, verb: &str, reason: &str) {
        // What is gone was said.
        if self.findings.has(Rule::Additive) {
            return;
        }
        let what = format!("what {} {verb} table {table} is refused: {reason}", self.version);
        let instead = "check it in the new program, or do not lower the floor";
        self.for_older(format!("table {table}"), what, instead);
    }

    fn rewritten(&mut self, loss: content::Loss, phase: usize) {
        let verb = PHASES[phase].1;
        let is_column = loss.object.contains(": column");
        let (what, instead) = if is_column {
            (
                format!("a trigger rewrites what a program writes into old columns: after an {verb}, {}", loss.what),
                "leave what was written, and put what the trigger computes into a new column",
            )
        } else {
            (
                format!("after {verb}s through old columns, {}, which stay without the migration", loss.what),
                "leave rows of old tables alone in triggers and foreign keys; mark them in a new column",
            )
        };
        let what = what.replace("an delete", "a delete");
        self.breach(Rule::WritesKept, loss.object, what, instead);
    }

    /// New tables that an older program's deletes take rows from, or that stop them.
    fn children(&mut self, base: &Base, was: &Listing, is: &Listing) {
        for (name, table) in is.tables.iter().filter(|(name, _)| !was.tables.contains_key(*name)) {
            for (columns, what) in &table.foreign_keys {
                let parent = what.split(' ').nth(1).unwrap_or_default();
                let delete = format!("DELETE FROM \"{parent}\"");
                if !was.tables.contains_key(parent) || !base.statements.iter().any(|sql| sql.starts_with(&delete)) {
                    continue;
                }
                let object = format!("table {name}: column {columns}");
                let version = self.version;
                if what.contains("on delete cascade") {
                    let what = format!(
                        "when {version} deletes from table {parent}, rows of table {name} go as well, which it cannot show before"
                    );
                    self.for_older(object, what, "refer with ON DELETE SET NULL, or do not lower the floor");
                } else if what.contains("on delete no action") || what.contains("on delete restrict") {
                    let what =
                        format!("{version} cannot delete from table {parent} what rows of table {name} refer to");
                    self.for_older(object, what, "refer with ON DELETE SET NULL, or do not lower the floor");
                }
            }
        }
    }

    /// Values of an old column of few values that no row had before.
    fn new_values(&mut self, chain: &Chain) {
        for (name, was) in &chain.before.content.tables {
            let Some(is) = chain.after.content.tables.get(name).filter(|_| !was.key.is_empty()) else { continue };
            for (index, column) in was.columns.iter().enumerate() {
                let known: BTreeSet<&content::Value> = was.values_of(index, None).collect();
                let is_word = |value: &&content::Value| matches!(value, content::Value::Text(text) if (1..30).contains(&text.len()) && text.iter().all(|c| c.is_ascii_lowercase() || *c == b'_'));
                let few = known.len() <= 40 && known.iter().all(is_word) && !known.is_empty();
                let Some(at) = is.columns.iter().position(|other| other == column).filter(|_| few) else { continue };
                let new: BTreeSet<&content::Value> =
                    is.values_of(at, Some(was)).filter(|value| !known.contains(value)).collect();
                if let Some(value) = new.first() {
                    let what = format!(
                        "column {column} of table {name} has the new value {value}, which {} cannot read",
                        self.version
                    );
                    let instead = "put it into a new column or table, or do not lower the floor";
                    self.for_older(format!("table {name}: column {column}"), what, instead);
                }
            }
        }
    }
}

/// Makes a write in a savepoint, which stays open. The inner error is SQLite's refusal.
fn attempt(connection: &Connection, write: &Write) -> Result<std::result::Result<(), String>> {
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
struct Shape {
    names: Vec<String>,
    key: Vec<String>,
    unique: BTreeSet<String>,
    needed: BTreeSet<String>,
}

fn shape(table: &Table) -> Shape {
    let given: Vec<(&String, _)> = table.columns.iter().filter(|(_, column)| column.generated.is_none()).collect();
    let mut key: Vec<(i64, String)> =
        given.iter().filter(|(_, column)| column.key > 0).map(|(name, column)| (column.key, (*name).clone())).collect();
    key.sort();
    let unique = table.unique.iter().flat_map(|columns| columns.split(", ").map(str::to_owned)).collect();
    let needed = |column: &super::listing::Column| column.not_null && column.default.is_none();
    Shape {
        names: given.iter().map(|(name, _)| (*name).clone()).collect(),
        key: key.into_iter().map(|(_, name)| name).collect(),
        unique,
        needed: given.iter().filter(|(_, column)| needed(column)).map(|(name, _)| (*name).clone()).collect(),
    }
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}

/// Rows spread over a table, by its key.
fn spread(connection: &Connection, table: &str, columns: &[String], key: &[String]) -> Result<Vec<Vec<Value>>> {
    let order = if key.is_empty() { "1".to_owned() } else { list(key) };
    let sql = format!("SELECT {} FROM {} ORDER BY {order}", list(columns), quoted(table));
    let mut statement = connection.prepare(&sql)?;
    let rows: Vec<Vec<Value>> = statement
        .query_map([], |row| (0..columns.len()).map(|index| row.get(index)).collect::<Result<Vec<Value>>>())?
        .collect::<Result<_>>()?;
    let step = rows.len().div_ceil(ROWS).max(1);
    let number = rows.len();
    Ok(rows
        .into_iter()
        .enumerate()
        .filter(|(index, _)| index % step == 0 || index + 1 == number)
        .map(|(_, row)| row)
        .collect())
}

fn another(value: &Value, number: usize) -> Value {
    match value {
        Value::Integer(old) => Value::Integer(old + 1_000_000 + number as i64),
        Value::Text(old) => Value::Text(format!("{old}-{number}")),
        Value::Blob(old) => Value::Blob([old.as_slice(), &[number as u8]].concat()),
        other => other.clone(),
    }
}

/// Copies of rows, with keys and unique values of their own, and rows of what has to be given only.
fn inserts(connection: &Connection, tables: &BTreeMap<&String, &Table>) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    for (name, table) in tables {
        let shape = shape(table);
        for (number, row) in spread(connection, name, &shape.names, &shape.key)?.into_iter().enumerate() {
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
fn updates(connection: &Connection, tables: &BTreeMap<&String, &Table>) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    for (name, table) in tables {
        let shape = shape(table);
        if shape.key.is_empty() {
            continue;
        }
        let keys = spread(connection, name, &shape.key, &shape.key)?;
        let matches: Vec<String> = shape.key.iter().map(|column| format!("{} = ?", quoted(column))).collect();
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
                    let sql = format!("UPDATE {from} SET {of} = ? WHERE {}", matches.join(" AND "));
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
fn deletes(connection: &Connection, tables: &BTreeMap<&String, &Table>) -> Result<Vec<Write>> {
    let mut writes = Vec::new();
    for (name, table) in tables {
        let shape = shape(table);
        let [key] = shape.key.as_slice() else { continue };
        for row in spread(connection, name, &shape.key, &shape.key)? {
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
