//! Which tags are there, and how are they renamed and removed?
//!
//! A tag is a word of the records that have it, and no more (`record_tag`); triggers count them for each scope (`tag_count`). So who renames one changes the records that they see:
//! each is changed as by any other change, with a version of its own. What others keep to themselves is not changed and not told
//! of, and neither are its tags.
//!
//! Records are changed in batches, so that a tag of thousands does not make all other writes wait. Killed between two, some records
//! have the new tag and some the old one; who asks for it again changes the rest.

use sea_orm::{
    ColumnTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, Select, Statement,
    sea_query::Expr,
};

use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller},
    db::{Abort, DirectReads, Tx},
    http::{FieldError, Problem},
    records::{
        details,
        draft::Draft,
        entity::{Column, Entity, Model, has_known_visibility},
        fold::{category_key, title_key},
        store::{self, Viewer},
    },
};

/// The tags of so many records are offered. Those that others keep to themselves cost nothing, whatever tags they have.
const RECENT: u64 = 300;

/// Records that are changed in one transaction.
const BATCH: u64 = 100;

/// A tag, as a viewer sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tag {
    pub(crate) name: String,
    /// Equal for two spellings of one tag.
    pub(crate) key: String,
    /// How many records that the viewer sees have it.
    pub(crate) records: u64,
}

/// Returns the tags of the records that the viewer sees and that changed last, in the order of their keys.
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

/// Returns the tags of all records that the viewer sees, in the order of the alphabet.
pub(crate) async fn list(reads: &DirectReads, viewer: Viewer) -> Result<Vec<Tag>, DbErr> {
    let tag = |row: &rusqlite::Row<'_>| Ok(Tag { key: row.get(0)?, name: row.get(1)?, records: row.get(2)? });
    let mut tags = reads.rows(&all(viewer), tag).await?;
    tags.sort_by_cached_key(|tag| (title_key(&tag.name), tag.key.clone()));
    Ok(tags)
}

/// Asks for all tags. They are counted by scope, so that nothing is read of what the viewer does not see.
fn all(viewer: Viewer) -> Statement {
    let sql = r#"
        SELECT "name_key", min("name"), sum("records") FROM "tag_count"
        WHERE "scope" IN (SELECT "value" FROM json_each(?)) GROUP BY "name_key""#;
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, [format!("{:?}", viewer.scopes()).into()])
}

/// Asks for records that the viewer sees and that have a tag, behind an id.
fn having(viewer: Viewer, key: &str, after: i64, most: u64) -> Select<Entity> {
    let scopes = format!("{:?}", viewer.scopes());
    Entity::find()
        .filter(Expr::cust_with_values(
            r#""record"."id" IN (SELECT "record_id" FROM "record_tag" WHERE "name_key" = ?)"#,
            [key],
        ))
        .filter(Expr::cust_with_values(r#""record"."scope" IN (SELECT "value" FROM json_each(?))"#, [scopes]))
        .filter(Column::Id.gt(after))
        .filter(has_known_visibility())
        .order_by_asc(Column::Id)
        .limit(most)
}

/// Returns up to 100 records that the viewer sees and that have a tag, behind an id.
pub(crate) async fn records_having(
    reads: &DirectReads,
    viewer: Viewer,
    tag: &str,
    after: i64,
) -> Result<Vec<Model>, DbErr> {
    reads.all(having(viewer, &category_key(tag), after, BATCH)).await
}

/// Reads through each query, for the self-test.
pub(crate) async fn self_test(reads: &DirectReads) -> Result<(), DbErr> {
    let viewer = Viewer::with_id(1);
    recent(reads, viewer).await?;
    let tags = list(reads, viewer).await?;
    let tag = tags.first().map_or("tag", |tag| &tag.name);
    records_having(reads, viewer, tag, i64::MIN).await.map(drop)
}

/// What became of the records that had a tag.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Changed {
    /// How many were changed.
    pub(crate) records: u64,
    /// Whether a record that the caller sees had the new tag before.
    pub(crate) merged: bool,
}

/// Returns a tag as it is kept, or what is wrong with it.
fn checked(name: &str) -> Result<String, Problem> {
    let draft = Draft { tags: Some(vec![name.to_owned()]), ..Draft::default() }.checked();
    match draft {
        Ok(draft) => Ok(draft.tags.unwrap_or_default().pop().unwrap_or_default()),
        Err(errors) => {
            Err(Problem::fields(errors.iter().map(|error| FieldError::new("name", error.message())).collect()))
        }
    }
}

/// Gives the records that the caller sees another tag in the place of this one; `None` when none of them has it.
pub(crate) async fn rename(
    database: &AuthorizedDatabase,
    caller: &Caller,
    tag: &str,
    name: &str,
) -> Result<Option<Changed>, Problem> {
    replace(database, caller, tag, Some(checked(name)?)).await
}

/// Takes a tag from the records that the caller sees; returns whether one had it.
pub(crate) async fn remove(database: &AuthorizedDatabase, caller: &Caller, tag: &str) -> Result<bool, Problem> {
    Ok(replace(database, caller, tag, None).await?.is_some())
}

async fn replace(
    database: &AuthorizedDatabase,
    caller: &Caller,
    tag: &str,
    new: Option<String>,
) -> Result<Option<Changed>, Problem> {
    let key = category_key(tag);
    let (mut changed, mut found, mut after) = (Changed::default(), false, i64::MIN);
    loop {
        let (key, new) = (key.clone(), new.clone());
        let batch = database
            .write(caller, async move |tx, caller| replace_batch(tx, caller, &key, new.as_deref(), after).await)
            .await?;
        changed.merged |= batch.merged;
        changed.records += batch.changed;
        let Some(last) = batch.last else { break };
        (found, after) = (true, last);
    }
    Ok(found.then_some(changed))
}

/// What a transaction did.
struct Batch {
    changed: u64,
    merged: bool,
    /// The last record that it looked at.
    last: Option<i64>,
}

async fn replace_batch(
    tx: &Tx,
    caller: &Caller,
    key: &str,
    new: Option<&str>,
    after: i64,
) -> Result<Batch, Abort<Problem>> {
    let viewer = Viewer::of(caller);
    let new_key = new.map(category_key);
    // Only before the first record is changed is it known what had the new tag.
    let merged = match &new_key {
        Some(new) if new != key && after == i64::MIN => !having(viewer, new, after, 1).all(tx).await?.is_empty(),
        _ => false,
    };
    let records = having(viewer, key, after, BATCH).all(tx).await?;
    let mut batch = Batch { changed: 0, merged, last: records.last().map(|record| record.id) };
    for record in records {
        let mut tags = details::read(tx, record.id).await?.tags;
        tags.retain(|tag| {
            let of_tag = category_key(tag);
            of_tag != key && Some(&of_tag) != new_key.as_ref()
        });
        tags.extend(new.map(str::to_owned));
        tags.sort_by_cached_key(|tag| category_key(tag));
        let version = record.version;
        let draft = Draft { tags: Some(tags), ..Draft::default() };
        let record = store::change(tx, caller, record, &draft).await?;
        batch.changed += u64::from(record.row.version != version);
    }
    Ok(batch)
}
