//! How does the sample get into a binder, and out of it?
//!
//! It is loaded in one transaction: all of it, or nothing. It is removed record by record, through the trash; killed between two,
//! the rest is there with its tag, and is removed by the next try.

use sea_orm::{DbErr, EntityTrait, QueryFilter, QuerySelect, Select, sea_query::Expr};

use super::{TAG, content::SAMPLE};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller},
    datetime::Timestamp,
    db::DirectReads,
    http::{Precondition, Problem},
    records::{
        details::Details,
        entity::{Entity, Model, has_known_visibility},
        fold::category_key,
        history::trash,
        places,
        store::{self, Viewer},
        tags,
    },
};

/// What may be done with the sample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The user sees no record.
    Empty,
    /// So many records have its tag.
    Loaded(u64),
    /// There are other records.
    Used,
}

/// Returns what may be done with the sample.
pub(crate) async fn state(reads: &DirectReads, viewer: Viewer) -> Result<State, DbErr> {
    if reads.one(any(viewer)).await?.is_none() {
        return Ok(State::Empty);
    }
    let tags = tags::store::list(reads, viewer).await?;
    let tag = tags.into_iter().find(|tag| tag.key == category_key(TAG));
    Ok(tag.map_or(State::Used, |tag| State::Loaded(tag.records)))
}

/// Asks for a record that the viewer sees, whichever.
fn any(viewer: Viewer) -> Select<Entity> {
    let scopes = format!("{:?}", viewer.scopes());
    let is_seen = r#""record"."scope" IN (SELECT "value" FROM json_each(?))"#;
    Entity::find().filter(Expr::cust_with_values(is_seen, [scopes])).filter(has_known_visibility()).limit(1)
}

/// Loads the sample, where the caller sees no record yet.
pub(crate) async fn load(database: &AuthorizedDatabase, caller: &Caller) -> Result<(), Problem> {
    let now = Timestamp::now();
    database
        .write(caller, async move |tx, caller| {
            if any(Viewer::of(caller)).one(tx).await?.is_some() {
                let why = "The sample is for an empty binder, and there are records in this one. Nothing was added.";
                return Err(Problem::conflict(why).into());
            }
            for sample in SAMPLE {
                let mut place = None;
                for name in sample.place {
                    place = Some(places::store::find_or_add(tx, name, place).await?.id);
                }
                let draft = sample.draft(now, place);
                let row = draft.applied(&Model::new(Some(caller.user.id)));
                store::put_back(tx, row, &draft.details(&Details::default())).await?;
            }
            Ok(())
        })
        .await
}

/// Moves all records that have the sample's tag to the trash, and deletes the places of the sample that are empty then.
pub(crate) async fn remove(database: &AuthorizedDatabase, caller: &Caller) -> Result<(), Problem> {
    let (reads, viewer) = (database.reads(), Viewer::of(caller));
    let failed = |error| Problem::from(database.failed(error));
    let mut after = i64::MIN;
    loop {
        let records = tags::store::records_having(reads, viewer, TAG, after).await.map_err(failed)?;
        let Some(last) = records.last().map(|record| record.id) else { break };
        after = last;
        for record in records {
            trash::delete(database, caller, record.id, Precondition::Any).await?;
        }
    }
    // From the innermost on: each leaves the one around it empty.
    let tree = places::store::tree(reads).await.map_err(failed)?;
    let mut places: Vec<_> = tree.in_order().into_iter().map(|(depth, place)| (depth, place.id)).collect();
    places.sort_by_key(|(depth, _)| std::cmp::Reverse(*depth));
    for (_, id) in places {
        let way: Vec<_> = tree.way(id).iter().map(|place| place.name.as_str()).collect();
        if SAMPLE.iter().any(|sample| sample.place.starts_with(&way)) {
            match places::store::delete(database, caller, id).await {
                // What has something in it stays.
                Err(problem) if !problem.status().is_client_error() => return Err(problem),
                _ => {}
            }
        }
    }
    Ok(())
}
