//! Which migrations were applied, by which version, and what schema did they make?
//!
//! Two books are kept. `seaql_migrations` is sea-orm's own and decides what is pending. Beside
//! it `migration_ledger` holds, per migration, what people and the drift check want to know:
//!
//! | column | |
//! |---|---|
//! | `id` | counts up in the order in which migrations were applied |
//! | `name` | as in `seaql_migrations` |
//! | `version` | of the release that applied it, such as `0.1.0` |
//! | `applied_at` | UTC, RFC 3339, whole seconds; only as right as the machine's clock |
//! | `duration_ms` | how long it took, in milliseconds |
//! | `schema` | the fingerprint of the schema after it |
//! | `listing` | that schema's [`Listing`] as text, so that a difference can be named |
//! | `floor` | the lowest version whose app may serve the database from then on ([`floor`]); null where a migrator before 0.6.0 applied it |

use std::collections::BTreeMap;
use std::time::Duration;

use sea_orm::{ConnectionTrait, DbErr};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::database::rows;
use crate::floor;
use crate::plan::Applied;
use crate::schema::Listing;

/// Both books, read together.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    /// What `seaql_migrations` holds, in the order it was applied, with what the ledger knows.
    pub applied: Vec<Applied>,
    /// The version that applied the last migration.
    pub last_version: Option<String>,
    /// The lowest version whose app may serve the database; none if no entry has one.
    pub floor: Option<String>,
    /// The schema that the last migration made.
    pub schema: Option<Listing>,
    /// A phrase for each migration that is in only one of the books.
    pub disagreements: Vec<String>,
}

/// Reads both books; one that is not there yet is empty.
///
/// # Errors
///
/// SQLite's.
pub async fn read(connection: &impl ConnectionTrait, tables: &[String]) -> Result<Ledger, DbErr> {
    let has = |name: &str| tables.iter().any(|table| table == name);
    let mut ledger = Ledger::default();
    let mut entries: BTreeMap<String, (i64, String, String)> = BTreeMap::new();
    if has("migration_ledger") {
        let sql = "SELECT name, id, version, applied_at FROM migration_ledger ORDER BY id";
        for row in rows(connection, sql, []).await? {
            let entry: (i64, String, String) =
                (row.try_get_by_index(1)?, row.try_get_by_index(2)?, row.try_get_by_index(3)?);
            ledger.last_version = Some(entry.1.clone());
            entries.insert(row.try_get_by_index(0)?, entry);
        }
        let sql = "SELECT listing FROM migration_ledger ORDER BY id DESC LIMIT 1";
        if let Some(row) = rows(connection, sql, []).await?.first() {
            ledger.schema = Some(Listing::parse(&row.try_get_by_index::<String>(0)?));
        }
        ledger.floor = recorded_floor(connection).await?;
    }
    let mut ordered: Vec<(i64, Applied)> = Vec::new();
    if has("seaql_migrations") {
        let sql = "SELECT version, applied_at FROM seaql_migrations ORDER BY version";
        for row in rows(connection, sql, []).await? {
            let name: String = row.try_get_by_index(0)?;
            let (id, version, applied_at) = match entries.remove(&name) {
                Some(entry) => entry,
                None => {
                    ledger.disagreements.push(format!("table migration_ledger: row {name} is missing"));
                    (0, "unknown".to_owned(), rfc3339(row.try_get_by_index(1)?))
                }
            };
            ordered.push((id, Applied { name, version, applied_at }));
        }
    }
    for name in entries.into_keys() {
        ledger.disagreements.push(format!("table seaql_migrations: row {name} is missing"));
    }
    ordered.sort_by_key(|(id, _)| *id);
    ledger.applied = ordered.into_iter().map(|(_, applied)| applied).collect();
    Ok(ledger)
}

/// Makes the ledger's table if it is not there, and the column that an older one lacks.
///
/// # Errors
///
/// SQLite's.
pub async fn install(connection: &impl ConnectionTrait) -> Result<(), DbErr> {
    let sql = "CREATE TABLE IF NOT EXISTS migration_ledger (
        id INTEGER PRIMARY KEY,
        name TEXT NOT NULL UNIQUE,
        version TEXT NOT NULL,
        applied_at TEXT NOT NULL,
        duration_ms INTEGER NOT NULL,
        schema TEXT NOT NULL,
        listing TEXT NOT NULL,
        floor TEXT NULL
    ) STRICT";
    connection.execute_unprepared(sql).await?;
    if !has_floor(connection).await? {
        connection.execute_unprepared("ALTER TABLE migration_ledger ADD COLUMN floor TEXT NULL").await?;
    }
    Ok(())
}

/// Says whether the ledger's table has the column: 0.6.0 was the first to make it.
async fn has_floor(connection: &impl ConnectionTrait) -> Result<bool, DbErr> {
    let sql = "SELECT 1 FROM pragma_table_info('migration_ledger') WHERE name = 'floor'";
    Ok(!rows(connection, sql, []).await?.is_empty())
}

async fn recorded_floor(connection: &impl ConnectionTrait) -> Result<Option<String>, DbErr> {
    if !has_floor(connection).await? {
        return Ok(None);
    }
    let rows = rows(connection, "SELECT floor FROM migration_ledger WHERE floor IS NOT NULL", []).await?;
    let floors = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<String>, _>>()?;
    Ok(floor::highest(floors.iter().map(String::as_str)))
}

/// Writes down that migration `name` was applied by `version`, took `duration` and made `schema`,
/// which apps from `floor` on may serve.
///
/// # Errors
///
/// SQLite's.
pub async fn record(
    connection: &impl ConnectionTrait,
    name: &str,
    version: &str,
    duration: Duration,
    schema: &Listing,
    floor: &str,
) -> Result<(), DbErr> {
    let sql = "INSERT INTO migration_ledger (name, version, applied_at, duration_ms, schema, listing, floor)
        VALUES (?, ?, ?, ?, ?, ?, ?)";
    rows(
        connection,
        sql,
        [
            name.into(),
            version.into(),
            rfc3339(OffsetDateTime::now_utc().unix_timestamp()).into(),
            i64::try_from(duration.as_millis()).unwrap_or(i64::MAX).into(),
            schema.fingerprint().into(),
            schema.to_string().into(),
            floor.into(),
        ],
    )
    .await
    .map(|_| ())
}

/// Returns seconds since 1970 as `YYYY-MM-DDTHH:MM:SSZ`.
fn rfc3339(seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(seconds)
        .ok()
        .and_then(|time| time.format(&Rfc3339).ok())
        .unwrap_or_else(|| "unknown".to_owned())
}
