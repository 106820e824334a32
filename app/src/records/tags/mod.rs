//! Words that records are marked with.

use sea_orm::{DbBackend, DbErr, Statement};

use super::store::Viewer;
use crate::db::DirectReads;

/// The tags of so many records are offered. Those that others keep to themselves cost nothing, whatever tags they have.
const RECENT: u64 = 300;

/// Returns the tags of the records that the viewer sees and that changed last, in the order of the alphabet.
pub(crate) async fn recent(reads: &DirectReads, viewer: Viewer) -> Result<Vec<String>, DbErr> {
    let mut found: Vec<(String, String)> = Vec::new();
    for scope in viewer.scopes() {
        let sql = r#"
            SELECT "name_key", max("name") FROM "record_tag"
            WHERE "record_id" IN (SELECT "id" FROM "record" WHERE "scope" = ? ORDER BY "updated_at" DESC LIMIT ?)
            GROUP BY "name_key""#;
        let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [scope.into(), RECENT.into()]);
        found.extend(reads.rows(&statement, |row| Ok((row.get(0)?, row.get(1)?))).await?);
    }
    found.sort();
    found.dedup_by(|one, other| one.0 == other.0);
    Ok(found.into_iter().map(|(_, name)| name).collect())
}
