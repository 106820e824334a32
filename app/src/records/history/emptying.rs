//! When is what was deleted gone for good?
//!
//! After 30 days. The clock alone does not say when these are over: a Raspberry Pi has none that runs while it is off, so what it
//! deletes before the network tells it the time is half a century old a minute later; and a clock that shows 2099 for a moment
//! makes all of the trash old. So days are counted as well: the app looks through the trash at its start and every hour, and each
//! day on which it looked, whichever the clock says that is, counts once for each record. One goes when both say 30 days. A clock
//! that jumps and comes back counts two days more at most; one that is behind says that the 30 days are not over; and a day on
//! which Hearth did not run does not count. Nothing else has to be known of the clock.

use std::{sync::Arc, time::Duration};

use sea_orm::{
    ColumnTrait, Condition, DbErr, EntityTrait, ExprTrait, QueryFilter, QueryOrder, Select, sea_query::Expr,
};

use super::{
    content::Content,
    entity::trash::{Column, Entity},
    trash::{KEPT, erase_some, subject, version},
};
use crate::{
    auth::audit_log::{self, Actor, Kind},
    datetime::{Day, Timestamp},
    db::{Database, DbError, Tx},
};

/// How often the app looks through the trash: a day is not to be missed.
const EVERY: Duration = Duration::from_secs(3600);

/// On how many days the app has to have looked since.
const DAYS: i64 = 30;

/// Looks through the trash from now on. What fails is tried again an hour later.
pub(crate) async fn run(database: Arc<Database>) {
    loop {
        match look_through(&database, Timestamp::now()).await {
            Ok(0) => {}
            Ok(1) => tracing::info!("Emptied the trash: 1 record was deleted for good"),
            Ok(number) => tracing::info!("Emptied the trash: {number} records were deleted for good"),
            Err(DbError::Closed) => return,
            Err(error) => tracing::warn!("The trash could not be looked through: {error}"),
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Counts the day, and deletes for good what was in the trash for long enough; returns how many records that were.
pub(super) async fn look_through(database: &Database, now: Timestamp) -> Result<usize, DbError> {
    count_day(database, now).await?;
    let (mut after, mut number) = (i64::MIN, 0);
    loop {
        let next = due(now, after).one(database.reads()).await.map_err(|error| database.failed(error))?;
        let Some(row) = next else { return Ok(number) };
        after = row.record_id;
        // In small transactions, between which others may write, and somebody may put the record back.
        loop {
            let step = database.write_content(async move |tx| Ok(step(tx, now, row.record_id).await?)).await;
            match step.map_err(|error: DbError| error)? {
                Step::Some => {}
                Step::Last => {
                    number += 1;
                    break;
                }
                Step::NotDue => break,
            }
        }
    }
}

/// Writes down that the app looked on this day; and the time, of what an older program deleted.
async fn count_day(database: &Database, now: Timestamp) -> Result<(), DbError> {
    let today = now.day();
    // A look at a trash in which the day has been counted writes nothing.
    let left = uncounted(today).one(database.reads()).await.map_err(|error| database.failed(error))?;
    if left.is_none() {
        return Ok(());
    }
    database
        .write_content(async move |tx| {
            Entity::update_many()
                .col_expr(Column::DeletedAt, Expr::value(now))
                .filter(Column::DeletedAt.is_null())
                .exec(tx)
                .await?;
            Entity::update_many()
                .col_expr(Column::Days, Expr::col(Column::Days).add(Column::CountedOn.is_not_null()))
                .col_expr(Column::CountedOn, Expr::value(today))
                .filter(is_uncounted(today))
                .exec(tx)
                .await?;
            Ok(())
        })
        .await
}

/// What was deleted of a record.
enum Step {
    Some,
    Last,
    /// Nothing: somebody put it back.
    NotDue,
}

/// Deletes some of a record, if it is still in the trash for long enough.
async fn step(tx: &Tx, now: Timestamp, record_id: i64) -> Result<Step, DbErr> {
    let Some(row) = is_due(now, record_id).one(tx).await? else { return Ok(Step::NotDue) };
    let kept = version(row.version_id).one(tx).await?;
    if !erase_some(tx, record_id, row.version_id).await? {
        return Ok(Step::Some);
    }
    let content = kept.and_then(|kept| Content::parse(&kept.content).ok());
    let subject = subject(record_id, row.scope, content.as_ref().map(|content| &*content.title));
    audit_log::write(tx, Kind::RecordErased, &Actor::app(), &subject).await?;
    Ok(Step::Last)
}

/// Begins to count anew, in a database that comes from a backup: what was deleted before that was made may be wanted again.
pub(crate) async fn begin_anew(tx: &Tx) -> Result<(), DbErr> {
    Entity::update_many()
        .col_expr(Column::DeletedAt, Expr::value(Timestamp::now()))
        .col_expr(Column::Days, Expr::value(0))
        .col_expr(Column::CountedOn, Expr::value(Option::<Day>::None))
        .exec(tx)
        .await
        .map(drop)
}

/// The next record that has been in the trash for long enough.
pub(super) fn due(now: Timestamp, after: i64) -> Select<Entity> {
    all_due(now).filter(Column::RecordId.gt(after)).order_by_asc(Column::RecordId)
}

/// The record with this id, if it has been in the trash for long enough.
pub(super) fn is_due(now: Timestamp, record_id: i64) -> Select<Entity> {
    all_due(now).filter(Column::RecordId.eq(record_id))
}

fn all_due(now: Timestamp) -> Select<Entity> {
    Entity::find().filter(Column::Days.gte(DAYS)).filter(Column::DeletedAt.lte(now.before(KEPT)))
}

pub(super) fn uncounted(today: Day) -> Select<Entity> {
    Entity::find().filter(is_uncounted(today))
}

fn is_uncounted(today: Day) -> Condition {
    Condition::any().add(Column::CountedOn.is_null()).add(Column::CountedOn.ne(today))
}
