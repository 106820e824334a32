//! The versions of a record in the API.

use poem::web::Data;
use poem_openapi::{
    ApiResponse, Object, OpenApi,
    param::{Path, Query},
    payload::Json,
};

use super::{
    Tag,
    body::{FieldBody, RecordBody},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller, users},
    datetime::{Day, Timestamp},
    http::{After, Found, Header, Limit, Listed, Precondition, ReadRefused, Window, WriteRefused, entity_tag},
    records::{
        attachments::entity::attachment::Role,
        entity::Visibility,
        history::{
            content::{Content, KeptAttachment},
            parts::Part,
            restore::{self, LeftOut, Restored},
            versions::{self, Summary, Version, no_such_version},
        },
        kind::Kind,
        store::{Viewer, no_such_record},
    },
};

/// The operations on versions.
pub(crate) struct VersionsApi;

/// A version in the list of a record's versions.
#[derive(Debug, Object)]
#[oai(rename = "RecordVersionSummary", skip_serializing_if_is_none)]
struct SummaryBody {
    /// The number of the version.
    version: i64,
    /// Whether it is the current one.
    current: bool,
    /// When it was made.
    changed_at: Timestamp,
    /// The id of the user who made it. Absent if it is not known.
    changed_by: Option<i64>,
    /// The name of that user.
    changed_by_name: Option<String>,
    /// What was changed against the version before it in this list. Absent if there is none before it.
    changed: Option<Vec<Part>>,
}

/// A record as it was.
#[derive(Debug, Object)]
#[oai(rename = "RecordVersion", skip_serializing_if_is_none)]
struct VersionBody {
    /// The number of the version.
    version: i64,
    /// When it was made.
    changed_at: Timestamp,
    /// The id of the user who made it. Absent if it is not known.
    changed_by: Option<i64>,
    /// The name of that user.
    changed_by_name: Option<String>,
    title: String,
    kind: Kind,
    category: String,
    /// The notes, in Markdown.
    notes: String,
    fields: Vec<FieldBody>,
    tags: Vec<String>,
    place: Option<PlaceBody>,
    due_date: Option<Day>,
    visibility: Visibility,
    guests_see_attachments: bool,
    attachments: Vec<AttachmentBody>,
}

/// The place of a record in a version.
#[derive(Debug, Object)]
#[oai(rename = "RecordVersionPlace")]
struct PlaceBody {
    /// Its id. It may not exist any more.
    id: i64,
    /// Its name at that time.
    name: String,
}

/// An attachment of a record in a version.
#[derive(Debug, Object)]
#[oai(rename = "RecordVersionAttachment")]
struct AttachmentBody {
    /// Its id. It may not exist any more, and is put back when the version is restored.
    id: i64,
    /// The name of the file.
    name: String,
    role: Role,
    /// When it was added.
    added_at: Timestamp,
}

/// A restored record.
#[derive(Debug, Object)]
pub(super) struct RestoredRecord {
    record: RecordBody,
    /// What could not be restored, each as a sentence for people: a place that no longer exists, for instance.
    left_out: Vec<String>,
}

#[derive(ApiResponse)]
pub(super) enum RestoredResponse {
    /// The record as it is now.
    #[oai(status = 200)]
    Restored(
        Json<RestoredRecord>,
        /// The version, for `If-Match`.
        #[oai(header = "ETag")]
        String,
    ),
}

#[OpenApi]
impl VersionsApi {
    /// List the versions of a record
    ///
    /// Newest first: the record as it is now, and what it was before each change. What it was while it was private is listed
    /// for its owner only.
    #[oai(path = "/records/:id/versions", method = "get", operation_id = "list_record_versions", tag = "Tag::Records")]
    async fn list(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        after: Query<After>,
    ) -> Result<Listed<SummaryBody>, ReadRefused> {
        let (reads, window) = (database.reads(), Window::new(limit.0, after.0));
        let page = versions::list(reads, Viewer::of(&caller), id.0, window.after, window.limit)
            .await
            .map_err(|error| database.failed(error))?
            .ok_or_else(|| no_such_record(id.0))?;
        let names = users::names(reads).await.map_err(|error| database.failed(error))?;
        let body = |version: Summary| SummaryBody {
            version: version.number,
            current: version.is_current,
            changed_at: version.at,
            changed_by: version.by,
            changed_by_name: version.by.and_then(|by| names.get(&by).cloned()),
            changed: version.changed,
        };
        Ok(Listed::page(page.versions.into_iter().map(body).collect(), page.next.map(Window::cursor)))
    }

    /// Get a version of a record
    #[oai(
        path = "/records/:id/versions/:version",
        method = "get",
        operation_id = "get_record_version",
        tag = "Tag::Records"
    )]
    async fn get(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
        /// The number of the version.
        version: Path<i64>,
    ) -> Result<Found<VersionBody>, ReadRefused> {
        let found = versions::find(database.reads(), Viewer::of(&caller), id.0, version.0)
            .await
            .map_err(|error| database.failed(error))?
            .ok_or_else(|| no_such_version(id.0, version.0))?;
        let names = users::names(database.reads()).await.map_err(|error| database.failed(error))?;
        let name = found.by.and_then(|by| names.get(&by).cloned());
        Ok(Found::new(VersionBody::new(found, name)))
    }

    /// Restore a version of a record
    ///
    /// Makes a new version with what the record said in this one. Attachments that were removed since are put back under their
    /// ids; those that were added since stay. The visibility is restored for the record's owner only. If the place no longer exists, the
    /// record stays where it is, and `left_out` says so.
    #[oai(
        path = "/records/:id/versions/:version/restore",
        method = "post",
        operation_id = "restore_record_version",
        tag = "Tag::Records"
    )]
    async fn restore(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
        /// The number of the version.
        version: Path<i64>,
        /// Entity tags of the record as it is now. If none matches, the response is 412 and nothing is changed.
        #[oai(name = "If-Match", validator(max_length = 2000))]
        if_match: Header<Option<String>>,
    ) -> Result<RestoredResponse, WriteRefused> {
        let precondition = Precondition::if_match(if_match.0.as_deref())?;
        let restored = restore::restore(database, &caller, id.0, version.0, precondition).await?;
        Ok(restored.ok_or_else(|| no_such_version(id.0, version.0))?.into())
    }
}

impl VersionBody {
    fn new(version: Version, changed_by_name: Option<String>) -> Self {
        let Content { place, attachments, fields, .. } = version.content;
        Self {
            version: version.number,
            changed_at: version.at,
            changed_by: version.by,
            changed_by_name,
            title: version.content.title,
            kind: version.content.kind,
            category: version.content.category,
            notes: version.content.notes,
            fields: fields.into_iter().map(FieldBody::from).collect(),
            tags: version.content.tags,
            place: place.map(|place| PlaceBody { id: place.id, name: place.name }),
            due_date: version.content.due_date,
            visibility: version.content.visibility,
            guests_see_attachments: version.content.guests_see_attachments,
            attachments: attachments.into_iter().map(AttachmentBody::from).collect(),
        }
    }
}

impl From<KeptAttachment> for AttachmentBody {
    fn from(KeptAttachment { id, name, role, added_at, .. }: KeptAttachment) -> Self {
        Self { id, name, role, added_at }
    }
}

impl From<Restored> for RestoredResponse {
    fn from(Restored { record, left_out }: Restored) -> Self {
        let tag = entity_tag(record.row.version);
        let left_out = left_out.iter().map(LeftOut::sentence).collect();
        Self::Restored(Json(RestoredRecord { record: record.into(), left_out }), tag)
    }
}
