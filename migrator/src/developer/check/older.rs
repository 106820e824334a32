//! The rule *older-statements*: do the statements of a release prepare on the migrated database, and do its inserts go in?
//!
//! That they do proves little (an older program may show what it should hide); that they do not proves that it cannot go on.

use std::path::Path;

use rusqlite::types::Value;
use rusqlite::{Connection, Result, params_from_iter};

use super::bases::{Base, copy, open, unreadable};
use super::findings::Findings;
use super::report::Rule;
use super::schema::Finding;
use crate::developer::Problem;
use crate::schema::quoted;

/// A release's statements, each insert with values that its own database takes.
pub(crate) struct Older {
    version: String,
    statements: Vec<(String, Option<Vec<Value>>)>,
}

impl Older {
    pub(crate) fn new(base: &Base, directory: &Path) -> std::result::Result<Older, Problem> {
        // A copy: other checks read the same file at the same time.
        let path = directory.join(format!("older-{}.db", base.version));
        copy(&base.awkward, &path)?;
        let connection = open(&path).map_err(|error| unreadable(&path, &error))?;
        let mut statements = Vec::new();
        for statement in &base.statements {
            let values = if is_insert(statement) {
                let values = values_for(&connection, statement).ok().flatten();
                Some(values.ok_or_else(|| {
                    Problem::new(format!("no values were found that {} takes for {statement}", base.version))
                        .hint("teach migrator/src/developer/check/older.rs some")
                })?)
            } else {
                None
            };
            statements.push((statement.clone(), values));
        }
        Ok(Older { version: base.version.clone(), statements })
    }

    /// Tries them on the database at `path`, which `migration` has just changed. What fails is not tried again.
    pub(crate) fn check(
        &mut self,
        path: &Path,
        migration: &str,
        findings: &mut Findings,
    ) -> std::result::Result<(), Problem> {
        let connection = open(path).map_err(|error| unreadable(path, &error))?;
        let version = self.version.clone();
        self.statements.retain(|(statement, values)| {
            let result = match values {
                None => connection.prepare(statement).map(|_| ()),
                Some(values) => insert(&connection, statement, values),
            };
            let Err(error) = result else { return true };
            let short: String = statement.chars().take(80).collect();
            let verb = if values.is_some() { "inserts with" } else { "prepares" };
            let reason = reason(&error);
            let finding = Finding {
                object: object(&reason),
                what: format!("{reason}: {version} {verb} {short}…"),
                instead:
                    "keep tables and columns that a release uses under their names, new ones nullable or with a default"
                        .to_owned(),
            };
            findings.breach(Rule::OlderStatements, migration, finding, Some(&version));
            false
        });
        Ok(())
    }
}

fn reason(error: &rusqlite::Error) -> String {
    match error {
        rusqlite::Error::SqlInputError { msg, .. } => msg.clone(),
        rusqlite::Error::SqliteFailure(_, Some(message)) => message.clone(),
        other => other.to_string(),
    }
}

/// `table record: column title`, from `no such column: record.title`.
fn object(reason: &str) -> String {
    match reason.rsplit_once(": ").map(|(_, name)| name.split_once('.').ok_or(name)) {
        Some(Ok((table, column))) => format!("table {table}: column {column}"),
        Some(Err(name)) => name.to_owned(),
        None => reason.to_owned(),
    }
}

fn is_insert(statement: &str) -> bool {
    statement.trim_start().get(..6).is_some_and(|word| word.eq_ignore_ascii_case("insert"))
}

/// Returns values that an insert takes on the release's own database, if there are any that this function can think of.
///
/// # Errors
///
/// SQLite's, such as a statement that it cannot prepare.
pub fn values_for(connection: &Connection, statement: &str) -> Result<Option<Vec<Value>>> {
    let count = connection.prepare(statement)?.parameter_count();
    let text = || Value::Text("2026-11-24T10:00:00.000Z".to_owned());
    let numbers_first = |numbers: usize| {
        (0..count).map(|index| if index < numbers { Value::Integer(987_654) } else { text() }).collect::<Vec<_>>()
    };
    let mut tries: Vec<Vec<Value>> = Vec::new();
    for which in ["min", "max"] {
        tries.push(by_type(connection, statement, count, which)?);
    }
    tries.extend((0..=count).map(numbers_first));
    tries.push(vec![Value::Blob(vec![1; 32]); count]);
    Ok(tries.into_iter().find(|values| insert(connection, statement, values).is_ok()))
}

/// A value of the type of each column that `INSERT INTO "table" ("a", "b") VALUES …` names, another one for each row; where it refers to
/// another table, `which` of those that are there (`min` or `max`).
fn by_type(connection: &Connection, statement: &str, count: usize, which: &str) -> Result<Vec<Value>> {
    let names = statement.split(" VALUES").next().unwrap_or_default();
    let mut names = names.split('"').skip(1).step_by(2);
    let table = names.next().unwrap_or_default();
    let names: Vec<&str> = names.collect();
    let value = |row: usize, name: &str| {
        let sql = "SELECT \"table\", ifnull(\"to\", 'id') FROM pragma_foreign_key_list(?) WHERE \"from\" = ?";
        let mut statement = connection.prepare(sql)?;
        let mut found = statement.query([table, name])?;
        if let Some(row) = found.next()? {
            let (parent, key): (String, String) = (row.get(0)?, row.get(1)?);
            let sql = format!("SELECT {which}({}) FROM {}", quoted(&key), quoted(&parent));
            return connection.query_row(&sql, [], |row| row.get(0)).or(Ok(Value::Integer(1)));
        }
        let sql = "SELECT upper(type) FROM pragma_table_xinfo(?) WHERE name = ?";
        let kind: String = connection.query_row(sql, [table, name], |row| row.get(0)).unwrap_or_default();
        Ok(match kind.as_str() {
            "INTEGER" => Value::Integer(987_654 + i64::try_from(row).unwrap_or_default()),
            "BLOB" => Value::Blob(vec![u8::try_from(row % 255).unwrap_or_default() + 1; 32]),
            _ => Value::Text(format!("a new {name} {row}")),
        })
    };
    let width = names.len().max(1);
    (0..count).map(|place| value(place / width, names.get(place % width).copied().unwrap_or_default())).collect()
}

/// Inserts a row, and takes it back.
///
/// # Errors
///
/// SQLite's, if it does not take the row.
pub fn insert(connection: &Connection, statement: &str, values: &[Value]) -> Result<()> {
    connection.execute_batch("SAVEPOINT trial")?;
    let result = connection
        .prepare(statement)
        .and_then(|mut statement| statement.query(params_from_iter(values))?.next().map(|_| ()));
    connection.execute_batch("ROLLBACK TO trial; RELEASE trial")?;
    result
}
