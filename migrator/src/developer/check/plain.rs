//! The rule *plain-sqlite*: can any SQLite use the schema, without functions, collations and tokenizers of a program?
//!
//! A backup has to open without Hearth, and the next release's migrator has only what SQLite has.

use rusqlite::{Connection, Result};

use super::bases::{open, unreadable};
use super::chain::Chain;
use super::content::{BOOKS, columns, objects};
use super::findings::Findings;
use super::report::Rule;
use super::schema::Finding;
use crate::developer::Problem;
use crate::schema::quoted;

pub(crate) fn check(chain: &Chain, findings: &mut Findings) -> std::result::Result<(), Problem> {
    let connection = open(&chain.path).map_err(|error| unreadable(&chain.path, &error))?;
    let unusable = unusable(&connection).map_err(|error| unreadable(&chain.path, &error))?;
    let name = findings.last();
    for (object, reason) in unusable {
        let finding = Finding {
            what: format!("a plain SQLite cannot use {object}: {reason}"),
            object,
            instead: "compute the value in Rust and store it in a plain column, and use SQLite's own functions, collations and tokenizers"
                .to_owned(),
        };
        findings.breach(Rule::PlainSqlite, &name, finding, None);
    }
    Ok(())
}

/// What cannot be read or written, and why.
fn unusable(connection: &Connection) -> Result<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut attempt = |object: String, sql: &str, execute: bool| {
        let result = connection.prepare(sql).and_then(|mut statement| {
            if execute {
                let mut rows = statement.query([])?;
                while rows.next()?.is_some() {}
            }
            Ok(())
        });
        if let Err(error) = result {
            let words = error.to_string();
            let words = words.split(" in ").next().unwrap_or_default().to_owned();
            if found.iter().all(|(_, known)| *known != words) {
                found.push((object, words));
            }
        }
    };
    for (name, kind) in objects(connection)? {
        if kind == "shadow" || name == "sqlite_sequence" || BOOKS.contains(&name.as_str()) {
            continue;
        }
        let object = format!("{} {name}", if kind == "view" { "view" } else { "table" });
        let table = quoted(&name);
        attempt(object.clone(), &format!("SELECT * FROM {table} LIMIT 100"), true);
        if kind == "view" {
            continue;
        }
        let sql = "SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid";
        let plain: Vec<String> =
            connection.prepare(sql)?.query_map([&name], |row| row.get(0))?.collect::<Result<_>>()?;
        let names: Vec<String> = plain.iter().map(|name| quoted(name)).collect();
        let marks = vec!["?"; names.len()].join(", ");
        // Preparing takes in the triggers.
        attempt(object.clone(), &format!("INSERT INTO {table} ({}) VALUES ({marks})", names.join(", ")), false);
        let sets: Vec<String> = names.iter().map(|name| format!("{name} = ?")).collect();
        attempt(object.clone(), &format!("UPDATE {table} SET {}", sets.join(", ")), false);
        attempt(object.clone(), &format!("DELETE FROM {table}"), false);
        for (column, _) in columns(connection, &name)? {
            // A collation is looked for only where it is used.
            let sql = format!("SELECT {0} FROM {table} ORDER BY {0} LIMIT 1", quoted(&column));
            attempt(format!("table {name}: column {column}"), &sql, true);
        }
        if kind == "table" {
            attempt(object, &format!("REINDEX {table}"), true);
        }
    }
    Ok(found)
}
