//! Which questions does the app ask about records, and what does it write?
//!
//! Every statement on the table `record` starts here. Whoever adds a read adds it to the self-test too; the test
//! `the_self_test_covers_every_read_of_the_api` compares what both prepare.

use poem::http::StatusCode;
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, IntoActiveModel, Iterable, QueryFilter,
    QueryOrder, QuerySelect, Select, Statement,
    sea_query::{Alias, DynIden, IntoIden, Order as Direction, Query, SimpleExpr},
};

use super::{
    details::{self, Details},
    draft::Draft,
    entity::{ActiveModel, Column, Entity, HOUSEHOLD, Model, Visibility, has_known_visibility},
    indexing::{self, Indexed, Texts, Within},
    search,
};
use crate::{
    auth::{
        audit_log::{self, Actor, Kind},
        authority::AuthorizedDatabase,
        caller::Caller,
        idempotency::{self, Once},
        role::Role,
    },
    datetime::Timestamp,
    db::{Abort, DirectReads, Tx, difference},
    http::{FieldError, Precondition, Problem},
};

/// Who looks: what is somebody else's alone is not there for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Viewer {
    user_id: i64,
    role: Role,
}

impl Viewer {
    /// Returns somebody of the household.
    pub(crate) fn of(caller: &Caller) -> Self {
        Self { user_id: caller.user.id, role: caller.role() }
    }

    /// Returns somebody with this number.
    pub(crate) fn with_id(user_id: i64) -> Self {
        Self { user_id, role: Role::Member }
    }

    /// Returns a guest.
    pub(crate) fn guest() -> Self {
        Self { user_id: 0, role: Role::Guest }
    }

    /// The scopes of what they see, as the indexes have them: 0 is the household's.
    pub(crate) fn scopes(self) -> Vec<i64> {
        match self.role {
            Role::Guest => vec![HOUSEHOLD],
            _ => vec![HOUSEHOLD, self.user_id],
        }
    }

    /// Whether they are no more than a guest.
    pub(crate) fn is_guest(self) -> bool {
        self.role == Role::Guest
    }

    /// What they see. A guest sees the household's alone, also who kept records of their own before they were one.
    fn sees(self) -> Condition {
        let household = Condition::any().add(Column::Visibility.eq(Visibility::Household));
        match self.role {
            Role::Guest => household,
            _ => Condition::all().add(household.add(Column::OwnerId.eq(self.user_id))).add(has_known_visibility()),
        }
    }
}

/// A record with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) row: Model,
    pub(crate) details: Details,
}

impl Record {
    /// Returns how many bytes its texts have, nearly all of what it takes on a page of the API.
    pub(crate) fn text_bytes(&self) -> usize {
        let fields: usize = self.details.fields.iter().map(|field| field.label.len() + field.value.len()).sum();
        self.row.text_bytes() + fields
    }
}

/// The refusal of a record that is not there, or not for the viewer.
pub(crate) fn no_such_record(id: i64) -> Problem {
    Problem::not_found(format!("There is no record with the id {id}."))
}

/// The same on a page, to a person who may have the link from somebody else.
pub(crate) fn no_visible_record(id: i64) -> Problem {
    Problem::not_found(format!("There is no record with the id {id}, or it is private to another user."))
}

/// Returns the record with this id, if the viewer sees it.
pub(crate) async fn find(reads: &DirectReads, viewer: Viewer, id: i64) -> Result<Option<Model>, DbErr> {
    reads.one(by_id(viewer, id)).await
}

/// Returns the record with this id and its details, if the viewer sees it.
pub(crate) async fn find_whole(reads: &DirectReads, viewer: Viewer, id: i64) -> Result<Option<Record>, DbErr> {
    let Some(row) = find(reads, viewer, id).await? else { return Ok(None) };
    Ok(Some(Record { row, details: details::of(reads, &[id]).await?.remove(&id).unwrap_or_default() }))
}

/// Returns the records with their details.
pub(crate) async fn whole(reads: &DirectReads, rows: Vec<Model>) -> Result<Vec<Record>, DbErr> {
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let mut found = details::of(reads, &ids).await?;
    let record = |row: Model| Record { details: found.remove(&row.id).unwrap_or_default(), row };
    Ok(rows.into_iter().map(record).collect())
}

/// As [`find`], within a transaction.
pub(super) async fn get(tx: &Tx, viewer: Viewer, id: i64) -> Result<Option<Model>, DbErr> {
    by_id(viewer, id).one(tx).await
}

fn by_id(viewer: Viewer, id: i64) -> Select<Entity> {
    Entity::find_by_id(id).filter(viewer.sees())
}

/// Adds a record.
pub(crate) async fn create(
    database: &AuthorizedDatabase,
    caller: &Caller,
    draft: Draft,
    once: Option<Once>,
) -> Result<Record, Problem> {
    // What takes time is done here, before all other writes have to wait for it.
    let row = draft.applied(&Model::new(Some(caller.user.id)));
    let details = draft.details(&Details::default());
    let without_place = row.place_id.is_none().then(|| Indexed::new(Texts::of(&row), &details, &[]));
    database
        .write(caller, async move |tx, caller| {
            if let Some(id) = idempotency::earlier(tx, caller, once.as_ref()).await? {
                let row = get(tx, Viewer::of(caller), id).await?.ok_or_else(|| deleted_since(id))?;
                return Ok(Record { details: details::read(tx, id).await?, row });
            }
            let places = checked_places(tx, &row).await?;
            let indexed = without_place.clone().unwrap_or_else(|| Indexed::new(Texts::of(&row), &details, &places));
            let row = insert(tx, row.clone(), &details, &indexed).await?;
            idempotency::keep(tx, caller, once.as_ref(), row.id).await?;
            Ok(Record { row, details: details.clone() })
        })
        .await
}

/// The refusal to create again what was created and deleted.
fn deleted_since(id: i64) -> Problem {
    Problem::new(StatusCode::GONE).detail(format!(
        "An earlier request with this Idempotency-Key created the record {id}, which was deleted since. Nothing was created."
    ))
}

/// Returns the places that a record is in; refuses one that is not there.
async fn checked_places(tx: &Tx, row: &Model) -> Result<Vec<Within>, Abort<Problem>> {
    let places = indexing::places(tx, row.place_id).await?;
    if places.is_empty() && row.place_id.is_some() {
        return Err(Problem::fields(vec![FieldError::new("place_id", "is not the id of a place")]).into());
    }
    Ok(places)
}

/// Inserts a record that was not there, under its id unless that is 0, with its details and its index. The index takes it as new.
async fn insert(tx: &Tx, mut row: Model, details: &Details, indexed: &Indexed) -> Result<Model, DbErr> {
    row.title_key = Some(indexed.title_key());
    let result = tx.execute_raw(insertion(&row, Some(indexed))).await?;
    row.id = i64::try_from(result.last_insert_id()).map_err(|_| DbErr::UnpackInsertId)?;
    details::write(tx, row.id, &Details::default(), details).await?;
    search::add(tx, row.id, indexed.tokens.clone());
    Ok(row)
}

/// Inserts one of many records, for which others wait to write: the search is told of it by `stale::fold_marked` after the commit.
/// Its place in the order of titles has to be in the row.
pub(super) async fn insert_stale(tx: &Tx, mut row: Model, details: &Details) -> Result<Model, DbErr> {
    let result = tx.execute_raw(insertion(&row, None)).await?;
    row.id = i64::try_from(result.last_insert_id()).map_err(|_| DbErr::UnpackInsertId)?;
    details::write(tx, row.id, &Details::default(), details).await?;
    Ok(row)
}

/// Returns what adds a row, with what is made from its texts, if that is known.
fn insertion(record: &Model, indexed: Option<&Indexed>) -> Statement {
    let mut row = record.clone().into_active_model().reset_all();
    if record.id == 0 {
        row.id = NotSet;
    }
    let columns = Column::iter().filter_map(|column| Some((column.into_iden(), row.take(column).into_value()?.into())));
    let derived = indexed.map(Indexed::columns).into_iter().flatten();
    let derived = derived.map(|(name, value)| (name.into_iden(), value));
    let (columns, values): (Vec<DynIden>, Vec<SimpleExpr>) = columns.chain(derived).unzip();
    let mut insert = Query::insert();
    DbBackend::Sqlite.build(insert.into_table(Entity).columns(columns).values_panic(values))
}

/// Puts back a record under its old id.
pub(super) async fn put_back(tx: &Tx, row: Model, details: &Details) -> Result<Model, DbErr> {
    let places = indexing::places(tx, row.place_id).await?;
    let indexed = Indexed::new(Texts::of(&row), details, &places);
    insert(tx, row, details, &indexed).await
}

/// Changes a record and returns it as it is then; `None` when the viewer sees none with this id.
pub(crate) async fn update(
    database: &AuthorizedDatabase,
    caller: &Caller,
    id: i64,
    draft: Draft,
    precondition: Precondition,
) -> Result<Option<Record>, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let Some(before) = get_for_change(tx, caller, id, &precondition).await? else {
                return Ok(None);
            };
            Ok(Some(change(tx, caller, before, &draft).await?))
        })
        .await
}

/// Returns the record that is to be changed, if the caller sees it and it is as they know it.
pub(super) async fn get_for_change(
    tx: &Tx,
    caller: &Caller,
    id: i64,
    precondition: &Precondition,
) -> Result<Option<Model>, Abort<Problem>> {
    let Some(row) = get(tx, Viewer::of(caller), id).await? else { return Ok(None) };
    precondition.check(row.version)?;
    Ok(Some(row))
}

/// Changes a record by a draft, and returns it as it is then.
pub(super) async fn change(tx: &Tx, caller: &Caller, before: Model, draft: &Draft) -> Result<Record, Abort<Problem>> {
    if draft.changes_visibility(&before) && before.owner_id != Some(caller.user.id) {
        let error = FieldError::new("visibility", "is changed by who added the record alone");
        return Err(Problem::fields(vec![error]).into());
    }
    let old = details::read(tx, before.id).await?;
    let (row, details) = (draft.applied(&before), draft.details(&old));
    if row == before && details == old {
        return Ok(Record { row, details });
    }
    let row = write(tx, caller, &before, row, &old, &details).await?;
    if row.visibility != before.visibility {
        // Without its title: what is private now, or was, is named to nobody else.
        let subject = format!("record {}: {} → {}", row.id, before.visibility.name(), row.visibility.name());
        audit_log::write(tx, Kind::RecordVisibilityChanged, &Actor::caller(caller), &subject).await?;
    }
    Ok(Record { row, details })
}

/// Counts a record's version up, which keeps the version before, and returns it as it is then. Whoever changes what belongs to a
/// record calls this first.
pub(super) async fn begin_change(tx: &Tx, caller: &Caller, before: &Model) -> Result<Model, DbErr> {
    let row = counted_up(caller, before.clone());
    let update = difference::<_, ActiveModel>(before.clone(), row.clone());
    Entity::update_many().filter(Column::Id.eq(row.id)).set(update).exec(tx).await?;
    Ok(row)
}

fn counted_up(caller: &Caller, row: Model) -> Model {
    let version = row.version + 1;
    Model {
        version,
        updated_at: Timestamp::now(),
        changed_by: Some(caller.user.id),
        changed_version: Some(version),
        ..row
    }
}

/// Writes what differs, and into the index only what it needs to know.
async fn write(
    tx: &Tx,
    caller: &Caller,
    before: &Model,
    row: Model,
    old: &Details,
    details: &Details,
) -> Result<Model, Abort<Problem>> {
    let mut row = counted_up(caller, row);
    let indexed_parts =
        |row: &Model| (row.title.clone(), row.category.clone(), row.notes.clone(), row.kind, row.place_id, row.scope());
    let is_indexed_anew = indexed_parts(before) != indexed_parts(&row) || old != details;
    let mut update = Entity::update_many().filter(Column::Id.eq(row.id));
    let mut indexed = None;
    if is_indexed_anew {
        let places = checked_places(tx, &row).await?;
        let made = Indexed::new(Texts::of(&row), details, &places);
        row.title_key = Some(made.title_key());
        for (name, value) in made.columns() {
            update = update.col_expr(name, value);
        }
        indexed = Some(made);
    }
    update.set(difference::<_, ActiveModel>(before.clone(), row.clone())).exec(tx).await?;
    details::write(tx, row.id, old, details).await?;
    if let Some(indexed) = indexed {
        search::index(tx, row.id, indexed.tokens);
    }
    if before.scope() != row.scope() {
        indexing::index_files(tx, row.id, row.scope()).await?;
    }
    Ok(row)
}

/// Marks records as not known to the search as they are, such as those in a place that was renamed; `stale::fold_stale` makes
/// them known after the commit.
pub(super) async fn mark_stale(tx: &Tx, which: SimpleExpr) -> Result<(), DbErr> {
    Entity::update_many().col_expr(Alias::new("fold_version"), 0.into()).filter(which).exec(tx).await.map(drop)
}

/// Deletes a record, which a trigger moves to the trash.
pub(super) async fn remove(tx: &Tx, id: i64) -> Result<(), DbErr> {
    Entity::delete_by_id(id).exec(tx).await.map(drop)
}

/// Returns the records behind this id that the viewer sees, so many of them, in the order of their ids.
pub(crate) async fn behind(reads: &DirectReads, viewer: Viewer, id: i64, limit: u64) -> Result<Vec<Model>, DbErr> {
    reads
        .all(Entity::find().filter(viewer.sees()).filter(Column::Id.gt(id)).order_by_asc(Column::Id).limit(limit))
        .await
}

/// Returns the records with the lowest ids, or the highest: both ends of the table, for the self-test.
pub(crate) async fn end(reads: &DirectReads, direction: Direction, limit: u64) -> Result<Vec<Model>, DbErr> {
    reads.all(Entity::find().filter(has_known_visibility()).order_by(Column::Id, direction).limit(limit)).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        auth::{caller::Credential, users},
        datetime::Day,
        db::{
            Access, Database,
            for_tests::{in_one_transaction, migrated},
        },
        http::IdempotencyKey,
    };

    const OWNER_AND_ALARM: &str = "
        INSERT INTO user (id, name, email, role, created_at, updated_at)
            VALUES (1, 'Anna', 'anna@example.org', 'owner', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z');
        INSERT INTO account (user_id, provider, provider_id, created_at, updated_at)
            VALUES (1, 'tailscale', 'anna@example.org', '2026-11-24T12:00:00.000Z', '2026-11-24T12:00:00.000Z');
        CREATE TRIGGER alarm AFTER UPDATE OF title, category, notes ON record
            BEGIN SELECT RAISE(ABORT, 'the texts were written'); END;";

    #[tokio::test]
    async fn a_new_due_date_does_not_index_the_texts_again() {
        let (_directory, path) = migrated(OWNER_AND_ALARM).await;
        let database = Arc::new(Database::open(&path, Access::Write).await.unwrap());
        let user = users::get(database.reads(), 1).await.unwrap().unwrap();
        let caller = Caller { user, by: Credential::Tailscale, client: Default::default() };
        let writes = AuthorizedDatabase::new(database.clone());
        let texts = Draft {
            title: Some("Boiler".to_owned()),
            category: Some("house".to_owned()),
            notes: Some("yearly".to_owned()),
            ..Draft::default()
        };
        let id = create(&writes, &caller, texts.clone(), None).await.unwrap().row.id;
        let day: Option<Day> = Some("2027-01-31".parse().unwrap());
        // As the page sends it: with the texts as they were.
        let due = Draft { due_date: Some(day), ..texts };
        assert_eq!(update(&writes, &caller, id, due, Precondition::Any).await.unwrap().unwrap().row.due_date, day);
        let kept = find(database.direct(), Viewer::of(&caller), id).await.unwrap().unwrap();
        assert_eq!((&*kept.title, kept.due_date), ("Boiler", day));
        let title = Draft { title: Some("Stove".to_owned()), ..Draft::default() };
        assert!(update(&writes, &caller, id, title, Precondition::Any).await.is_err(), "the alarm works");
        database.close().await;
    }

    #[tokio::test]
    async fn of_two_requests_with_one_key_in_one_transaction_one_creates() {
        let (_directory, path) = migrated(OWNER_AND_ALARM).await;
        let database = Arc::new(Database::open(&path, Access::Write).await.unwrap());
        let user = users::get(database.reads(), 1).await.unwrap().unwrap();
        let caller = Caller { user, by: Credential::Tailscale, client: Default::default() };
        let writes = AuthorizedDatabase::new(database.clone());
        let once = Once::new(IdempotencyKey(Some("key".to_owned())), "create_record", &"body".to_owned());
        let draft = Draft { title: Some("Boiler".to_owned()), ..Draft::default() };
        let add = || create(&writes, &caller, draft.clone(), once.clone());
        let (first, second) = in_one_transaction(&database, async { tokio::join!(add(), add()) }).await;
        assert_eq!(first.unwrap(), second.unwrap());
        let count = rusqlite::Connection::open(&path)
            .unwrap()
            .query_row("SELECT count(*) FROM record", [], |row| row.get::<_, i64>(0));
        assert_eq!(count.unwrap(), 1);
        database.close().await;
    }
}
