//! How does a table change in a way that `ALTER TABLE` has no words for?
//!
//! By SQLite's own recipe (<https://www.sqlite.org/lang_altertable.html#making_other_kinds_of_table_schema_changes>): a new table,
//! all rows, the old one goes, the new one takes its name. Foreign keys are off in a migration, so that no child goes with the
//! old table. Instead of a pragma for the renaming, which stops at whatever speaks of the table, all triggers and views are taken
//! away for that moment and made again in their order.

use std::collections::BTreeSet;

use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::SchemaManager;

use super::back_fill::number_of_a_row;
use super::execute;
use crate::database::rows;
use crate::schema::{normalised, quoted};

/// Gives a table another definition and keeps everything: rows and their numbers, the number that AUTOINCREMENT gives next,
/// indexes, triggers, views. `body` is as for [`table`](fn@super::table). It has to name every column that the table has; a
/// column that is new in it needs a default, or may be null.
///
/// Nothing happens if the table is already as `body` says, with whatever was added to it since.
///
/// # Errors
///
/// If `body` leaves out a column; SQLite's, such as a null in a column that may not be null any more.
pub async fn rebuild(manager: &SchemaManager<'_>, table: &str, body: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let sql = "SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ? COLLATE NOCASE";
    let Some(found) = rows(connection, sql, [table.into()]).await?.into_iter().next() else {
        return Err(DbErr::Migration(format!("there is no table {table} to rebuild")));
    };
    let (is_parts, is_options) = parts(&found.try_get_by_index::<String>(0)?);
    let (parts, options) = parts(body);
    if options == is_options && parts.is_subset(&is_parts) {
        return Ok(());
    }
    let new = format!("{table}_new");
    super::table(manager, &new, body).await?;
    let (columns, new_columns) = (columns(connection, table).await?, columns(connection, &new).await?);
    let has = |list: &[Column], name: &str| list.iter().any(|one| one.name.eq_ignore_ascii_case(name));
    if let Some(lost) = columns.iter().find(|column| !has(&new_columns, &column.name)) {
        let lost = &lost.name;
        return Err(DbErr::Migration(format!("the rebuilt table {table} would be without its column {lost}")));
    }
    let stored = |column: &&Column| !column.is_generated && has(&new_columns, &column.name);
    let mut copied: Vec<String> = columns.iter().filter(stored).map(|column| quoted(&column.name)).collect();
    copied
        .retain(|name| !new_columns.iter().any(|new| new.is_generated && quoted(&new.name).eq_ignore_ascii_case(name)));
    if has_numbers(connection, table).await? && has_numbers(connection, &new).await? {
        copied.push(number_of_a_row(connection, table).await?);
    }
    let copied = copied.join(", ");
    let (old_name, new_name) = (quoted(table), quoted(&new));
    let next = next_number(connection, table).await?;
    let others = others(connection, table).await?;
    for other in others.iter().filter(|other| other.kind != "index") {
        // A trigger of a view is gone with it.
        execute(manager, &format!("DROP {} IF EXISTS {}", other.kind, quoted(&other.name))).await?;
    }
    execute(manager, &format!("INSERT INTO {new_name} ({copied}) SELECT {copied} FROM {old_name}")).await?;
    execute(manager, &format!("DROP TABLE {old_name}")).await?;
    execute(manager, &format!("ALTER TABLE {new_name} RENAME TO {old_name}")).await?;
    if let Some(next) = next {
        keep_number(connection, table, next).await?;
    }
    for other in others {
        execute(manager, &other.sql).await?;
    }
    Ok(())
}

struct Column {
    name: String,
    is_generated: bool,
}

async fn columns(connection: &impl ConnectionTrait, table: &str) -> Result<Vec<Column>, DbErr> {
    let found = rows(connection, "SELECT name, hidden FROM pragma_table_xinfo(?)", [table.into()]).await?;
    found
        .iter()
        .map(|row| Ok(Column { name: row.try_get_by_index(0)?, is_generated: row.try_get_by_index::<i64>(1)? > 1 }))
        .collect()
}

/// Says whether the rows have numbers that no column shows: with an INTEGER PRIMARY KEY they are copied as that column.
async fn has_numbers(connection: &impl ConnectionTrait, table: &str) -> Result<bool, DbErr> {
    let sql = "SELECT 1 FROM pragma_table_list l WHERE l.schema = 'main' AND l.name = ? COLLATE NOCASE AND l.wr = 0
        AND (SELECT count(*) FROM pragma_table_xinfo(l.name) WHERE pk > 0 AND type = 'INTEGER' COLLATE NOCASE
            AND (SELECT count(*) FROM pragma_table_xinfo(l.name) WHERE pk > 0) = 1) = 0";
    Ok(!rows(connection, sql, [table.into()]).await?.is_empty())
}

/// An index of the table; a trigger or a view of the database.
struct Other {
    kind: String,
    name: String,
    sql: String,
}

/// Returns what has to be made again, in the order in which it was made.
async fn others(connection: &impl ConnectionTrait, table: &str) -> Result<Vec<Other>, DbErr> {
    let sql = "SELECT type, name, sql FROM sqlite_schema WHERE sql IS NOT NULL
        AND (type IN ('trigger', 'view') OR type = 'index' AND tbl_name = ? COLLATE NOCASE) ORDER BY rowid";
    let found = rows(connection, sql, [table.into()]).await?;
    let text = |row: &sea_orm::QueryResult, index| row.try_get_by_index::<String>(index);
    found.iter().map(|row| Ok(Other { kind: text(row, 0)?, name: text(row, 1)?, sql: text(row, 2)? })).collect()
}

/// Returns the last number that AUTOINCREMENT gave.
async fn next_number(connection: &impl ConnectionTrait, table: &str) -> Result<Option<i64>, DbErr> {
    if rows(connection, "SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_sequence'", []).await?.is_empty() {
        return Ok(None);
    }
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = ? COLLATE NOCASE";
    rows(connection, sql, [table.into()]).await?.first().map(|row| row.try_get_by_index(0)).transpose()
}

/// The number of a row that was deleted is not given again.
async fn keep_number(connection: &impl ConnectionTrait, table: &str, last: i64) -> Result<(), DbErr> {
    let sql = "INSERT INTO sqlite_sequence (name, seq) SELECT name, ? FROM sqlite_schema
        WHERE type = 'table' AND name = ? COLLATE NOCASE AND sql LIKE '%autoincrement%'
        AND NOT EXISTS (SELECT 1 FROM sqlite_sequence s WHERE s.name = sqlite_schema.name)";
    rows(connection, sql, [last.into(), table.into()]).await?;
    let sql = "UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = ? COLLATE NOCASE";
    rows(connection, sql, [last.into(), table.into()]).await.map(|_| ())
}

/// Returns the definitions that stand in a table's parentheses, and what stands behind them, in a form that does not depend
/// on how they were written.
fn parts(sql: &str) -> (BTreeSet<String>, String) {
    let sql = normalised(sql);
    let mut parts = BTreeSet::new();
    let (mut part, mut depth) = (Vec::new(), 0);
    let mut words = sql.split(' ').skip_while(|word| *word != "(");
    words.next();
    for word in words.by_ref() {
        match word {
            ")" if depth == 0 => break,
            "," if depth == 0 => {
                parts.insert(std::mem::take(&mut part).join(" "));
                continue;
            }
            "(" => depth += 1,
            ")" => depth -= 1,
            _ => {}
        }
        part.push(word);
    }
    parts.insert(part.join(" "));
    (parts, words.collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn a_definition_is_its_parts() {
        let (one, options) =
            parts("CREATE TABLE \"t\" (id INTEGER PRIMARY KEY, a TEXT DEFAULT ')(,', CHECK (a IN (1, 2))) STRICT");
        let (other, same) = parts("( CHECK(a in(1,2)), id integer primary key, a text default ')(,')strict");
        assert_eq!((&one, options.as_str()), (&other, "strict"));
        assert_eq!((one.len(), same.as_str()), (3, "strict"));
        assert!(!parts("(a TEXT CHECK (a <> ''))").0.is_subset(&parts("(a TEXT)").0));
    }
}
