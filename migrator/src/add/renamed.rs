//! How does a column get another name while older programs still use the old one?

use sea_orm::DbErr;
use sea_orm_migration::SchemaManager;

use super::{back_fill, column, trigger};
use crate::database::rows;
use crate::schema::quoted;

/// Adds `new`, which has the values of `old` in the rows that are there, and triggers that give each the other's value where a
/// program writes only one of them: an older program the old one, or SQL of a program that knows only the new one. A program
/// that writes both fires none. `definition` is of the new column, as for [`column`](fn@column).
///
/// `RETURNING` does not see what these triggers write: it shows the row as the statement itself left it.
///
/// # Errors
///
/// SQLite's, such as an old column that is not there.
pub async fn renamed(
    manager: &SchemaManager<'_>,
    table: &str,
    old: &str,
    new: &str,
    definition: &str,
) -> Result<(), DbErr> {
    column(manager, table, new, definition).await?;
    back_fill(manager, table, new, &quoted(old)).await?;
    let key = key(manager, table).await?;
    let (old_default, new_default) = (default(manager, table, old).await?, default(manager, table, new).await?);
    let names = [format!("{table}_{new}_of_{old}"), format!("{table}_{old}_of_{new}")];
    let (on, old, new) = (quoted(table), quoted(old), quoted(new));
    let row = key.iter().map(|key| format!("{key} IS new.{key}")).collect::<Vec<_>>().join(" AND ");
    let pairs = [(&old, &new, &new_default, &names[0]), (&new, &old, &old_default, &names[1])];
    for (written, other, unwritten, name) in pairs {
        let set = format!("BEGIN UPDATE {on} SET {other} = new.{written} WHERE {row}; END");
        let inserted = format!(
            "AFTER INSERT ON {on} WHEN new.{other} IS ({unwritten}) AND new.{written} IS NOT new.{other} {set}"
        );
        trigger(manager, &format!("{name}_insert"), &inserted).await?;
        let updated = format!(
            "AFTER UPDATE OF {written} ON {on}
                WHEN new.{written} IS NOT old.{written} AND new.{other} IS old.{other} AND new.{other} IS NOT new.{written} {set}"
        );
        trigger(manager, &format!("{name}_update"), &updated).await?;
    }
    Ok(())
}

/// Returns the default of a column as SQL.
async fn default(manager: &SchemaManager<'_>, table: &str, column: &str) -> Result<String, DbErr> {
    let sql = "SELECT ifnull(dflt_value, 'NULL') FROM pragma_table_xinfo(?) WHERE name = ? COLLATE NOCASE";
    match rows(manager.get_connection(), sql, [table.into(), column.into()]).await?.first() {
        Some(row) => row.try_get_by_index(0),
        None => Err(DbErr::Migration(format!("table {table} has no column {column}"))),
    }
}

/// Returns the columns of the primary key.
async fn key(manager: &SchemaManager<'_>, table: &str) -> Result<Vec<String>, DbErr> {
    let sql = "SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk";
    let found = rows(manager.get_connection(), sql, [table.into()]).await?;
    let key: Vec<String> =
        found.iter().map(|row| Ok(quoted(&row.try_get_by_index::<String>(0)?))).collect::<Result<_, DbErr>>()?;
    match key.is_empty() {
        true => Err(DbErr::Migration(format!("table {table} has no primary key"))),
        false => Ok(key),
    }
}
