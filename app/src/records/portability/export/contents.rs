//! What of the binder does an export have?
//!
//! What its user sees, in the order of the ids. It is read in small parts, so that it may be of any size and nobody waits for it.

use std::collections::HashMap;

use sea_orm::{
    DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select, Statement, sea_query::Expr,
};

use super::super::{
    format::{PortableAttachment, PortableField, PortableKind, PortableRecord, Way},
    names::{Names, folder},
};
use crate::{
    auth::users,
    db::DirectReads,
    records::{
        attachments::entity::{attachment, file},
        entity::Model,
        fields::Field,
        places,
        store::{self, Record, Viewer},
    },
};

/// Records that are read at a time.
const BATCH: u64 = 100;

/// Reads of a part before one that changed meanwhile is taken as it is.
const TRIES: u32 = 5;

/// What a user sees of the binder.
pub(in super::super) struct Contents<'a> {
    reads: &'a DirectReads,
    viewer: Viewer,
    people: HashMap<i64, String>,
}

impl<'a> Contents<'a> {
    /// Returns what this user sees.
    pub(in super::super) async fn new(reads: &'a DirectReads, viewer: Viewer) -> Result<Self, DbErr> {
        let people = users::names(reads).await?;
        Ok(Self { reads, viewer, people })
    }

    /// Returns the ways to all places, each behind the one that it is in.
    pub(in super::super) async fn places(&self) -> Result<Vec<Way>, DbErr> {
        let mut ways: Vec<_> = self.ways().await?.into_values().collect();
        ways.sort_by(|one, other| (one.len(), one).cmp(&(other.len(), other)));
        Ok(ways)
    }

    /// Returns the records behind this id, some of them. None: there are no more.
    pub(in super::super) async fn after(&self, id: i64) -> Result<Vec<PortableRecord>, DbErr> {
        // What belongs to a record is read by statements of its own: if it changed between them, all are read again.
        let mut rows = store::behind(self.reads, self.viewer, id, BATCH).await?;
        let mut tries = 0;
        loop {
            let records = store::whole(self.reads, rows.clone()).await?;
            let mut attachments = self.attachments(&rows).await?;
            let ways = self.ways().await?;
            let again = store::behind(self.reads, self.viewer, id, BATCH).await?;
            tries += 1;
            if again == rows || tries == TRIES {
                let of = |record: Record| {
                    let attachments = attachments.remove(&record.row.id).unwrap_or_default();
                    let way = record.row.place_id.and_then(|place| ways.get(&place)).cloned().unwrap_or_default();
                    self.portable(record, attachments, way)
                };
                return Ok(records.into_iter().map(of).collect());
            }
            rows = again;
        }
    }

    /// Returns the way to each place.
    async fn ways(&self) -> Result<HashMap<i64, Way>, DbErr> {
        let tree = places::store::tree(self.reads).await?;
        let way = |id: i64| tree.way(id).into_iter().map(|place| place.name.clone()).collect();
        Ok(tree.in_order().into_iter().map(|(_, place)| (place.id, way(place.id))).collect())
    }

    /// Returns the attachments of these records that the user sees, with what is known of their files.
    async fn attachments(&self, rows: &[Model]) -> Result<HashMap<i64, Vec<(attachment::Model, File)>>, DbErr> {
        let ids: Vec<_> = rows.iter().filter(|row| self.sees_attachments(row)).map(|row| row.id).collect();
        let mut found: HashMap<i64, Vec<_>> = HashMap::new();
        if ids.is_empty() {
            return Ok(found);
        }
        let files = self.reads.rows(&files(&ids), |row| Ok((row.get(0)?, (row.get(1)?, row.get(2)?)))).await?;
        let files: HashMap<String, File> = files.into_iter().collect();
        for attachment in self.reads.all(attached(&ids)).await? {
            if let Some(file) = files.get(&attachment.hash) {
                found.entry(attachment.record_id).or_default().push((attachment, file.clone()));
            }
        }
        Ok(found)
    }

    fn sees_attachments(&self, row: &Model) -> bool {
        !self.viewer.is_guest() || row.guests_see_attachments
    }

    fn portable(&self, record: Record, attachments: Vec<(attachment::Model, File)>, place: Way) -> PortableRecord {
        let Record { row, details } = record;
        let name = |id: Option<i64>| id.and_then(|id| self.people.get(&id)).cloned();
        let folder = folder(row.id, &row.title);
        let mut names = Names::with(&[super::RECORD]);
        let attachment = |(attachment, (bytes, media_type)): (attachment::Model, File)| PortableAttachment {
            path: format!("{folder}/{}", names.take(&attachment.name)),
            name: attachment.name,
            role: attachment.role,
            bytes: u64::try_from(bytes).unwrap_or_default(),
            media_type: Some(media_type),
            blake3: attachment.hash,
            added_by: name(attachment.added_by),
            added_at: Some(attachment.added_at.to_string()),
        };
        PortableRecord {
            attachments: attachments.into_iter().map(attachment).collect(),
            id: row.id,
            title: row.title,
            kind: PortableKind(row.kind),
            category: row.category,
            notes: row.notes,
            fields: details.fields.into_iter().map(PortableField::from).collect(),
            tags: details.tags,
            place,
            due_date: row.due_date.map(|day| day.to_string()),
            visibility: row.visibility,
            guests_see_attachments: row.guests_see_attachments,
            added_by: name(row.owner_id),
            created_at: Some(row.created_at.to_string()),
            updated_at: Some(row.updated_at.to_string()),
        }
    }
}

/// The length and the type of a file.
type File = (i64, String);

impl From<Field> for PortableField {
    fn from(field: Field) -> Self {
        let (amount, currency) = field.money.map(|money| (money.amount, money.currency)).unzip();
        Self { key: field.key, label: field.label, value: field.value, amount, currency }
    }
}

/// The ids as one value, so that a statement is the same for any number of them.
fn list(ids: &[i64]) -> String {
    format!("[{}]", ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(","))
}

fn attached(ids: &[i64]) -> Select<attachment::Entity> {
    use attachment::Column::{Id, Position, RecordId};
    let of_these = Expr::cust_with_values(r#""record_id" IN (SELECT "value" FROM json_each(?))"#, [list(ids)]);
    attachment::Entity::find().filter(of_these).order_by_asc(RecordId).order_by_asc(Position).order_by_asc(Id)
}

/// What is known of the files of these records, without their texts.
fn files(ids: &[i64]) -> Statement {
    use file::Column::{Bytes, Hash, MediaType};
    let of_these = Expr::cust_with_values(
        r#""hash" IN (SELECT "hash" FROM "attachment" WHERE "record_id" IN (SELECT "value" FROM json_each(?)))"#,
        [list(ids)],
    );
    file::Entity::find().select_only().columns([Hash, Bytes, MediaType]).filter(of_these).build(DbBackend::Sqlite)
}
