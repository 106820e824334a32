//! The records in the API.
//!
//! A change is a PATCH, not a PUT: a client made for an older release would, by replacing the whole record, wipe
//! the fields that it does not know yet.

mod body;
pub(super) mod trash;
pub(super) mod versions;

use poem::{http::StatusCode, web::Data};
use poem_openapi::{
    ApiResponse, Object, OpenApi, Tags,
    param::{Path, Query},
    payload::Json,
};

use self::body::{NewRecord, RecordBody, RecordChange};
use super::{
    changes,
    draft::Draft,
    entity::Visibility,
    history,
    kind::Kind,
    listing::{Cursor, Listing, Order},
    page_query,
    search::Search,
    store::{self, Viewer, no_such_record},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller, idempotency::Once},
    datetime::Day,
    http::{
        Done, FieldError, Found, Header, IdempotencyKey, Limit, Listed, Precondition, Problem, ReadRefused,
        WriteRefused, entity_tag, has_already,
    },
};

/// The operations on records.
pub(crate) struct RecordsApi;

#[derive(Tags)]
enum Tag {
    /// The records of the household.
    Records,
}

/// A changed record.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
struct SyncedRecord {
    /// The record's id.
    id: i64,
    /// Whether the record was deleted or became private to another user.
    gone: bool,
    record: Option<RecordBody>,
}

/// Changed records: the household's first, then the user's private ones, each in the order of their last change.
#[derive(Debug, Object)]
struct RecordChanges {
    /// The changed records in their current state.
    items: Vec<SyncedRecord>,
    /// Pass it as `after` in the next request.
    cursor: String,
    /// Whether there are more changes.
    has_more: bool,
}

#[derive(ApiResponse)]
enum Added {
    /// The record was created.
    #[oai(status = 201)]
    Record(
        Json<RecordBody>,
        /// The address of the record.
        #[oai(header = "Location")]
        String,
        /// The version, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[allow(clippy::large_enum_variant, reason = "the response is made once, and taken apart at once")]
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
    /// Not modified: the client has the current version.
    #[oai(status = 304)]
    Unchanged(
        /// The version.
        #[oai(header = "ETag")]
        String,
    ),
}

#[derive(ApiResponse)]
enum Changed {
    /// The updated record.
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
    /// A page has at most `limit` records, and fewer if they are very long. There are more pages as long as `next` is
    /// present. Records that are added or removed between two requests neither repeat nor hide others.
    #[oai(path = "/records", method = "get", operation_id = "list_records", tag = "Tag::Records")]
    #[allow(clippy::too_many_arguments, reason = "each is a parameter of the address")]
    async fn list(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// Search words. Each must occur in the record, in the name of a place that it is in, in the name of an attachment, or in
        /// the text of a PDF. Case, accents and apostrophes are ignored.
        #[oai(validator(max_length = 1000))]
        search: Query<Option<String>>,
        /// Only records with this category. Case and accents are ignored.
        #[oai(validator(max_length = 100))]
        category: Query<Option<String>>,
        /// Only records of this kind.
        kind: Query<Option<Kind>>,
        /// Only records in the place with this id, or in a place within it.
        place_id: Query<Option<i64>>,
        /// Only records with this tag. Case and accents are ignored.
        #[oai(validator(max_length = 50))]
        tag: Query<Option<String>>,
        /// Only records due before this day.
        due_before: Query<Option<Day>>,
        /// Only records due after this day.
        due_after: Query<Option<Day>>,
        /// Only records of the user with this id.
        owner_id: Query<Option<i64>>,
        /// Only records with this visibility.
        visibility: Query<Option<Visibility>>,
        /// The sort order. The default is `updated_desc`.
        // No `default` in the document: it would be an `allOf`, of which openapi-python-client makes no client.
        sort: Query<Option<Order>>,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        #[oai(validator(max_length = 2000))]
        after: Query<Option<String>>,
    ) -> Result<Listed<RecordBody>, ReadRefused> {
        let order = sort.0.unwrap_or_default();
        let after = after
            .0
            .map(|cursor| Cursor::parse(&cursor, order))
            .transpose()
            .map_err(|error| Problem::fields(vec![FieldError::new("after", error.to_string())]))?;
        let listing = Listing {
            search: search.0.as_deref().and_then(Search::parse),
            category: category.0,
            kind: kind.0,
            place_id: place_id.0,
            tag: tag.0,
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
        let records = store::whole(database.reads(), page.records).await.map_err(|error| database.failed(error))?;
        let next = page.next.map(|place| place.to_cursor());
        Ok(Listed::page(records.into_iter().map(RecordBody::from).collect(), next))
    }

    /// Create a record
    ///
    /// With an `Idempotency-Key`, a request that is sent again within 24 hours creates nothing more: its response has the
    /// record that the first one created, as it is now. If that was deleted since, the response is 410. Another request of
    /// the same user with the same key gets 422.
    #[oai(path = "/records", method = "post", operation_id = "create_record", tag = "Tag::Records")]
    async fn create(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// A text of the client's choice, such as a UUID, that is new for each record to create.
        #[oai(name = "Idempotency-Key")]
        key: Header<IdempotencyKey>,
        body: Json<NewRecord>,
    ) -> Result<Added, WriteRefused> {
        let once = Once::new(key.0, "create_record", &body.0);
        let draft = Draft::from(body.0);
        let draft = draft.checked().map_err(Problem::fields)?;
        let record = store::create(database, &caller, draft, once).await?;
        let location = format!("/api/v1/records/{}", record.row.id);
        let tag = entity_tag(record.row.version);
        Ok(Added::Record(Json(record.into()), location, tag))
    }

    /// List changed records
    ///
    /// For synchronizing a copy of the records. Without `after`, it lists every record; with the `cursor` of the last
    /// response, the records that changed since. A record that the user can no longer see is `gone`; one that they never
    /// could see is not listed. After a restore, an old cursor gets 410: start again without it.
    #[oai(path = "/records/changes", method = "get", operation_id = "list_record_changes", tag = "Tag::Records")]
    async fn changes(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `cursor` of the previous response.
        #[oai(validator(max_length = 2000))]
        after: Query<Option<String>>,
    ) -> Result<Found<RecordChanges>, ReadRefused> {
        let found = changes::list(database.reads(), Viewer::of(&caller), after.0.as_deref(), limit.0.0)
            .await
            .map_err(|error| database.failed(error))?
            .map_err(|bad| match bad {
                changes::BadCursor::Unknown => {
                    Problem::fields(vec![FieldError::new("after", "is not a `cursor` that this operation returned")])
                }
                changes::BadCursor::Outdated => Problem::new(StatusCode::GONE)
                    .detail("This cursor is from before a restore, or of another role. Start again without it."),
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
        /// Entity tags. If one matches the record, the response is 304.
        #[oai(name = "If-None-Match", validator(max_length = 2000))]
        if_none_match: Header<Option<String>>,
    ) -> Result<Read, ReadRefused> {
        let record = store::find_whole(database.reads(), Viewer::of(&caller), id.0)
            .await
            .map_err(|error| database.failed(error))?
            .ok_or_else(|| no_such_record(id.0))?;
        let tag = entity_tag(record.row.version);
        Ok(match has_already(if_none_match.0.as_deref(), record.row.version)? {
            true => Read::Unchanged(tag),
            false => Read::Record(Json(record.into()), tag),
        })
    }

    /// Update a record
    ///
    /// Absent fields keep their values. A `due_date` or `place_id` of null is removed. `fields` and `tags` replace all that the record
    /// has.
    #[oai(path = "/records/:id", method = "patch", operation_id = "update_record", tag = "Tag::Records")]
    async fn update(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
        /// Entity tags. If none matches the record, the response is 412 and nothing is changed.
        #[oai(name = "If-Match", validator(max_length = 2000))]
        if_match: Header<Option<String>>,
        body: Json<RecordChange>,
    ) -> Result<Changed, WriteRefused> {
        let precondition = Precondition::if_match(if_match.0.as_deref())?;
        let draft = Draft::from(body.0);
        let draft = draft.checked().map_err(Problem::fields)?;
        let record = store::update(database, &caller, id.0, draft, precondition).await?;
        let record = record.ok_or_else(|| no_such_record(id.0))?;
        let tag = entity_tag(record.row.version);
        Ok(Changed::Record(Json(record.into()), tag))
    }

    /// Delete a record
    ///
    /// Moves it to the trash, with its attachments. There it is kept for at least 30 days and can be put back.
    #[oai(path = "/records/:id", method = "delete", operation_id = "delete_record", tag = "Tag::Records")]
    async fn delete(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
        /// Entity tags. If none matches the record, the response is 412 and nothing is changed.
        #[oai(name = "If-Match", validator(max_length = 2000))]
        if_match: Header<Option<String>>,
    ) -> Result<Done, WriteRefused> {
        let precondition = Precondition::if_match(if_match.0.as_deref())?;
        if history::trash::delete(database, &caller, id.0, precondition).await? {
            Ok(Done::Done)
        } else {
            Err(no_such_record(id.0).into())
        }
    }
}
