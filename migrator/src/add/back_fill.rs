//! How does a new column get a value in the rows that are there?

use std::time::{Duration, Instant};

use sea_orm::{ConnectionTrait, DbBackend, DbErr, QueryResult, Statement, Value};
use sea_orm_migration::SchemaManager;

use crate::database::{number, rows};
use crate::progress::{self, Progress};
use crate::schema::quoted;

/// Rows changed by one statement.
const BATCH: u64 = 1000;

/// Rows after which it is told how far it is, or how long after which. Of a table that is done before anybody looks, nothing is told.
const TOLD: (u64, Duration) = (20_000, Duration::from_secs(1));

/// Gives `column` the value of `expression`, computed of the row's other columns, in each row in which it still has its
/// default. Rows with another value keep it, so what a person wrote stays, and a second run changes nothing.
///
/// It goes through the table by primary key, and tells how many rows of all are done.
///
/// # Errors
///
/// SQLite's, such as a column that is not there.
pub async fn back_fill(manager: &SchemaManager<'_>, table: &str, column: &str, expression: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let default = "SELECT ifnull(dflt_value, 'NULL') FROM pragma_table_xinfo(?) WHERE name = ? COLLATE NOCASE";
    let default = rows(connection, default, [table.into(), column.into()]).await?;
    let default: String = match default.first() {
        Some(row) => row.try_get_by_index(0)?,
        None => return Err(DbErr::Migration(format!("table {table} has no column {column} to fill"))),
    };
    let key = key(connection, table).await?;
    let (table_name, column) = (quoted(table), quoted(column));
    let of = u64::try_from(number(connection, &format!("SELECT count(*) FROM {table_name}")).await?).unwrap_or(0);
    let keys = key.join(", ");
    let marks = vec!["?"; key.len()].join(", ");
    let mut last: Option<Vec<Value>> = None;
    let (mut done, mut is_told, since) = (0, false, Instant::now());
    while done < of {
        let after = last.as_ref().map_or_else(|| "1".to_owned(), |_| format!("({keys}) > ({marks})"));
        let values = || last.iter().flatten().cloned();
        let next =
            format!("SELECT {keys} FROM {table_name} WHERE {after} ORDER BY {keys} LIMIT 1 OFFSET {}", BATCH - 1);
        let next = query(connection, &next, values()).await?;
        let next = next.first().map(|row| (0..key.len()).map(|index| value(row, index)).collect::<Result<Vec<_>, _>>());
        let next = next.transpose()?;
        let before = next.as_ref().map_or_else(|| "1".to_owned(), |_| format!("({keys}) <= ({marks})"));
        let update = format!(
            "UPDATE {table_name} SET {column} = ({expression})
             WHERE {after} AND {before} AND {column} IS ({default}) AND {column} IS NOT ({expression})"
        );
        let bounds: Vec<Value> = values().chain(next.iter().flatten().cloned()).collect();
        connection.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, update, bounds)).await?;
        done = if next.is_some() { (done + BATCH).min(of) } else { of };
        is_told |= done >= TOLD.0 || since.elapsed() >= TOLD.1;
        if is_told {
            progress::tell(Progress { table: table.to_owned(), done, of });
        }
        last = next;
    }
    Ok(())
}

/// Returns what names a row of the table: its number, or the columns of its primary key where it has none.
async fn key(connection: &impl ConnectionTrait, table: &str) -> Result<Vec<String>, DbErr> {
    let kind = "SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ? COLLATE NOCASE";
    let without_rowid = match rows(connection, kind, [table.into()]).await?.first() {
        Some(row) => row.try_get_by_index::<i64>(0)? != 0,
        None => return Err(DbErr::Migration(format!("there is no table {table} to fill"))),
    };
    if !without_rowid {
        return Ok(vec![number_of_a_row(connection, table).await?]);
    }
    let sql = "SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk";
    let names = rows(connection, sql, [table.into()]).await?;
    names.iter().map(|row| Ok(quoted(&row.try_get_by_index::<String>(0)?))).collect()
}

/// Returns a name for the number of a row that no column of the table has.
pub(super) async fn number_of_a_row(connection: &impl ConnectionTrait, table: &str) -> Result<String, DbErr> {
    let sql = "SELECT lower(name) FROM pragma_table_xinfo(?)";
    let mut names = Vec::new();
    for row in rows(connection, sql, [table.into()]).await? {
        names.push(row.try_get_by_index::<String>(0)?);
    }
    let free = ["rowid", "_rowid_", "oid"].into_iter().find(|name| !names.iter().any(|own| own == name));
    free.map(str::to_owned).ok_or_else(|| DbErr::Migration(format!("table {table} hides the numbers of its rows")))
}

async fn query(
    connection: &impl ConnectionTrait,
    sql: &str,
    values: impl Iterator<Item = Value>,
) -> Result<Vec<QueryResult>, DbErr> {
    connection.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values.collect::<Vec<_>>())).await
}

/// Returns a value of a key as it is.
fn value(row: &QueryResult, index: usize) -> Result<Value, DbErr> {
    row.try_get_by_index::<i64>(index)
        .map(Value::from)
        .or_else(|_| row.try_get_by_index::<String>(index).map(Value::from))
        .or_else(|_| row.try_get_by_index::<f64>(index).map(Value::from))
        .or_else(|_| row.try_get_by_index::<Vec<u8>>(index).map(Value::from))
}
