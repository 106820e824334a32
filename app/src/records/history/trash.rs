//! What was deleted, and may still be put back?
//!
//! A trigger moves what is deleted to the trash, whichever program deletes it (`m0004_binder`): the record is a version then, to
//! which a row of `trash` refers. It comes back under its old id, and so do its attachments. Who saw a record sees it in the
//! trash, but for guests, who see no trash.

use data_encoding::BASE64URL_NOPAD;
use poem::http::StatusCode;
use sea_orm::{
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, Select, Statement, Value, sea_query::Expr,
};
use time::Duration;

use super::{
    content::Content,
    entity::{record_version, trash, version_file},
    restore::{self, Restored},
    scopes,
};
use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        authority::AuthorizedDatabase,
        caller::Caller,
    },
    datetime::Timestamp,
    db::{DirectReads, Tx},
    http::{FieldError, Precondition, Problem},
    records::{
        details::Details,
        draft::Draft,
        entity::{Entity, HOUSEHOLD, Model, Visibility},
        finality,
        store::{self, Record, Viewer},
    },
};

/// How long what was deleted is kept at least.
pub(crate) const KEPT: Duration = Duration::days(30);

/// A record in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trashed {
    pub(crate) id: i64,
    pub(crate) title: String,
    pub(crate) is_private: bool,
    /// When it was deleted; absent for what an older program deleted, until the app looks through the trash.
    pub(crate) at: Option<Timestamp>,
    /// Who deleted it, where that is known.
    pub(crate) by: Option<i64>,
}

impl Trashed {
    /// Returns until when it is kept at least.
    pub(crate) fn kept_until(&self) -> Option<Timestamp> {
        self.at.map(|at| at.after(KEPT))
    }
}

/// A page of the trash, what was deleted last first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) records: Vec<Trashed>,
    /// Where the next page begins, when there is one.
    pub(crate) next: Option<Cursor>,
}

/// The place behind a record of the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    at: String,
    id: i64,
}

/// What has no time yet was deleted last.
const NO_TIME_YET: &str = "9999";

impl Cursor {
    fn behind(record: &Trashed) -> Self {
        Self { at: record.at.map_or_else(|| NO_TIME_YET.to_owned(), |at| at.to_string()), id: record.id }
    }

    /// Returns it as text.
    pub(crate) fn to_text(&self) -> String {
        BASE64URL_NOPAD.encode(format!("t{}.{}", self.id, self.at).as_bytes())
    }

    /// Returns the place that a text stands for.
    pub(crate) fn parse(text: &str) -> Result<Self, Problem> {
        let unknown = || Problem::fields(vec![FieldError::new("after", "is not a `next` of this list")]);
        Self::decode(text).ok_or_else(unknown)
    }

    fn decode(text: &str) -> Option<Self> {
        let text = String::from_utf8(BASE64URL_NOPAD.decode(text.as_bytes()).ok()?).ok()?;
        let (id, at) = text.strip_prefix('t')?.split_once('.')?;
        let is_time = at == NO_TIME_YET || at.parse::<Timestamp>().is_ok();
        Some(Self { at: at.to_owned(), id: id.parse().ok()? }).filter(|_| is_time)
    }
}

/// Reads the contents of one page alone, however much there is in the trash.
const PAGE: &str = r#"SELECT "found"."record_id", "content" ->> 'title', "content" ->> 'visibility', "deleted_at", "deleted_by"
FROM (
    SELECT * FROM "trash"
    WHERE "scope" IN (SELECT "value" FROM json_each(?)) AND (ifnull("deleted_at", '9999'), "record_id") < (?, ?)
    ORDER BY ifnull("deleted_at", '9999') DESC, "record_id" DESC LIMIT ?
) AS "found" JOIN "record_version" ON "record_version"."id" = "version_id"
ORDER BY ifnull("deleted_at", '9999') DESC, "found"."record_id" DESC"#;

/// Returns a page of what the viewer sees in the trash.
pub(crate) async fn list(
    reads: &DirectReads,
    viewer: Viewer,
    after: Option<&Cursor>,
    limit: u64,
) -> Result<Page, DbErr> {
    let (at, id) = after.map_or((NO_TIME_YET, i64::MAX), |after| (&*after.at, after.id));
    // One more than there is room for tells whether there is a next page.
    let values: [Value; 4] = [scopes(viewer).into(), at.into(), id.into(), (limit + 1).into()];
    let mut found = rows(reads, PAGE, values).await?;
    let more = found.len() as u64 > limit;
    if more {
        found.pop();
    }
    let next = found.last().filter(|_| more).map(|(record, _)| Cursor::behind(record));
    Ok(Page { next, records: found.into_iter().filter_map(shown).collect() })
}

const ONE: &str = r#"SELECT "trash"."record_id", "content" ->> 'title', "content" ->> 'visibility', "deleted_at", "deleted_by"
FROM "trash" JOIN "record_version" ON "record_version"."id" = "version_id"
WHERE "trash"."record_id" = ? AND "scope" IN (SELECT "value" FROM json_each(?))"#;

/// Returns the record with this id, if the viewer sees it in the trash.
pub(crate) async fn find(reads: &DirectReads, viewer: Viewer, id: i64) -> Result<Option<Trashed>, DbErr> {
    Ok(rows(reads, ONE, [id.into(), scopes(viewer).into()]).await?.pop().and_then(shown))
}

/// What only a newer version knows who may see is shown to nobody.
fn shown((record, is_known): (Trashed, bool)) -> Option<Trashed> {
    is_known.then_some(record)
}

/// Reads records of the trash, and of each whether this version knows who may see it.
async fn rows<const N: usize>(
    reads: &DirectReads,
    sql: &str,
    values: [Value; N],
) -> Result<Vec<(Trashed, bool)>, DbErr> {
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, values);
    let read = |row: &rusqlite::Row<'_>| {
        let (visibility, at): (String, Option<String>) = (row.get(2)?, row.get(3)?);
        let is_private = visibility != Visibility::Household.name();
        let is_known = !is_private || visibility == Visibility::Private.name();
        Ok((Trashed { id: row.get(0)?, title: row.get(1)?, is_private, at: None, by: row.get(4)? }, is_known, at))
    };
    let found = reads.rows(&statement, read).await?.into_iter().map(|(record, is_known, at)| {
        let at = at.map(|at| at.parse()).transpose();
        let at = at.map_err(|error| DbErr::Type(format!("the time of a deletion: {error}")))?;
        Ok((Trashed { at, ..record }, is_known))
    });
    found.collect()
}

/// Moves a record to the trash; returns whether there was one that the caller sees.
pub(crate) async fn delete(
    database: &AuthorizedDatabase,
    caller: &Caller,
    id: i64,
    precondition: Precondition,
) -> Result<bool, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let Some(record) = store::get_for_change(tx, caller, id, &precondition).await? else { return Ok(false) };
            store::remove(tx, id).await?;
            trash::Entity::update_many()
                .col_expr(trash::Column::DeletedAt, Expr::value(Timestamp::now()))
                .col_expr(trash::Column::DeletedBy, Expr::value(caller.user.id))
                .filter(trash::Column::RecordId.eq(id))
                .exec(tx)
                .await?;
            let subject = subject(id, record.scope(), Some(&record.title));
            audit_log::write(tx, Kind::RecordDeleted, &Actor::caller(caller), &subject).await?;
            Ok(true)
        })
        .await
}

/// Puts a record back under its old id; `None` when the caller sees none with this id in the trash.
pub(crate) async fn put_back(
    database: &AuthorizedDatabase,
    caller: &Caller,
    id: i64,
) -> Result<Option<Restored>, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let Some(row) = by_id(Viewer::of(caller), id).one(tx).await? else { return Ok(None) };
            let Some(version) = version(row.version_id).one(tx).await? else { return Ok(None) };
            // Ids are never given again, but somebody may have written into the database by hand.
            if in_its_place(id).one(tx).await?.is_some() {
                return Err(in_the_way(id).into());
            }
            let content = Content::parse(&version.content)?;
            if !content.has_known_visibility {
                return Ok(None);
            }
            let mut left_out = Vec::new();
            let place_id = restore::place_that_is_left(tx, &content, &mut left_out).await?;
            let said = Draft { place_id: Some(place_id), ..restore::as_draft(&content) };
            let record = Model {
                id,
                created_at: content.created_at,
                owner_id: content.owner_id,
                version: version.version + 1,
                changed_by: Some(caller.user.id),
                changed_version: Some(version.version + 1),
                ..said.applied(&Model::new(None))
            };
            let details = Details { fields: content.fields.clone(), tags: content.tags.clone() };
            trash::Entity::delete_by_id(id).exec(tx).await?;
            let record = store::put_back(tx, record, &details).await?;
            let subject = subject(id, row.scope, Some(&content.title));
            let missing = restore::missing_attachments(tx, id, content.attachments, &mut left_out).await?;
            if !missing.is_empty() {
                restore::put_attachments_back(tx, &record, missing).await?;
            }
            audit_log::write(tx, Kind::RecordPutBack, &Actor::caller(caller), &subject).await?;
            Ok(Some(Restored { record: Record { row: record, details }, left_out }))
        })
        .await
}

/// The refusal of a record that is not in the trash.
pub(crate) fn not_in_the_trash(id: i64) -> Problem {
    Problem::not_found(format!("There is no record with the id {id} in the trash."))
}

fn in_the_way(id: i64) -> Problem {
    Problem::new(StatusCode::CONFLICT)
        .detail(format!("There is another record with the id {id}. The deleted one stays in the trash."))
}

/// Deletes a record of the trash for good; returns whether the caller sees one with this id there.
pub(crate) async fn erase(database: &AuthorizedDatabase, caller: &Caller, id: i64) -> Result<bool, Problem> {
    finality::check("Records")?;
    database
        .write(caller, async move |tx, caller| {
            let Some(row) = by_id(Viewer::of(caller), id).one(tx).await? else { return Ok(false) };
            let Some(version) = version(row.version_id).one(tx).await? else { return Ok(false) };
            let content = Content::parse(&version.content).ok();
            if content.as_ref().is_some_and(|content| !content.has_known_visibility) {
                return Ok(false);
            }
            let subject = subject(id, row.scope, content.as_ref().map(|content| &*content.title));
            while !erase_some(tx, id, row.version_id).await? {}
            audit_log::write(tx, Kind::RecordErased, &Actor::caller(caller), &subject).await?;
            Ok(true)
        })
        .await
}

/// Versions that go in one step: each may be as long as the longest notes.
const VERSIONS_AT_ONCE: u64 = 100;

/// Deletes some of the versions of a record of the trash, and with the last of them the record from the trash; returns whether
/// that was so. Until then it can be put back, with fewer versions.
pub(super) async fn erase_some(tx: &Tx, record_id: i64, last: i64) -> Result<bool, DbErr> {
    let ids: Vec<i64> = {
        let rows = tx.query_all_raw(versions_but(record_id, last)).await?;
        rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<_, _>>()?
    };
    let is_last = ids.is_empty();
    if is_last {
        trash::Entity::delete_by_id(record_id).exec(tx).await?;
    }
    for id in if is_last { vec![last] } else { ids } {
        version_file::Entity::delete_many().filter(version_file::Column::VersionId.eq(id)).exec(tx).await?;
        record_version::Entity::delete_by_id(id).exec(tx).await?;
    }
    Ok(is_last)
}

/// What the audit log calls a record: what is private is named to nobody else.
pub(super) fn subject(id: i64, scope: i64, title: Option<&str>) -> String {
    match (scope, title) {
        (HOUSEHOLD, Some(title)) => format!("record {id} “{title}”"),
        (HOUSEHOLD, None) => format!("record {id}"),
        _ => format!("record {id}, seen by its owner only"),
    }
}

pub(super) fn by_id(viewer: Viewer, id: i64) -> Select<trash::Entity> {
    let scope = Expr::cust_with_values(r#""scope" IN (SELECT "value" FROM json_each(?))"#, [scopes(viewer)]);
    trash::Entity::find_by_id(id).filter(scope)
}

pub(super) fn version(id: i64) -> Select<record_version::Entity> {
    record_version::Entity::find_by_id(id)
}

/// Some of the versions of a record, but for the last.
pub(super) fn versions_but(record_id: i64, last: i64) -> Statement {
    let sql = r#"SELECT "id" FROM "record_version" WHERE "record_id" = ? AND "id" <> ? ORDER BY "id" LIMIT ?"#;
    let values: [Value; 3] = [record_id.into(), last.into(), VERSIONS_AT_ONCE.into()];
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}

/// A record with this id, whoever sees it.
pub(super) fn in_its_place(id: i64) -> Select<Entity> {
    Entity::find_by_id(id)
}
