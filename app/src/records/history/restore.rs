//! How does a record become again what it was?
//!
//! By a change like any other: what it says now is kept, and a new version says what the old one did. Who sees it is its owner's
//! to say, so another's restore leaves that alone. Attachments that are gone come back under their old ids, since no content in
//! `files/` is ever deleted; those that were added since stay.

use sea_orm::{ActiveModelTrait, ColumnTrait, DbErr, EntityTrait, IntoActiveModel, QueryFilter, Select};

use super::{
    content::{Content, KeptAttachment},
    versions,
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller},
    db::Tx,
    http::{Precondition, Problem},
    records::{
        attachments::entity::{attachment, file},
        draft::Draft,
        entity::Model,
        indexing,
        places::entity as place,
        store::{self, Record, Viewer},
    },
};

/// A record that is again what it was.
#[derive(Debug, Clone)]
pub(crate) struct Restored {
    pub(crate) record: Record,
    pub(crate) left_out: Vec<LeftOut>,
}

/// What could not be restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum LeftOut {
    /// The place with this name is gone.
    Place(String),
    /// The file of the attachment with this name is unknown.
    Attachment(String),
}

impl LeftOut {
    /// Returns a sentence for people.
    pub(crate) fn sentence(&self) -> String {
        match self {
            Self::Place(name) => format!("The place “{name}” no longer exists."),
            Self::Attachment(name) => format!("The file of the attachment “{name}” is missing."),
        }
    }
}

/// Makes a record again what it was in a version; `None` when the caller does not see the record or has no such version.
pub(crate) async fn restore(
    database: &AuthorizedDatabase,
    caller: &Caller,
    id: i64,
    number: i64,
    precondition: Precondition,
) -> Result<Option<Restored>, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let Some(before) = store::get_for_change(tx, caller, id, &precondition).await? else { return Ok(None) };
            let mut left_out = Vec::new();
            if number == before.version {
                let record = store::change(tx, caller, before, &Draft::default()).await?;
                return Ok(Some(Restored { record, left_out }));
            }
            let Some(version) = versions::get(tx, Viewer::of(caller), id, number).await? else { return Ok(None) };
            let content = version.content;
            let is_owner = before.owner_id == Some(caller.user.id);
            let draft = Draft {
                // A record whose place is gone stays where it is.
                place_id: match (&content.place, place_that_is_left(tx, &content, &mut left_out).await?) {
                    (Some(_), None) => None,
                    (_, found) => Some(found),
                },
                visibility: is_owner.then_some(content.visibility),
                ..as_draft(&content)
            };
            let mut record = store::change(tx, caller, before.clone(), &draft).await?;
            let missing = missing_attachments(tx, id, content.attachments, &mut left_out).await?;
            if !missing.is_empty() {
                if record.row.version == before.version {
                    record.row = store::begin_change(tx, caller, &before).await?;
                }
                put_attachments_back(tx, &record.row, missing).await?;
            }
            Ok(Some(Restored { record, left_out }))
        })
        .await
}

/// Returns what the record said, but for where it was: the place may be gone. It names each field, so that none is forgotten.
pub(super) fn as_draft(content: &Content) -> Draft {
    Draft {
        title: Some(content.title.clone()),
        category: Some(content.category.clone()),
        notes: Some(content.notes.clone()),
        due_date: Some(content.due_date),
        visibility: Some(content.visibility),
        kind: Some(content.kind),
        place_id: None,
        guests_see_attachments: Some(content.guests_see_attachments),
        fields: Some(content.fields.clone()),
        tags: Some(content.tags.clone()),
    }
}

/// Returns the id of the place of a version, if it is still there.
pub(super) async fn place_that_is_left(
    tx: &Tx,
    content: &Content,
    left_out: &mut Vec<LeftOut>,
) -> Result<Option<i64>, DbErr> {
    let Some(kept) = &content.place else { return Ok(None) };
    let found = place_by_id(kept.id).one(tx).await?;
    if found.is_none() {
        left_out.push(LeftOut::Place(kept.name.clone()));
    }
    Ok(found.map(|place| place.id))
}

/// Returns which of these attachments the record does not have any more, but for those whose file is unknown.
pub(super) async fn missing_attachments(
    tx: &Tx,
    record_id: i64,
    kept: Vec<KeptAttachment>,
    left_out: &mut Vec<LeftOut>,
) -> Result<Vec<attachment::Model>, DbErr> {
    let mut missing = Vec::new();
    for kept in kept {
        let KeptAttachment { id, hash, name, role, position, added_by, added_at } = kept;
        if attachment_by_id(id).one(tx).await?.is_some() {
            continue;
        }
        match file_by_hash(&hash).one(tx).await? {
            Some(_) => {
                missing.push(attachment::Model { id, record_id, hash, name, role, position, added_by, added_at })
            }
            None => left_out.push(LeftOut::Attachment(name)),
        }
    }
    Ok(missing)
}

/// Puts attachments back under their old ids. The record itself was changed or inserted before.
pub(super) async fn put_attachments_back(
    tx: &Tx,
    record: &Model,
    missing: Vec<attachment::Model>,
) -> Result<(), DbErr> {
    for attachment in missing {
        let row = attachment.into_active_model().reset_all();
        attachment::Entity::insert(row).exec_without_returning(tx).await?;
    }
    indexing::index_files(tx, record.id, record.scope()).await
}

pub(super) fn place_by_id(id: i64) -> Select<place::Entity> {
    place::Entity::find_by_id(id)
}

pub(super) fn attachment_by_id(id: i64) -> Select<attachment::Entity> {
    attachment::Entity::find_by_id(id)
}

pub(super) fn file_by_hash(hash: &str) -> Select<file::Entity> {
    file::Entity::find().filter(file::Column::Hash.eq(hash))
}
