//! What does a schema say, down to CHECK, COLLATE and what a foreign key does?
//!
//! A second listing beside the ledger's ([`crate::schema`]), whose format must not change: one that came out different would be
//! drift in every household. This one lives no longer than a check.

use std::collections::{BTreeMap, BTreeSet};

use rusqlite::{Connection, Result};

use super::content::{BOOKS, objects};
use crate::schema::words;

/// A schema.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    pub(crate) tables: BTreeMap<String, Table>,
    /// Indexes, triggers and views: kind and name, with the table and the statement.
    pub(crate) others: BTreeMap<(String, String), (String, String)>,
}

/// A table, view or virtual table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Table {
    /// `table`, `view` or `virtual`.
    pub(crate) kind: String,
    /// `STRICT`, `WITHOUT ROWID`, `AUTOINCREMENT`, as far as they hold.
    pub(crate) options: BTreeSet<&'static str>,
    pub(crate) columns: BTreeMap<String, Column>,
    pub(crate) checks: BTreeSet<String>,
    pub(crate) foreign_keys: BTreeMap<String, String>,
    /// The columns of each constraint and index that lets no two rows be alike, and its condition.
    pub(crate) unique: BTreeSet<String>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Column {
    pub(crate) kind: String,
    pub(crate) not_null: bool,
    pub(crate) default: Option<String>,
    pub(crate) key: i64,
    pub(crate) collation: Option<String>,
    /// The expression that it is computed from.
    pub(crate) generated: Option<String>,
}

impl Listing {
    pub(crate) fn read(connection: &Connection) -> Result<Listing> {
        let mut listing = Listing::default();
        for (name, kind) in objects(connection)? {
            if kind == "shadow" || name == "sqlite_sequence" || BOOKS.contains(&name.as_str()) {
                continue;
            }
            listing.tables.insert(name.clone(), table(connection, &name, kind)?);
        }
        let sql = "SELECT type, name, tbl_name, ifnull(sql, '') FROM sqlite_schema
            WHERE type IN ('index', 'trigger', 'view') AND sql IS NOT NULL";
        let mut statement = connection.prepare(sql)?;
        let found = statement.query_map([], |row| {
            let sql: String = row.get(3)?;
            Ok(((row.get(0)?, row.get(1)?), (row.get::<_, String>(2)?, words(&sql).join(" "))))
        })?;
        for one in found {
            let (name, (table, sql)) = one?;
            if !BOOKS.contains(&table.as_str()) {
                listing.others.insert(name, (table, sql));
            }
        }
        Ok(listing)
    }
}

fn table(connection: &Connection, name: &str, kind: String) -> Result<Table> {
    let mut table = Table { kind, ..Table::default() };
    let columns =
        "SELECT name, lower(type), \"notnull\", dflt_value, pk, hidden FROM pragma_table_xinfo(?) WHERE hidden <> 1";
    let mut statement = connection.prepare(columns)?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        let default: Option<String> = row.get(3)?;
        let column = Column {
            kind: row.get::<_, String>(1)?.replace(" generated always", ""),
            not_null: row.get(2)?,
            default: default.map(|text| words(&text).join(" ")),
            key: row.get(4)?,
            ..Column::default()
        };
        table.columns.insert(row.get::<_, String>(0)?.to_lowercase(), column);
    }
    if table.kind != "table" {
        return Ok(table);
    }
    let sql = "SELECT s.sql, l.wr, l.strict FROM pragma_table_list l JOIN sqlite_schema s ON s.name = l.name AND s.type = 'table'
        WHERE l.schema = 'main' AND l.name = ?";
    let (sql, without_rowid, strict): (String, bool, bool) =
        connection.query_row(sql, [name], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let text = words(&sql);
    for (option, holds) in [
        ("WITHOUT ROWID", without_rowid),
        ("STRICT", strict),
        ("AUTOINCREMENT", text.iter().any(|word| word == "autoincrement")),
    ] {
        if holds {
            table.options.insert(option);
        }
    }
    for item in items(&text) {
        read_item(&mut table, item);
    }
    let sql =
        "SELECT group_concat(\"from\", ', ' ORDER BY seq), lower(\"table\"), group_concat(\"to\", ', ' ORDER BY seq),
            lower(on_update), lower(on_delete), lower(\"match\")
        FROM pragma_foreign_key_list(?) GROUP BY id";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        let (from, to): (String, Option<String>) = (row.get(0)?, row.get(2)?);
        let get = |index: usize| row.get::<_, String>(index);
        let to = to.map(|to| format!(" ({to})")).unwrap_or_default();
        let mut what = format!("references {}{to} on update {} on delete {}", get(1)?, get(3)?, get(4)?);
        if text.iter().any(|word| word == "deferrable") {
            what.push_str(" (some deferrable)");
        }
        table.foreign_keys.insert(from, what);
    }
    let sql = "SELECT (SELECT group_concat(ifnull(c.name, 'an expression'), ', ' ORDER BY c.seqno) FROM pragma_index_info(i.name) c),
            i.partial, ifnull((SELECT sql FROM sqlite_schema s WHERE s.type = 'index' AND s.name = i.name), '')
        FROM pragma_index_list(?) i WHERE i.\"unique\" AND i.origin <> 'pk'";
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([name])?;
    while let Some(row) = rows.next()? {
        let (mut columns, partial, sql): (String, bool, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
        if partial {
            let text = words(&sql).join(" ");
            columns.push_str(text.find(" where ").map_or("", |at| &text[at..]));
        }
        table.unique.insert(columns);
    }
    Ok(table)
}

/// The parts between the parentheses of CREATE TABLE, at its commas.
fn items(text: &[String]) -> Vec<&[String]> {
    let Some(start) = text.iter().position(|word| word == "(") else { return Vec::new() };
    let (mut depth, mut from, mut found) = (0, start + 1, Vec::new());
    for (index, word) in text.iter().enumerate().skip(start) {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "," if depth == 1 => {
                found.push(&text[from..index]);
                from = index + 1;
            }
            _ => {}
        }
        if depth == 0 {
            found.push(&text[from..index]);
            break;
        }
    }
    found
}

/// Reads what the pragmas do not tell: checks, collations and what a column is computed from.
fn read_item(table: &mut Table, item: &[String]) {
    let Some(first) = item.first() else { return };
    let of_table = ["constraint", "primary", "unique", "check", "foreign"].contains(&first.as_str());
    let name = first.trim_matches('"').to_owned();
    let mut depth = 0;
    for (index, word) in item.iter().enumerate() {
        match word.as_str() {
            "(" => depth += 1,
            ")" => depth -= 1,
            "check" if depth == 0 && (of_table || index > 0) => {
                table.checks.extend(inside(&item[index + 1..]));
            }
            "collate" if depth == 0 && !of_table => {
                if let Some(column) = table.columns.get_mut(&name) {
                    column.collation = item.get(index + 1).cloned();
                }
            }
            "as" if depth == 0 && !of_table => {
                if let Some(column) = table.columns.get_mut(&name) {
                    column.generated = inside(&item[index + 1..]);
                }
            }
            _ => {}
        }
    }
}

/// What stands in the parentheses that `text` begins with.
fn inside(text: &[String]) -> Option<String> {
    let mut depth = 0;
    let end = text.iter().position(|word| {
        depth += i32::from(word == "(") - i32::from(word == ")");
        depth == 0
    })?;
    Some(text.get(1..end)?.join(" "))
}
