//! Which records does the search not know as they are?
//!
//! Those that an older program wrote while the schema was newer than it, and all of them when this version folds texts
//! otherwise than the one before. They are folded before the app becomes ready, in small transactions, so that it may be
//! killed at any moment and goes on where it was.

use std::time::Duration;

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, QueryFilter, Statement, Value,
};

use super::{
    details,
    entity::{Column, Entity},
    fold::FOLD_VERSION,
    indexing::{self, INDEX_VERSION, Indexed, Texts},
    search,
};
use crate::{
    auth::authority::AuthorizedDatabase,
    db::{Database, DbError, Tx},
    failure::Failure,
};

/// The index `record_stale` has these alone.
const STALE: &str = "fold_version = 0";

/// Records in a transaction.
const BATCH: usize = 100;

/// Folds every record that was not folded by this version's rules.
pub(crate) async fn fold_stale(database: &Database) -> Result<(), Failure> {
    let explain = |error: DbError| {
        Failure::new(format!("the records could not be made ready for the search: {error}"))
            .hint("nothing was lost; start Hearth again")
    };
    let mut folded = fold_all(database, STALE).await.map_err(explain)?;
    let version = folded_with(database.reads()).await.map_err(|error| explain(database.failed(error)))?;
    if version != FOLD_VERSION {
        tracing::info!("Making all records ready for this version's search");
        folded += fold_all(database, &format!("fold_version <> {INDEX_VERSION}")).await.map_err(explain)?;
        database
            .write_content(async |tx| {
                let sql = "UPDATE record_state SET fold_version = ?";
                Ok(execute(tx, sql, vec![FOLD_VERSION.into()]).await?)
            })
            .await
            .map_err(explain)?;
    }
    if folded > 0 {
        let records = if folded == 1 { "1 record was".to_owned() } else { format!("{folded} records were") };
        tracing::info!("{records} made ready for the search");
    }
    Ok(())
}

/// How long a response waits for the records that its request marked.
const PATIENCE: Duration = Duration::from_secs(2);

/// Folds what a write has [marked](super::store::mark_stale), after its commit. Of a few records the search knows when it returns;
/// many are folded in the background, and what the end of the app leaves is at its next start.
pub(crate) async fn fold_marked(database: &AuthorizedDatabase) {
    let upkeep = database.upkeep();
    let folding = tokio::spawn(async move {
        if let Err(failure) = fold_stale(&upkeep).await {
            tracing::warn!("{failure}");
        }
    });
    let _ = tokio::time::timeout(PATIENCE, folding).await;
}

/// Folds the records that meet a condition, from the lowest id to the highest, and returns how many those were.
async fn fold_all(database: &Database, condition: &str) -> Result<usize, DbError> {
    let (mut after, mut number) = (i64::MIN, 0);
    // A start with nothing to fold writes nothing.
    while has_stale(database.reads(), condition, after).await.map_err(|error| database.failed(error))? {
        let wanted = condition.to_owned();
        let folded = database.write_content(async move |tx| Ok(fold_batch(tx, &wanted, after).await?)).await;
        let ids: Vec<i64> = folded.map_err(|error: DbError| error)?;
        number += ids.len();
        after = ids.last().copied().unwrap_or(i64::MAX);
    }
    Ok(number)
}

/// Reads what a start reads, for the self-test.
pub(super) async fn self_test(reads: &DatabaseConnection) -> Result<(), DbErr> {
    has_stale(reads, STALE, i64::MIN).await?;
    reads.query_all_raw(batch(STALE, i64::MIN)).await?;
    folded_with(reads).await.map(drop)
}

/// Returns the version that all records were folded with, but for stale ones.
async fn folded_with(reads: &DatabaseConnection) -> Result<i64, DbErr> {
    let sql = "SELECT fold_version FROM record_state";
    let row = reads.query_one_raw(Statement::from_string(DbBackend::Sqlite, sql)).await?;
    row.map_or(Ok(0), |row| row.try_get_by_index(0))
}

async fn has_stale(reads: &DatabaseConnection, condition: &str, after: i64) -> Result<bool, DbErr> {
    let sql = format!("SELECT id FROM record WHERE {condition} AND id > ? LIMIT 1");
    let row = reads.query_one_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [after.into()])).await?;
    Ok(row.is_some())
}

/// Asks for the next records to fold. No more of a record is read than is folded: a start does not fail for a date that somebody
/// wrote by hand.
fn batch(condition: &str, after: i64) -> Statement {
    let sql = format!(
        "SELECT id, scope, title, category, notes, kind, place_id FROM record WHERE {condition} AND id > ? ORDER BY id LIMIT {BATCH}"
    );
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, [after.into()])
}

async fn fold_batch(tx: &Tx, condition: &str, after: i64) -> Result<Vec<i64>, DbErr> {
    let mut ids = Vec::new();
    for row in tx.query_all_raw(batch(condition, after)).await? {
        let (id, scope): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let text = |index| row.try_get_by_index::<String>(index);
        let (title, category, notes, kind) = (text(2)?, text(3)?, text(4)?, text(5)?);
        let texts = Texts { title: &title, category: &category, notes: &notes, kind: &kind, scope };
        let places = indexing::places(tx, row.try_get_by_index(6)?).await?;
        let indexed = Indexed::new(texts, &details::read(tx, id).await?, &places);
        search::index(tx, id, indexed.tokens.clone());
        let mut update = Entity::update_many().filter(Column::Id.eq(id));
        for (name, value) in indexed.columns() {
            update = update.col_expr(name, value);
        }
        update.col_expr(Column::TitleKey, indexed.title_key().into()).exec(tx).await?;
        // An older program may have changed who sees it.
        indexing::index_files(tx, id, scope).await?;
        ids.push(id);
    }
    Ok(ids)
}

async fn execute(tx: &Tx, sql: &str, values: Vec<Value>) -> Result<(), DbErr> {
    tx.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
    Ok(())
}
