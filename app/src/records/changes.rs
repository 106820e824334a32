//! What has changed since a client looked last?
//!
//! Changes are numbered (`record_change`, which the migrator describes), so that no clock decides. A cursor holds the number, the
//! epoch, which a restore ends, and whose eyes it was made for.

use data_encoding::BASE64URL_NOPAD;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, DbErr, Statement, Value};

use super::{
    entity::Model,
    listing::PAGE_BYTES,
    store::{self, Viewer},
};

/// Changed records, in the order of their last change.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// The record as it is now; none where the viewer has it no longer.
    pub(crate) records: Vec<(i64, Option<Model>)>,
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
    reads: &DatabaseConnection,
    viewer: Viewer,
    after: Option<&str>,
    limit: u64,
) -> Result<Result<Changes, BadCursor>, DbErr> {
    let scopes: Vec<_> = viewer.scopes().iter().map(ToString::to_string).collect();
    let row = reads.query_one_raw(Statement::from_string(DbBackend::Sqlite, "SELECT epoch FROM record_state")).await?;
    let epoch: String = row.map_or(Ok(String::new()), |row| row.try_get_by_index(0))?;
    let view = format!("{epoch}.{}", scopes.join(","));
    let mut number = match after.map(decode) {
        None => 0,
        Some(None) => return Ok(Err(BadCursor::Unknown)),
        Some(Some((made_for, number))) if made_for == view => number,
        Some(Some(_)) => return Ok(Err(BadCursor::Outdated)),
    };
    let sql = format!(
        "SELECT number, record_id FROM record_change WHERE scope IN ({}) AND number > ? ORDER BY number LIMIT ?",
        scopes.join(", ")
    );
    let values: [Value; 2] = [number.into(), (limit + 1).into()];
    let rows = reads.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
    let (mut changes, mut bytes) = (Changes::default(), 0);
    for row in rows {
        if changes.records.len() as u64 >= limit || bytes > PAGE_BYTES {
            changes.has_more = true;
            break;
        }
        number = row.try_get_by_index(0)?;
        let id = row.try_get_by_index(1)?;
        let record = store::get(reads, viewer, id).await?;
        bytes += record.as_ref().map_or(0, Model::text_bytes);
        changes.records.push((id, record));
    }
    changes.cursor = BASE64URL_NOPAD.encode(format!("c{number}.{view}").as_bytes());
    Ok(Ok(changes))
}

fn decode(cursor: &str) -> Option<(String, i64)> {
    let text = String::from_utf8(BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?).ok()?;
    let (number, view) = text.strip_prefix('c')?.split_once('.')?;
    Some((view.to_owned(), number.parse().ok()?))
}
