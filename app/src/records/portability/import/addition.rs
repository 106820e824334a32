//! How is all that was read added at once?
//!
//! In one transaction, after every file is in the content store: killed anywhere, either all records are there with their files, or
//! none is, and a file that nobody refers to does no harm. Nothing that is there already is changed.
//!
//! Other saves wait for that transaction, so it holds nothing but rows. What the search is told of them takes several
//! times as long, and comes after it in small ones; what the end of the app leaves of these is done at its next start.

use std::collections::HashMap;

use sea_orm::{
    ActiveValue::{NotSet, Set},
    DbErr, EntityTrait,
    sea_query::OnConflict,
};

use super::{Incoming, IncomingFile, LeftOut, Reading};
use crate::{
    auth::{
        audit_log::{self, Actor},
        authority::AuthorizedDatabase,
        caller::Caller,
        idempotency::{self, Once},
    },
    datetime::Timestamp,
    db::{Abort, Tx},
    fault,
    http::Problem,
    records::{
        attachments::{
            Attachments, check_quota,
            entity::{attachment, file},
        },
        details::Details,
        entity::Model,
        fold::{category_key, title_key},
        places::{self, entity as place},
        portability::format::Way,
        stale, store,
    },
};

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in super::super) struct Report {
    pub(in super::super) records: usize,
    pub(in super::super) attachments: usize,
    pub(in super::super) left_out: Vec<LeftOut>,
    /// Whether an earlier request did it.
    pub(in super::super) was_done: bool,
}

/// Adds what was read, all or nothing.
pub(in super::super) async fn add(
    database: &AuthorizedDatabase,
    caller: &Caller,
    attachments: &Attachments,
    reading: Reading,
    from: &'static str,
    once: Option<Once>,
) -> Result<Report, Problem> {
    let (limits, bytes) = (attachments.limits, reading.file_bytes());
    let Reading { records, places, left_out } = reading;
    let records: Vec<_> = records.into_iter().map(|record| Prepared::new(record, caller)).collect();
    let report = Report {
        records: records.len(),
        attachments: records.iter().map(|record| record.files.len()).sum(),
        left_out,
        was_done: false,
    };
    if records.is_empty() && places.is_empty() {
        return Ok(report);
    }
    let report = database
        .write(caller, async move |tx, caller| {
            if idempotency::earlier(tx, caller, once.as_ref()).await?.is_some() {
                return Ok(Report { was_done: true, ..Report::default() });
            }
            // Others may have attached something since the files were stored.
            check_quota(tx, limits, bytes).await?;
            let mut known = Places::read(tx).await?;
            for way in &places {
                known.make(tx, way).await?;
            }
            let mut first = None;
            for record in &records {
                let id = add_one(tx, caller, &mut known, record).await?;
                first = first.or(Some(id));
                fault::hit("app.adding").map_err(|error| DbErr::Custom(error.to_string()))?;
            }
            idempotency::keep(tx, caller, once.as_ref(), first.unwrap_or_default()).await?;
            let subject = match report.records {
                1 => format!("1 record from {from}"),
                number => format!("{number} records from {from}"),
            };
            audit_log::write(tx, audit_log::Kind::BinderImported, &Actor::caller(caller), &subject).await?;
            Ok(report.clone())
        })
        .await?;
    stale::fold_marked(database).await;
    Ok(report)
}

/// A record with all that can be known of its row before the transaction.
struct Prepared {
    row: Model,
    details: Details,
    place: Way,
    files: Vec<IncomingFile>,
}

impl Prepared {
    fn new(record: Incoming, caller: &Caller) -> Self {
        let mut row = record.draft.applied(&Model::new(Some(caller.user.id)));
        row.created_at = record.created_at.unwrap_or(row.created_at);
        row.updated_at = record.updated_at.unwrap_or(row.created_at.max(row.updated_at));
        row.title_key = Some(title_key(&row.title));
        Self { row, details: record.draft.details(&Details::default()), place: record.place, files: record.files }
    }
}

async fn add_one(tx: &Tx, caller: &Caller, places: &mut Places, record: &Prepared) -> Result<i64, Abort<Problem>> {
    let mut row = record.row.clone();
    row.place_id = places.make(tx, &record.place).await?;
    let row = store::insert_stale(tx, row, &record.details).await?;
    for (position, file) in (0..).zip(&record.files) {
        attach(tx, caller, row.id, position, file).await?;
    }
    Ok(row.id)
}

async fn attach(tx: &Tx, caller: &Caller, record_id: i64, position: i64, file: &IncomingFile) -> Result<(), DbErr> {
    let kept = &file.kept;
    let row = file::ActiveModel {
        hash: Set(kept.hash.clone()),
        bytes: Set(i64::try_from(kept.bytes).map_err(|error| DbErr::Custom(error.to_string()))?),
        media_type: Set(kept.media_type.to_owned()),
        text: kept.has_no_text().then(|| Some(String::new())).map_or(NotSet, Set),
    };
    let known = OnConflict::column(file::Column::Hash).do_nothing().to_owned();
    file::Entity::insert(row).on_conflict(known).exec_without_returning(tx).await?;
    let row = attachment::ActiveModel {
        id: NotSet,
        record_id: Set(record_id),
        hash: Set(kept.hash.clone()),
        name: Set(file.name.clone()),
        role: Set(file.role),
        position: Set(position),
        added_by: Set(Some(caller.user.id)),
        added_at: Set(file.added_at.unwrap_or_else(Timestamp::now)),
    };
    attachment::Entity::insert(row).exec_without_returning(tx).await.map(drop)
}

/// The places that are there, each by what it is in and the key of its name.
struct Places(HashMap<(Option<i64>, String), i64>);

impl Places {
    async fn read(tx: &Tx) -> Result<Self, DbErr> {
        let all = place::Entity::find().all(tx).await?;
        Ok(Self(all.into_iter().map(|place| ((place.parent_id, place.name_key), place.id)).collect()))
    }

    /// Returns the place that a way leads to, and makes what is missing on it. An empty way leads nowhere.
    async fn make(&mut self, tx: &Tx, way: &Way) -> Result<Option<i64>, Abort<Problem>> {
        let mut inside = None;
        for name in way {
            let key = (inside, category_key(name));
            let id = match self.0.get(&key) {
                Some(id) => *id,
                None => {
                    let id = places::store::add_new(tx, name, inside).await?;
                    self.0.insert(key, id);
                    id
                }
            };
            inside = Some(id);
        }
        Ok(inside)
    }
}
