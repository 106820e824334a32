//! How is a table searched by words and parts of words?

use sea_orm::DbErr;
use sea_orm_migration::SchemaManager;

use super::{execute, trigger, virtual_table};
use crate::database::rows;
use crate::schema::quoted;

/// Adds a full-text index of columns of a table, with the triggers that keep it true: `<table>_search`. It finds any part of
/// at least three letters, in every script, and keeps no text of its own; what is found has the number of its row as `rowid`.
/// The rows that are there are put into it once.
///
/// The rows of the table have to be numbered by an INTEGER PRIMARY KEY. They are changed by `UPDATE` and never by `INSERT OR
/// REPLACE`, whose implied deletion fires no trigger.
///
/// # Errors
///
/// SQLite's, and that the table has no such key.
pub async fn search(manager: &SchemaManager<'_>, table: &str, columns: &[&str]) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let key = "SELECT name FROM pragma_table_xinfo(?) WHERE pk = 1 AND type = 'INTEGER' COLLATE NOCASE";
    let key: String = match rows(connection, key, [table.into()]).await?.first() {
        Some(row) => row.try_get_by_index(0)?,
        None => return Err(DbErr::Migration(format!("table {table} has no INTEGER PRIMARY KEY to be searched by"))),
    };
    let index = format!("{table}_search");
    let is_there = "SELECT 1 FROM sqlite_schema WHERE name = ? COLLATE NOCASE";
    let is_new = rows(connection, is_there, [index.as_str().into()]).await?.is_empty();
    let text = |name: &str| format!("'{}'", name.replace('\'', "''"));
    let names = columns.iter().map(|column| quoted(column)).collect::<Vec<_>>().join(", ");
    let (content, content_rowid) = (text(table), text(&key));
    let definition =
        format!("fts5({names}, content = {content}, content_rowid = {content_rowid}, tokenize = 'trigram')");
    virtual_table(manager, &index, &definition).await?;
    let of =
        |row: &str| columns.iter().map(|column| format!("{row}.{}", quoted(column))).collect::<Vec<_>>().join(", ");
    let (name, on, key) = (quoted(&index), quoted(table), quoted(&key));
    let gone = format!("INSERT INTO {name} ({name}, rowid, {names}) VALUES ('delete', old.{key}, {});", of("old"));
    let there = format!("INSERT INTO {name} (rowid, {names}) VALUES (new.{key}, {});", of("new"));
    let triggers = [
        ("insert", format!("AFTER INSERT ON {on} BEGIN {there} END")),
        ("delete", format!("AFTER DELETE ON {on} BEGIN {gone} END")),
        ("update", format!("AFTER UPDATE OF {key}, {names} ON {on} BEGIN {gone} {there} END")),
    ];
    for (event, definition) in triggers {
        trigger(manager, &format!("{index}_{event}"), &definition).await?;
    }
    if is_new {
        execute(manager, &format!("INSERT INTO {name} ({name}) VALUES ('rebuild')")).await?;
    }
    Ok(())
}
