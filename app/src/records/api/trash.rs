//! The trash in the API.

use poem::web::Data;
use poem_openapi::{
    Object, OpenApi, Tags,
    param::{Path, Query},
};

use super::versions::RestoredResponse;
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller, users},
    datetime::Timestamp,
    http::{Done, Limit, Listed, ReadRefused, WriteRefused},
    records::{
        entity::Visibility,
        history::trash::{self, Cursor, Trashed, not_in_the_trash},
        store::Viewer,
    },
};

/// The operations on the trash.
pub(crate) struct TrashApi;

#[derive(Tags)]
enum Tag {
    /// Deleted records, which are kept for at least 30 days.
    Trash,
}

/// A deleted record.
#[derive(Debug, Object)]
#[oai(rename = "TrashedRecord", skip_serializing_if_is_none)]
struct TrashedBody {
    /// The id that it had, and will have if it is put back.
    id: i64,
    /// The title.
    title: String,
    visibility: Visibility,
    /// When it was deleted. Absent for a moment after an older version of Hearth deleted it.
    deleted_at: Option<Timestamp>,
    /// The id of the user who deleted it. Absent if it is not known.
    deleted_by: Option<i64>,
    /// The name of that user.
    deleted_by_name: Option<String>,
    /// Until when it is kept at least. Days on which Hearth does not run do not count.
    kept_until: Option<Timestamp>,
}

#[OpenApi]
impl TrashApi {
    /// List deleted records
    ///
    /// What was deleted last comes first. Private records are listed for their owner only.
    #[oai(path = "/trash", method = "get", operation_id = "list_trash", tag = "Tag::Trash")]
    async fn list(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The maximum number of items per page.
        limit: Query<Limit>,
        /// The `next` value of the previous page.
        #[oai(validator(max_length = 2000))]
        after: Query<Option<String>>,
    ) -> Result<Listed<TrashedBody>, ReadRefused> {
        let after = after.0.map(|text| Cursor::parse(&text)).transpose()?;
        let reads = database.reads();
        let page = trash::list(reads, Viewer::of(&caller), after.as_ref(), limit.0.0)
            .await
            .map_err(|error| database.failed(error))?;
        let names = users::names(reads).await.map_err(|error| database.failed(error))?;
        let body = |record: Trashed| TrashedBody {
            id: record.id,
            visibility: if record.is_private { Visibility::Private } else { Visibility::Household },
            deleted_at: record.at,
            deleted_by: record.by,
            deleted_by_name: record.by.and_then(|by| names.get(&by).cloned()),
            kept_until: record.kept_until(),
            title: record.title,
        };
        Ok(Listed::page(page.records.into_iter().map(body).collect(), page.next.map(|next| next.to_text())))
    }

    /// Put a deleted record back
    ///
    /// It gets the id that it had, with its fields, tags and attachments; its version is one more than before. If its
    /// place no longer exists, it has none then, and `left_out` says so.
    #[oai(path = "/trash/:id/restore", method = "post", operation_id = "restore_from_trash", tag = "Tag::Trash")]
    async fn restore(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
    ) -> Result<RestoredResponse, WriteRefused> {
        let restored = trash::put_back(database, &caller, id.0).await?;
        Ok(restored.ok_or_else(|| not_in_the_trash(id.0))?.into())
    }

    /// Delete a record for good
    ///
    /// It can't be put back then. Only what is in the trash can be deleted for good.
    #[oai(path = "/trash/:id", method = "delete", operation_id = "delete_from_trash", tag = "Tag::Trash")]
    async fn delete(
        &self,
        Data(database): Data<&AuthorizedDatabase>,
        caller: Caller,
        /// The record's id.
        id: Path<i64>,
    ) -> Result<Done, WriteRefused> {
        let found = trash::erase(database, &caller, id.0).await?;
        if found { Ok(Done::Done) } else { Err(not_in_the_trash(id.0).into()) }
    }
}
