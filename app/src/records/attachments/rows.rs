//! Which attachments does a record have, and how do these change?
//!
//! An attachment is seen by who sees its record; guests see those alone of records that say so. Each change of them is a change of
//! the record, which keeps the version before.

use std::collections::HashMap;

use poem::http::StatusCode;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select, Statement,
    sea_query::{Expr, OnConflict},
};

use super::{
    content_store::{ContentStore, Found},
    entity::{
        attachment::{self, Role},
        file,
    },
    name, text,
};
use crate::{
    auth::{
        authority::AuthorizedDatabase,
        caller::Caller,
        idempotency::{self, Once},
    },
    config,
    datetime::Timestamp,
    db::{Abort, Database, DirectReads, Tx, difference},
    fault,
    http::{Code, Precondition, Problem},
    records::{
        entity::Model as Record,
        indexing::index_files,
        store::{self, Viewer},
    },
};

/// As many attachments as one record may have: a page shows all of them.
pub(in crate::records) const MOST: usize = 1000;

/// An attachment, with what is known of its file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attached {
    pub(crate) attachment: attachment::Model,
    pub(crate) bytes: u64,
    pub(crate) media_type: String,
}

/// An attachment to add, whose file is in the store.
#[derive(Debug, Clone)]
pub(super) struct NewAttachment {
    pub(super) record_id: i64,
    pub(super) hash: String,
    pub(super) bytes: u64,
    pub(super) media_type: &'static str,
    pub(super) name: String,
    pub(super) role: Role,
}

impl NewAttachment {
    /// Whether there is nothing to read in it: only PDFs are read.
    pub(super) fn has_no_text(&self) -> bool {
        self.media_type != "application/pdf"
    }
}

/// What is to be changed of an attachment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    pub(crate) role: Option<Role>,
    /// Behind how many others it comes.
    pub(crate) position: Option<u64>,
}

/// What a write made, and the version of the record then.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) attached: Attached,
    pub(crate) record_version: i64,
}

/// Returns the attachments of a record in their order; none where the viewer sees none.
pub(crate) async fn list(reads: &DirectReads, viewer: Viewer, record_id: i64) -> Result<Option<Vec<Attached>>, DbErr> {
    let Some(record) = store::find(reads, viewer, record_id).await? else { return Ok(None) };
    if !sees_attachments(viewer, &record) {
        return Ok(Some(Vec::new()));
    }
    with_files(reads, reads.all(of_record(record_id)).await?).await.map(Some)
}

/// Returns an attachment that the viewer sees.
pub(crate) async fn find(reads: &DirectReads, viewer: Viewer, id: i64) -> Result<Option<Attached>, DbErr> {
    let Some(found) = reads.one(attachment::Entity::find_by_id(id)).await? else { return Ok(None) };
    match store::find(reads, viewer, found.record_id).await? {
        Some(record) if sees_attachments(viewer, &record) => Ok(with_files(reads, vec![found]).await?.pop()),
        _ => Ok(None),
    }
}

/// Returns the attachments of these records, each record's in their order.
pub(in crate::records) async fn of_records(
    reads: &DirectReads,
    ids: &[i64],
) -> Result<HashMap<i64, Vec<Attached>>, DbErr> {
    use attachment::Column::{Id, Position, RecordId};
    let these = Expr::cust_with_values(
        r#""record_id" IN (SELECT "value" FROM json_each(?))"#,
        [serde_json::json!(ids).to_string()],
    );
    let all = attachment::Entity::find().filter(these).order_by_asc(RecordId).order_by_asc(Position).order_by_asc(Id);
    let mut found: HashMap<i64, Vec<Attached>> = HashMap::new();
    for attached in with_files(reads, reads.all(all).await?).await? {
        found.entry(attached.attachment.record_id).or_default().push(attached);
    }
    Ok(found)
}

/// Whether the file of an attachment is there, and as long as it is to be.
pub(in crate::records) fn is_resolved(store: &ContentStore, attached: &Attached) -> bool {
    let found = store.look(&attached.attachment.hash);
    found.is_ok_and(|found| found == Found::File(attached.bytes))
}

/// A photograph of a record.
#[derive(Debug, Clone)]
pub(super) struct Photo {
    pub(super) record_id: i64,
    pub(super) id: i64,
    pub(super) hash: String,
    pub(super) media_type: String,
}

/// Returns the photographs of these records, each record's in their order.
pub(super) async fn photos(reads: &DirectReads, viewer: Viewer, records: &[Record]) -> Result<Vec<Photo>, DbErr> {
    let ids: Vec<_> =
        records.iter().filter(|record| sees_attachments(viewer, record)).map(|record| record.id).collect();
    let sql = r#"
        SELECT "record_id", "id", "attachment"."hash", "media_type"
        FROM "attachment" JOIN "file" ON "file"."hash" = "attachment"."hash"
        WHERE "record_id" IN (SELECT "value" FROM json_each(?)) AND "role" = 'photo' AND "media_type" LIKE 'image/%'
        ORDER BY "record_id", "position", "id""#;
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, sql, [serde_json::json!(ids).to_string().into()]);
    reads
        .rows(&statement, |row| {
            Ok(Photo { record_id: row.get(0)?, id: row.get(1)?, hash: row.get(2)?, media_type: row.get(3)? })
        })
        .await
}

async fn with_files(reads: &DirectReads, mut found: Vec<attachment::Model>) -> Result<Vec<Attached>, DbErr> {
    if fault::is_planned("app.loses") {
        let oldest = Statement::from_string(DbBackend::Sqlite, r#"SELECT min("id") FROM "attachment""#);
        let oldest: Option<i64> = reads.rows(&oldest, |row| row.get(0)).await?.pop().flatten();
        found.retain(|attachment| Some(attachment.id) != oldest);
    }
    let hashes: Vec<_> = found.iter().map(|one| one.hash.as_str()).collect();
    let details = details(&hashes);
    let known = reads.rows(&details, |row| Ok((row.get::<_, String>(0)?, (row.get(1)?, row.get(2)?)))).await?;
    let files: HashMap<_, _> = known.into_iter().collect();
    let attached = found.into_iter().filter_map(|attachment| {
        let (bytes, media_type): (i64, String) = files.get(&attachment.hash).cloned()?;
        Some(Attached { bytes: u64::try_from(bytes).unwrap_or_default(), media_type, attachment })
    });
    Ok(attached.collect())
}

/// What is known of files, without their texts. The hashes are one value, so that the statement is the same for any number.
fn details(hashes: &[&str]) -> Statement {
    use file::Column::{Bytes, Hash, MediaType};
    let hashes = serde_json::json!(hashes).to_string();
    let of_these = Expr::cust_with_values(r#""hash" IN (SELECT "value" FROM json_each(?))"#, [hashes]);
    file::Entity::find().select_only().columns([Hash, Bytes, MediaType]).filter(of_these).build(DbBackend::Sqlite)
}

fn of_record(record_id: i64) -> Select<attachment::Entity> {
    use attachment::Column::{Id, Position, RecordId};
    attachment::Entity::find().filter(RecordId.eq(record_id)).order_by_asc(Position).order_by_asc(Id)
}

/// Reads through each query of the attachments.
pub(in crate::records) async fn self_test(database: &Database) -> Result<(), DbErr> {
    let reads = database.direct();
    text::next_unread(database.reads(), "").await?;
    reads.all(text::having("")).await?;
    let some = reads.all(attachment::Entity::find().limit(10)).await?;
    let (id, record_id) = some.first().map_or((1, 1), |one| (one.id, one.record_id));
    with_files(reads, some).await?;
    reads.all(of_record(record_id)).await?;
    reads.one(attachment::Entity::find_by_id(id)).await?;
    photos(reads, Viewer::with_id(1), &[]).await?;
    used(reads).await.map(drop)
}

/// Adds an attachment, once for each `once`; where it was added before, returns it as it is. `None`: there is no such record.
pub(super) async fn add(
    database: &AuthorizedDatabase,
    caller: &Caller,
    new: NewAttachment,
    once: Option<Once>,
    precondition: Precondition,
    limits: config::Attachments,
) -> Result<Option<Written>, Problem> {
    database
        .write(caller, async move |tx, caller| {
            if let Some(id) = idempotency::earlier(tx, caller, once.as_ref()).await? {
                return Ok(Some(get(tx, Viewer::of(caller), id).await?.ok_or_else(|| deleted_since(id))?));
            }
            check_quota(tx, limits, new.bytes).await?;
            let Some(record) = begin_change(tx, caller, new.record_id, &precondition).await? else { return Ok(None) };
            let others = of_record(new.record_id).all(tx).await?;
            if others.len() >= MOST {
                return Err(Problem::conflict(format!("The record has {MOST} attachments, which is the most.")).into());
            }
            let bytes = i64::try_from(new.bytes).map_err(|error| DbErr::Custom(error.to_string()))?;
            let row = file::ActiveModel {
                hash: Set(new.hash.clone()),
                bytes: Set(bytes),
                media_type: Set(new.media_type.to_owned()),
                text: new.has_no_text().then(|| Some(String::new())).map_or(NotSet, Set),
            };
            let known = OnConflict::column(file::Column::Hash).do_nothing().to_owned();
            file::Entity::insert(row).on_conflict(known).exec_without_returning(tx).await?;
            let row = attachment::ActiveModel {
                id: NotSet,
                record_id: Set(new.record_id),
                hash: Set(new.hash.clone()),
                name: Set(new.name.clone()),
                role: Set(new.role),
                position: Set(others.last().map_or(0, |last| last.position + 1)),
                added_by: Set(Some(caller.user.id)),
                added_at: Set(Timestamp::now()),
            };
            let added = attachment::Entity::insert(row).exec_with_returning(tx).await?;
            idempotency::keep(tx, caller, once.as_ref(), added.id).await?;
            index_files(tx, record.id, record.scope()).await?;
            let written = get(tx, Viewer::of(caller), added.id).await?;
            Ok(written)
        })
        .await
}

/// The refusal to add again what was added and deleted.
fn deleted_since(id: i64) -> Problem {
    Problem::new(StatusCode::GONE).detail(format!(
        "An earlier request of the same kind added the attachment {id}, which was deleted since. Nothing was added."
    ))
}

/// Changes an attachment. `None`: there is none that the caller sees.
pub(crate) async fn change(
    database: &AuthorizedDatabase,
    caller: &Caller,
    id: i64,
    change: Change,
    precondition: Precondition,
) -> Result<Option<Written>, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let viewer = Viewer::of(caller);
            let Some(written) = get(tx, viewer, id).await? else { return Ok(None) };
            precondition.check(written.record_version)?;
            let before = written.attached.attachment.clone();
            let mut all = of_record(before.record_id).all(tx).await?;
            let from = all.iter().position(|one| one.id == id).unwrap_or_default();
            let to = change.position.map_or(from, |to| usize::try_from(to).unwrap_or(usize::MAX).min(all.len() - 1));
            let renamed = attachment::Model {
                name: change.name.as_deref().map_or_else(|| before.name.clone(), name::cleaned),
                role: change.role.unwrap_or(before.role),
                ..before.clone()
            };
            if renamed == before && to == from {
                return Ok(Some(written));
            }
            let Some(record) = begin_change(tx, caller, before.record_id, &precondition).await? else {
                return Ok(None);
            };
            all.remove(from);
            all.insert(to, renamed);
            for (position, now) in (0..).zip(all) {
                let was = if now.id == id { before.clone() } else { now.clone() };
                let now = attachment::Model { position, ..now };
                if now != was {
                    let id = now.id;
                    let update = attachment::Entity::update_many().filter(attachment::Column::Id.eq(id));
                    update.set(difference::<_, attachment::ActiveModel>(was, now)).exec(tx).await?;
                }
            }
            index_files(tx, record.id, record.scope()).await?;
            Ok(get(tx, viewer, id).await?)
        })
        .await
}

/// Removes an attachment from its record; its file and the versions of the record that had it stay. Returns whether there was
/// one that the caller sees.
pub(crate) async fn remove(
    database: &AuthorizedDatabase,
    caller: &Caller,
    id: i64,
    precondition: Precondition,
) -> Result<bool, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let Some(written) = get(tx, Viewer::of(caller), id).await? else { return Ok(false) };
            let record_id = written.attached.attachment.record_id;
            let Some(record) = begin_change(tx, caller, record_id, &precondition).await? else { return Ok(false) };
            attachment::Entity::delete_by_id(id).exec(tx).await?;
            index_files(tx, record.id, record.scope()).await?;
            Ok(true)
        })
        .await
}

/// Whether there is such an attachment of a record that the caller may change.
pub(super) async fn may_change(database: &AuthorizedDatabase, caller: &Caller, id: i64) -> Result<bool, Problem> {
    database.write(caller, async move |tx, caller| Ok(get(tx, Viewer::of(caller), id).await?.is_some())).await
}

/// Returns an attachment that the viewer sees, within a transaction.
async fn get(tx: &Tx, viewer: Viewer, id: i64) -> Result<Option<Written>, DbErr> {
    let Some(attachment) = attachment::Entity::find_by_id(id).one(tx).await? else { return Ok(None) };
    let record = match store::get(tx, viewer, attachment.record_id).await? {
        Some(record) if sees_attachments(viewer, &record) => record,
        _ => return Ok(None),
    };
    let Some(row) = tx.query_one_raw(details(&[&attachment.hash])).await? else { return Ok(None) };
    let bytes = u64::try_from(row.try_get_by_index::<i64>(1)?).unwrap_or_default();
    let attached = Attached { attachment, bytes, media_type: row.try_get_by_index(2)? };
    Ok(Some(Written { attached, record_version: record.version }))
}

/// Begins a change of a record, before any row of its attachments is touched. `None`: there is none that the caller sees.
async fn begin_change(
    tx: &Tx,
    caller: &Caller,
    record_id: i64,
    precondition: &Precondition,
) -> Result<Option<Record>, Abort<Problem>> {
    match store::get_for_change(tx, caller, record_id, precondition).await? {
        Some(record) => Ok(Some(store::begin_change(tx, caller, &record).await?)),
        None => Ok(None),
    }
}

/// Whether they see the attachments of a record that they see.
fn sees_attachments(viewer: Viewer, record: &Record) -> bool {
    !viewer.is_guest() || record.guests_see_attachments
}

/// Returns how many bytes all attachments have, each as often as it is attached.
pub(super) async fn used(reads: &DirectReads) -> Result<u64, DbErr> {
    let rows = reads.rows(&sum(), |row| row.get::<_, i64>(0)).await?;
    Ok(rows.first().and_then(|bytes| u64::try_from(*bytes).ok()).unwrap_or_default())
}

fn sum() -> Statement {
    // An attachment's row does not say how long its file is.
    let sql = "SELECT coalesce(sum(bytes), 0) FROM attachment JOIN file ON file.hash = attachment.hash";
    Statement::from_string(DbBackend::Sqlite, sql)
}

/// Refuses more bytes than the quota has left, within a transaction.
pub(in crate::records) async fn check_quota(
    tx: &Tx,
    limits: config::Attachments,
    more: u64,
) -> Result<(), Abort<Problem>> {
    if limits.quota.is_none() {
        return Ok(());
    }
    let used: i64 = tx.query_one_raw(sum()).await?.map_or(Ok(0), |row| row.try_get_by_index(0))?;
    Ok(has_quota(limits, u64::try_from(used).unwrap_or_default(), more)?)
}

/// Refuses more bytes than the quota has left.
pub(super) fn has_quota(limits: config::Attachments, used: u64, more: u64) -> Result<(), Problem> {
    match limits.quota {
        Some(quota) if used.saturating_add(more) > quota => Err(Problem::new(StatusCode::INSUFFICIENT_STORAGE)
            .code(Code::QuotaExceeded)
            .detail(format!(
                "The attachments of this Hearth may have {} together (attachments.quota), and {} are in use. A file of {} does \
                 not fit. Nothing was added.",
                config::in_words(quota),
                config::in_words(used),
                config::in_words(more)
            ))),
        _ => Ok(()),
    }
}
