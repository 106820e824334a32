//! What has changed since a client looked last?
//!
//! Changes are numbered in each scope (`record_change`, which the migrator describes), so that no clock decides and nobody's
//! numbers tell of what others keep to themselves. A cursor holds the number of each scope that its viewer sees, the epoch,
//! which a restore ends, and the scopes.

use data_encoding::BASE64URL_NOPAD;
use sea_orm::{DbBackend, DbErr, Statement, Value};

use super::{
    listing::PAGE_BYTES,
    store::{self, Record, Viewer},
};
use crate::db::DirectReads;

/// Changed records: the household's first, then one's own, in the order of their last change.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The record as it is now; none where the viewer has it no longer.
    pub(crate) records: Vec<(i64, Option<Record>)>,
    /// The cursor behind them.
    pub(crate) cursor: String,
    pub(crate) has_more: bool,
}

/// Why a cursor leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadCursor {
    Unknown,
    /// From before a restore, or of a user or role with another view.
    Outdated,
}

/// Returns the changes behind a cursor; without one, every record.
pub(crate) async fn list(
    reads: &DirectReads,
    viewer: Viewer,
    after: Option<&str>,
    limit: u64,
) -> Result<Result<Changes, BadCursor>, DbErr> {
    let scopes = viewer.scopes();
    let view = view(reads, &scopes).await?;
    let mut numbers = match after.map(decode) {
        None => vec![0; scopes.len()],
        Some(None) => return Ok(Err(BadCursor::Unknown)),
        Some(Some((numbers, made_for))) if made_for == view && numbers.len() == scopes.len() => numbers,
        Some(Some(_)) => return Ok(Err(BadCursor::Outdated)),
    };
    let (mut changes, mut bytes) = (Changes::default(), 0);
    for (scope, number) in scopes.iter().zip(&mut numbers) {
        // The file may have been put back by hand.
        if last(reads, *scope).await? < *number {
            return Ok(Err(BadCursor::Outdated));
        }
        let room = limit - changes.records.len() as u64;
        for (next, id) in behind(reads, *scope, *number, room + 1).await? {
            if changes.records.len() as u64 >= limit || bytes > PAGE_BYTES {
                changes.has_more = true;
                break;
            }
            *number = next;
            let record = store::find_whole(reads, viewer, id).await?;
            bytes += record.as_ref().map_or(0, Record::text_bytes);
            changes.records.push((id, record));
        }
    }
    changes.cursor = cursor(&numbers, &view);
    Ok(Ok(changes))
}

/// Returns the cursor behind all changes that there are.
pub(crate) async fn now(reads: &DirectReads, viewer: Viewer) -> Result<String, DbErr> {
    let scopes = viewer.scopes();
    let view = view(reads, &scopes).await?;
    let mut numbers = Vec::new();
    for scope in scopes {
        numbers.push(last(reads, scope).await?);
    }
    Ok(cursor(&numbers, &view))
}

/// Returns what a cursor is good for.
async fn view(reads: &DirectReads, scopes: &[i64]) -> Result<String, DbErr> {
    let sql = Statement::from_string(DbBackend::Sqlite, "SELECT epoch FROM record_state");
    let epoch = reads.rows(&sql, |row| row.get::<_, String>(0)).await?.pop().unwrap_or_default();
    Ok(format!("{epoch}.{}", joined(scopes)))
}

fn cursor(numbers: &[i64], view: &str) -> String {
    BASE64URL_NOPAD.encode(format!("c{}.{view}", joined(numbers)).as_bytes())
}

/// Returns the number of a scope's last change.
async fn last(reads: &DirectReads, scope: i64) -> Result<i64, DbErr> {
    let sql = r#"SELECT ifnull(max("number"), 0) FROM "record_change" WHERE "scope" = ?"#;
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [scope.into()]);
    Ok(reads.rows(&statement, |row| row.get(0)).await?.pop().unwrap_or(0))
}

/// Returns the changes in a scope behind a number, with the records' ids.
async fn behind(reads: &DirectReads, scope: i64, number: i64, most: u64) -> Result<Vec<(i64, i64)>, DbErr> {
    let sql = r#"SELECT "number", "record_id" FROM "record_change" WHERE "scope" = ? AND "number" > ? ORDER BY "number" LIMIT ?"#;
    let values: [Value; 3] = [scope.into(), number.into(), most.into()];
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    reads.rows(&statement, |row| Ok((row.get(0)?, row.get(1)?))).await
}

fn joined(numbers: &[i64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

/// Returns the numbers, and for which view they are.
fn decode(cursor: &str) -> Option<(Vec<i64>, String)> {
    let text = String::from_utf8(BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?).ok()?;
    let (numbers, view) = text.strip_prefix('c')?.split_once('.')?;
    let numbers = numbers.split(',').map(str::parse).collect::<Result<_, _>>().ok()?;
    Some((numbers, view.to_owned()))
}
