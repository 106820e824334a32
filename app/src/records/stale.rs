//! Which records does the search not know as they are?
//!
//! Those that an older program wrote while the schema was newer than it, and all of them when this version folds texts
//! otherwise than the one before. They are folded before the app becomes ready, in small transactions, so that it may be
//! killed at any moment and goes on where it was.

use sea_orm::{
    ColumnTrait, ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder,
    QuerySelect, Statement, Value, sea_query::Expr,
};

use super::{
    details,
    entity::{Column, Entity, Model},
    fold::FOLD_VERSION,
    indexing::{self, INDEX_VERSION, Indexed},
    search,
};
use crate::{
    db::{Database, DbError, Tx},
    failure::Failure,
};

/// The index `record_stale` has these alone.
const STALE: &str = "fold_version = 0";

/// Records in a transaction.
const BATCH: u64 = 100;

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

async fn fold_batch(tx: &Tx, condition: &str, after: i64) -> Result<Vec<i64>, DbErr> {
    let which = Expr::cust(condition.to_owned());
    let batch = Entity::find().filter(which).filter(Column::Id.gt(after)).order_by_asc(Column::Id).limit(BATCH);
    let mut ids = Vec::new();
    for record in batch.all(tx).await? {
        fold(tx, &record).await?;
        ids.push(record.id);
    }
    Ok(ids)
}

async fn fold(tx: &Tx, record: &Model) -> Result<(), DbErr> {
    let details = details::read(tx, record.id).await?;
    let indexed = Indexed::new(record, &details, &indexing::places(tx, record.place_id).await?);
    search::index(tx, record.id, indexed.tokens.clone());
    let mut update = Entity::update_many().filter(Column::Id.eq(record.id));
    for (name, value) in indexed.columns() {
        update = update.col_expr(name, value);
    }
    update.col_expr(Column::TitleKey, indexed.title_key().into()).exec(tx).await?;
    // An older program may have changed who sees it.
    indexing::index_files(tx, record).await
}

async fn execute(tx: &Tx, sql: &str, values: Vec<Value>) -> Result<(), DbErr> {
    tx.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)).await?;
    Ok(())
}
