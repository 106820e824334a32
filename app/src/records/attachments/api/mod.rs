//! The attachments in the API.

mod body;

use poem::{Body, Request, http::header, web::Data};
use poem_openapi::{
    OpenApi, Tags,
    param::{Path, Query},
    payload::{Binary, Json},
};

use self::body::{Added, AttachmentBody, AttachmentChange, Begun, Changed, NewUpload, Uploaded};
use super::{
    Attachments,
    download::{Content, Preview, Wanted},
    entity::attachment::Role,
    receive::{Announcement, Progress},
    rows::{self, Attached, Change, Written},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller},
    http::{
        After, ById, Done, Found, Header, IdempotencyKey, Limit, Listed, OptionalField, Pieces, Precondition, Problem,
        ReadRefused, Window, WriteRefused, entity_tag,
    },
    records::store::{Viewer, no_such_record},
};

/// The operations on attachments.
pub(crate) struct AttachmentsApi;

#[derive(Tags)]
enum Tag {
    /// The files of records, such as receipts, photographs and manuals.
    Attachments,
}

#[OpenApi(tag = "Tag::Attachments")]
impl AttachmentsApi {
    /// List a record's attachments
    ///
    /// In the order in which they were added; `position` says in which order to show them. A guest gets none unless the record
    /// shows its attachments to guests.
    #[oai(path = "/records/:id/attachments", method = "get", operation_id = "list_attachments")]
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
    ) -> Result<Listed<AttachmentBody>, ReadRefused> {
        let found = rows::list(database.reads(), Viewer::of(&caller), id.0).await;
        let found = found.map_err(|error| database.failed(error))?.ok_or_else(|| no_such_record(id.0))?;
        let of = |attached: &Attached| attached.attachment.id;
        Ok(Window::new(limit.0, after.0).cut(found, ById::OldestFirst, of, AttachmentBody::from))
    }

    /// Add an attachment
    ///
    /// The body is the file. A large one is better sent as an upload, which can be resumed (`create_upload`). With an
    /// `Idempotency-Key`, a request that is sent again within 24 hours adds nothing more: its response has the attachment that the
    /// first one added.
    #[oai(path = "/records/:id/attachments", method = "post", operation_id = "create_attachment")]
    #[allow(clippy::too_many_arguments, reason = "each is a parameter of the request")]
    async fn add(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        caller: Caller,
        request: &Request,
        /// The record's id.
        id: Path<i64>,
        /// The file's name. What no file name can have is removed from it.
        #[oai(validator(min_length = 1, max_length = 1000))]
        name: Query<String>,
        /// What the file is to the record. The default is `other`.
        role: Query<Option<Role>>,
        /// Whether a picture keeps where it was taken. Otherwise that is removed.
        keep_location: Query<Option<bool>>,
        /// A text of the client's choice, such as a UUID, that is new for each attachment to add.
        #[oai(name = "Idempotency-Key")]
        key: Header<IdempotencyKey>,
        /// Entity tags of the record. If none matches it, the response is 412 and nothing is added.
        #[oai(name = "If-Match", validator(max_length = 2000))]
        if_match: Header<Option<String>>,
        body: Binary<Body>,
    ) -> Result<Added, WriteRefused> {
        let precondition = Precondition::if_match(if_match.0.as_deref())?;
        let announcement = Announcement {
            name: name.0,
            role: role.0.unwrap_or_default(),
            bytes: content_length(request),
            keep_location: keep_location.0.unwrap_or_default(),
        };
        let pieces = Pieces::of(body.0);
        let written = attachments.add(database, &caller, id.0, announcement, pieces, key.0, precondition).await?;
        let location = format!("/api/v1/attachments/{}", written.attached.attachment.id);
        Ok(Added::Attachment(Json(written.attached.into()), location, entity_tag(written.record_version)))
    }

    /// Get an attachment
    #[oai(path = "/attachments/:id", method = "get", operation_id = "get_attachment")]
    async fn get(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The attachment's id.
        id: Path<i64>,
    ) -> Result<Found<AttachmentBody>, ReadRefused> {
        Ok(Found::new(find(database, &caller, id.0).await?))
    }

    /// Update an attachment
    ///
    /// Absent fields keep their values. The record gets a new version.
    #[oai(path = "/attachments/:id", method = "patch", operation_id = "update_attachment")]
    async fn update(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The attachment's id.
        id: Path<i64>,
        /// Entity tags of the record. If none matches it, the response is 412 and nothing is changed.
        #[oai(name = "If-Match", validator(max_length = 2000))]
        if_match: Header<Option<String>>,
        body: Json<AttachmentChange>,
    ) -> Result<Changed, WriteRefused> {
        let precondition = Precondition::if_match(if_match.0.as_deref())?;
        let AttachmentChange {
            name: OptionalField(name),
            role: OptionalField(role),
            position: OptionalField(position),
        } = body.0;
        let change = Change { name: name.map(|name| name.0), role, position };
        let written = rows::change(database, &caller, id.0, change, precondition).await?;
        let Written { attached, record_version } = written.ok_or_else(|| no_such_attachment(id.0))?;
        Ok(Changed::Attachment(Json(attached.into()), entity_tag(record_version)))
    }

    /// Delete an attachment
    ///
    /// The record's earlier versions keep it.
    #[oai(path = "/attachments/:id", method = "delete", operation_id = "delete_attachment")]
    async fn delete(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The attachment's id.
        id: Path<i64>,
        /// Entity tags of the record. If none matches it, the response is 412 and nothing is changed.
        #[oai(name = "If-Match", validator(max_length = 2000))]
        if_match: Header<Option<String>>,
    ) -> Result<Done, WriteRefused> {
        let precondition = Precondition::if_match(if_match.0.as_deref())?;
        let removed = rows::remove(database, &caller, id.0, precondition).await?;
        Ok(Done::where_found(removed, || format!("There is no attachment with the id {}.", id.0))?)
    }

    /// Download an attachment
    ///
    /// Pictures and PDFs are to be shown, all other files to be saved. One range is served; for several, the response is the whole
    /// file.
    #[oai(path = "/attachments/:id/content", method = "get", operation_id = "get_attachment_content")]
    #[allow(clippy::too_many_arguments, reason = "each is a parameter of the request")]
    async fn content(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        caller: Caller,
        /// The attachment's id.
        id: Path<i64>,
        /// The part that is wanted, such as `bytes=0-499`.
        #[oai(name = "Range", validator(max_length = 2000))]
        range: Header<Option<String>>,
        /// The entity tag of the file that a part is wanted of. If it is another file, the response is all of it.
        #[oai(name = "If-Range", validator(max_length = 2000))]
        if_range: Header<Option<String>>,
        /// Entity tags. If one matches the content, the response is 304.
        #[oai(name = "If-None-Match", validator(max_length = 2000))]
        if_none_match: Header<Option<String>>,
    ) -> Result<Content, ReadRefused> {
        let attached = find(database, &caller, id.0).await?;
        let file = attachments.open(&attached).await?;
        let wanted = Wanted {
            range: range.0.as_deref(),
            if_range: if_range.0.as_deref(),
            if_none_match: if_none_match.0.as_deref(),
        };
        Ok(Content::of_file(&attached, file, wanted)?)
    }

    /// Get a preview of an attachment
    ///
    /// A smaller picture, as a JPEG. Not every file has one: 404 says so. Of JPEG, PNG and WebP Hearth makes it; of HEIC, AVIF and GIF it
    /// is what a client set (`set_attachment_preview`).
    #[oai(path = "/attachments/:id/preview", method = "get", operation_id = "get_attachment_preview")]
    async fn preview(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        caller: Caller,
        /// The attachment's id.
        id: Path<i64>,
        /// Entity tags. If one matches the preview, the response is 304.
        #[oai(name = "If-None-Match", validator(max_length = 2000))]
        if_none_match: Header<Option<String>>,
    ) -> Result<Preview, ReadRefused> {
        let attached = find(database, &caller, id.0).await?;
        let if_none_match = if_none_match.0.as_deref();
        if let Some(unchanged) = Preview::unchanged(&attached, if_none_match)? {
            return Ok(unchanged);
        }
        let preview = attachments.preview(&attached).await?;
        let preview = preview.ok_or_else(|| Problem::not_found("There is no preview of this file."))?;
        Ok(Preview::new(&attached, preview, if_none_match)?)
    }

    /// Set the preview of an attachment
    ///
    /// For a picture that Hearth cannot decode: HEIC, AVIF and GIF. The body is a smaller picture of it as a JPEG, PNG or WebP of at most
    /// 4 MiB. Hearth makes the preview of that anew and keeps nothing else of it. It replaces the one before, is no version of the
    /// record, and is in no backup: when it is gone, `get_attachment_preview` returns 404 and it can be set again.
    #[oai(path = "/attachments/:id/preview", method = "put", operation_id = "set_attachment_preview")]
    async fn set_preview(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        caller: Caller,
        /// The attachment's id.
        id: Path<i64>,
        body: Binary<Body>,
    ) -> Result<Done, WriteRefused> {
        let attached = find(database, &caller, id.0).await?;
        let set = attachments.set_preview(database, &caller, &attached, Pieces::of(body.0)).await?;
        if set { Ok(Done::Done) } else { Err(no_such_attachment(id.0).into()) }
    }

    /// Begin an upload
    ///
    /// A file comes in as many requests as it takes (`append_upload`). After a break, the upload's `offset` says where to go on. It
    /// expires 24 hours after the last bytes arrived, and is seen by nobody but the user who began it.
    #[oai(path = "/records/:id/uploads", method = "post", operation_id = "create_upload")]
    async fn begin(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
        body: Json<NewUpload>,
    ) -> Result<Begun, WriteRefused> {
        let NewUpload { name, role: OptionalField(role), bytes, keep_location: OptionalField(keep_location) } = body.0;
        let announcement = Announcement {
            name: name.0,
            role: role.unwrap_or_default(),
            bytes: Some(bytes),
            keep_location: keep_location.unwrap_or_default(),
        };
        let begun = attachments.begin_upload(database, &caller, id.0, announcement).await?;
        let location = format!("/api/v1/uploads/{}", begun.id);
        Ok(Begun::Upload(Json(begun.into()), location))
    }

    /// Get an upload
    #[oai(path = "/uploads/:id", method = "get", operation_id = "get_upload")]
    async fn progress(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        caller: Caller,
        /// The upload's id.
        id: Path<String>,
    ) -> Result<Uploaded, ReadRefused> {
        let found = attachments.progress(database, &caller, &id.0).await?.ok_or_else(no_such_upload)?;
        Ok(uploaded(found))
    }

    /// Add bytes to an upload
    ///
    /// The body is the next part of the file, of any length; what arrives before a connection breaks counts. When the last byte is
    /// there, the file is attached to the record, and the response has the `attachment`. The same request sent once more then has the
    /// same response.
    #[oai(path = "/uploads/:id", method = "patch", operation_id = "append_upload")]
    async fn append(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        caller: Caller,
        /// The upload's id.
        id: Path<String>,
        /// From where on the body goes. If this is not the `offset` of the upload, the response is 409, and its header
        /// `Upload-Offset` has the offset.
        #[oai(name = "Upload-Offset")]
        offset: Header<u64>,
        body: Binary<Body>,
    ) -> Result<Uploaded, WriteRefused> {
        let appended = attachments.append(database, &caller, &id.0, offset.0, Pieces::of(body.0)).await?;
        Ok(uploaded(appended.ok_or_else(no_such_upload)?))
    }

    /// Cancel an upload
    #[oai(path = "/uploads/:id", method = "delete", operation_id = "delete_upload")]
    async fn give_up(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        Data(attachments): Data<&Attachments>,
        caller: Caller,
        /// The upload's id.
        id: Path<String>,
    ) -> Result<Done, WriteRefused> {
        let given_up = attachments.give_up(database, &caller, &id.0).await?;
        Ok(Done::where_found(given_up, || "You have no upload with this id.".to_owned())?)
    }
}

async fn find(database: &AuthorizedDatabase, caller: &Caller, id: i64) -> Result<Attached, Problem> {
    let found = rows::find(database.reads(), Viewer::of(caller), id).await.map_err(|error| database.failed(error))?;
    found.ok_or_else(|| no_such_attachment(id))
}

fn no_such_attachment(id: i64) -> Problem {
    Problem::not_found(format!("There is no attachment with the id {id}."))
}

fn no_such_upload() -> Problem {
    Problem::not_found("You have no upload with this id.")
}

/// The length that a request announces of its body.
fn content_length(request: &Request) -> Option<u64> {
    request.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn uploaded(progress: Progress) -> Uploaded {
    let offset = progress.offset;
    Uploaded::Upload(Json(progress.into()), offset)
}
