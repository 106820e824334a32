//! The records in the API.
//!
//! A change is a PATCH, not a PUT: a client made for an older release would, by replacing the whole record, wipe
//! the fields that it does not know yet.

use poem::{http::StatusCode, web::Data};
use poem_openapi::{
    ApiResponse, Object, OpenApi, Tags,
    param::{Header, Path, Query},
    payload::Json,
    types::MaybeUndefined,
};

use super::{
    changes,
    draft::{CATEGORY_MAX, Change, Draft, NOTES_MAX, TITLE_MAX},
    entity::{Model, Visibility},
    listing::{Listing, Order, Place},
    page_query,
    search::Search,
    store::{self, Viewer},
};
use crate::{
    auth::{acting::AuthorizedDatabase, caller::Caller},
    http::{
        Done, FieldError, Found, Given, Limit, Listed, Precondition, Problem, ReadRefused, SyncRefused, Text,
        WriteRefused, entity_tag, has_already,
    },
    when::{Day, Moment},
};

/// The operations on records.
pub(crate) struct RecordsApi;

#[derive(Tags)]
enum Tag {
    /// What the household keeps: a title, what belongs to it, and when something is due.
    Records,
}

/// A record of the binder.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Record", skip_serializing_if_is_none)]
struct RecordBody {
    /// Given by Hearth; never used twice.
    id: i64,
    /// What it is.
    title: Text<1, TITLE_MAX>,
    /// What it belongs to; may be empty.
    category: Text<0, CATEGORY_MAX>,
    /// Anything else; may be empty.
    notes: Text<0, NOTES_MAX>,
    /// When something is to be done; absent when never.
    due_date: Option<Day>,
    /// When it was added.
    created_at: Moment,
    /// When it was changed last.
    updated_at: Moment,
    /// Who added it, by their number; absent for records from before accounts.
    owner_id: Option<i64>,
    visibility: Visibility,
    /// Counts its changes, from 1 on. In quotation marks it is the record's `ETag`.
    version: i64,
}

/// A record that changed.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct SyncedRecord {
    /// The record's id.
    id: i64,
    /// Whether it is gone: deleted, or private to somebody else now.
    gone: bool,
    record: Option<RecordBody>,
}

/// Records that changed, in the order of their last changes.
#[derive(Debug, Object)]
struct RecordChanges {
    /// Each as it is now.
    items: Vec<SyncedRecord>,
    /// Give it as `after` the next time.
    cursor: String,
    /// Whether there are more behind these.
    has_more: bool,
}

/// A record to be added.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct NewRecord {
    /// What it is. White space around it is dropped.
    title: Text<1, TITLE_MAX>,
    /// What it belongs to. White space around it is dropped.
    category: Given<Text<0, CATEGORY_MAX>>,
    /// Anything else.
    notes: Given<Text<0, NOTES_MAX>>,
    /// When something is to be done.
    due_date: Given<Day>,
    visibility: Given<Visibility>,
}

/// A change to a record: what is absent stays as it is.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
struct RecordChange {
    /// What it is. White space around it is dropped.
    title: Given<Text<1, TITLE_MAX>>,
    /// What it belongs to. White space around it is dropped.
    category: Given<Text<0, CATEGORY_MAX>>,
    /// Anything else.
    notes: Given<Text<0, NOTES_MAX>>,
    /// When something is to be done; null for never.
    #[oai(nullable)]
    due_date: MaybeUndefined<Day>,
    visibility: Given<Visibility>,
}

#[derive(ApiResponse)]
enum Added {
    /// The record was added.
    #[oai(status = 201)]
    Record(
        Json<RecordBody>,
        /// Where the record is.
        #[oai(header = "Location")]
        String,
        /// The version, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
enum Read {
    /// The record.
    #[oai(status = 200)]
    Record(
        Json<RecordBody>,
        /// The version, for `If-Match` and `If-None-Match`.
        #[oai(header = "ETag")]
        String,
    ),
    /// It is as the client has it, by `If-None-Match`.
    #[oai(status = 304)]
    Unchanged(
        /// The version.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
enum Changed {
    /// The record as it is now.
    #[oai(status = 200)]
    Record(
        Json<RecordBody>,
        /// The version, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[OpenApi]
impl RecordsApi {
    /// List records
    ///
    /// A page holds at most `limit` records, and fewer when they are very long; there are more as long as `next`
    /// is there. Records that are added or removed between two pages neither repeat nor hide others.
    #[oai(path = "/records", method = "get", operation_id = "list_records", tag = "Tag::Records")]
    #[allow(clippy::too_many_arguments, reason = "each is a parameter of the address")]
    async fn list(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// Words that all have to occur somewhere in title, category or notes. Case, accents and apostrophes do not matter.
        #[oai(validator(max_length = 1000))]
        search: Query<Option<String>>,
        /// Only records of this category. Case and accents do not matter.
        #[oai(validator(max_length = 100))]
        category: Query<Option<String>>,
        /// Only records due before this day.
        due_before: Query<Option<Day>>,
        /// Only records due after this day.
        due_after: Query<Option<Day>>,
        /// Only records of the user with this id.
        owner_id: Query<Option<i64>>,
        /// Only records that the whole household sees, or only one's own private ones.
        visibility: Query<Option<Visibility>>,
        /// In which order; when absent, `updated_desc`.
        // No `default` in the document: it would be an `allOf`, of which openapi-python-client makes no client.
        sort: Query<Option<Order>>,
        /// How many at most.
        limit: Query<Limit>,
        /// Where to go on: the `next` of the page before.
        #[oai(validator(max_length = 2000))]
        after: Query<Option<String>>,
    ) -> Result<Listed<RecordBody>, ReadRefused> {
        let order = sort.0.unwrap_or_default();
        let after = after
            .0
            .map(|cursor| Place::from_cursor(&cursor, order))
            .transpose()
            .map_err(|error| Problem::fields(vec![FieldError::new("after", error.to_string())]))?;
        let listing = Listing {
            search: search.0.as_deref().and_then(Search::parse),
            category: category.0,
            due_before: due_before.0,
            due_after: due_after.0,
            owner_id: owner_id.0,
            visibility: visibility.0,
            order,
            after,
            limit: limit.0.0,
        };
        let page = page_query::list(database.reads(), Viewer::of(&caller), &listing)
            .await
            .map_err(|error| database.failed(error))?;
        let next = page.next.map(|place| place.to_cursor());
        Ok(Listed::page(page.records.into_iter().map(RecordBody::from).collect(), next))
    }

    /// Add a record
    #[oai(path = "/records", method = "post", operation_id = "create_record", tag = "Tag::Records")]
    async fn create(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        body: Json<NewRecord>,
    ) -> Result<Added, WriteRefused> {
        let NewRecord {
            title,
            category: Given(category),
            notes: Given(notes),
            due_date: Given(due_date),
            visibility: Given(visibility),
        } = body.0;
        let draft = Draft::check(
            &title.0,
            category.as_ref().map_or("", |category| &category.0),
            notes.map(|notes| notes.0).unwrap_or_default(),
            due_date,
            visibility.unwrap_or_default(),
        )
        .map_err(Problem::fields)?;
        let record = store::create(database, &caller, draft).await?;
        let location = format!("/api/v1/records/{}", record.id);
        let tag = entity_tag(record.version);
        Ok(Added::Record(Json(record.into()), location, tag))
    }

    /// List what changed
    ///
    /// For copies of the records: without `after` it lists every record, then what has changed behind the `cursor` of the last
    /// response. A record that the caller has no longer is `gone`; one that they never had is not mentioned. After a restore a
    /// cursor is refused with 410, and the copy begins anew.
    #[oai(path = "/records/changes", method = "get", operation_id = "list_record_changes", tag = "Tag::Records")]
    async fn changes(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// How many at most.
        limit: Query<Limit>,
        /// Where to go on: the `cursor` of the response before.
        #[oai(validator(max_length = 2000))]
        after: Query<Option<String>>,
    ) -> Result<Found<RecordChanges>, SyncRefused> {
        let found = changes::list(database.reads(), Viewer::of(&caller), after.0.as_deref(), limit.0.0)
            .await
            .map_err(|error| database.failed(error))?
            .map_err(|bad| match bad {
                changes::BadCursor::Unknown => Problem::fields(vec![FieldError::new(
                    "after",
                    "is not a `cursor` that a response of this operation gave",
                )]),
                changes::BadCursor::Outdated => Problem::new(StatusCode::GONE)
                    .detail("This cursor is from before a restore, or of another view; begin again without it."),
            })?;
        let items = found.records.into_iter().map(|(id, record)| SyncedRecord {
            id,
            gone: record.is_none(),
            record: record.map(RecordBody::from),
        });
        Ok(Found::new(RecordChanges { items: items.collect(), cursor: found.cursor, has_more: found.has_more }))
    }

    /// Get a record
    #[oai(path = "/records/:id", method = "get", operation_id = "get_record", tag = "Tag::Records")]
    async fn get(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
        /// Entity tags: the response is 304 when one is the record's.
        #[oai(name = "If-None-Match", validator(max_length = 2000))]
        if_none_match: Header<Option<String>>,
    ) -> Result<Read, ReadRefused> {
        let record = store::get(database.reads(), Viewer::of(&caller), id.0)
            .await
            .map_err(|error| database.failed(error))?
            .ok_or_else(|| no_such_record(id.0))?;
        let tag = entity_tag(record.version);
        Ok(match has_already(if_none_match.0.as_deref(), record.version)? {
            true => Read::Unchanged(tag),
            false => Read::Record(Json(record.into()), tag),
        })
    }

    /// Change a record
    ///
    /// Fields that are absent stay as they are; a `due_date` of null takes it away.
    #[oai(path = "/records/:id", method = "patch", operation_id = "update_record", tag = "Tag::Records")]
    async fn update(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
        /// The entity tags that the record may have: with another one, the response is 412 and nothing is written.
        #[oai(name = "If-Match", validator(max_length = 2000))]
        if_match: Header<Option<String>>,
        body: Json<RecordChange>,
    ) -> Result<Changed, WriteRefused> {
        let precondition = Precondition::if_match(if_match.0.as_deref())?;
        let RecordChange {
            title: Given(title),
            category: Given(category),
            notes: Given(notes),
            due_date,
            visibility: Given(visibility),
        } = body.0;
        let due_date = match due_date {
            MaybeUndefined::Undefined => None,
            MaybeUndefined::Null => Some(None),
            MaybeUndefined::Value(day) => Some(Some(day)),
        };
        let change = Change::check(
            title.as_ref().map(|title| title.0.as_str()),
            category.as_ref().map(|category| category.0.as_str()),
            notes.map(|notes| notes.0),
            due_date,
            visibility,
        )
        .map_err(Problem::fields)?;
        let record = store::update(database, &caller, id.0, change, precondition).await?;
        let record = record.ok_or_else(|| no_such_record(id.0))?;
        let tag = entity_tag(record.version);
        Ok(Changed::Record(Json(record.into()), tag))
    }

    /// Delete a record
    #[oai(path = "/records/:id", method = "delete", operation_id = "delete_record", tag = "Tag::Records")]
    async fn delete(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
        /// The entity tags that the record may have: with another one, the response is 412 and nothing is written.
        #[oai(name = "If-Match", validator(max_length = 2000))]
        if_match: Header<Option<String>>,
    ) -> Result<Done, WriteRefused> {
        let precondition = Precondition::if_match(if_match.0.as_deref())?;
        if store::delete(database, &caller, id.0, precondition).await? {
            Ok(Done::Done)
        } else {
            Err(no_such_record(id.0).into())
        }
    }
}

fn no_such_record(id: i64) -> Problem {
    Problem::not_found(format!("There is no record with the id {id}."))
}

impl From<Model> for RecordBody {
    fn from(record: Model) -> Self {
        Self {
            id: record.id,
            title: Text(record.title),
            category: Text(record.category),
            notes: Text(record.notes),
            due_date: record.due_date,
            created_at: record.created_at,
            updated_at: record.updated_at,
            owner_id: record.owner_id,
            visibility: record.visibility,
            version: record.version,
        }
    }
}
