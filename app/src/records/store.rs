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
    draft::Draft,
    entity::{ActiveModel, Column, Entity, Model, Visibility},
    fold::{FOLD_VERSION, Folded},
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
    db::{Database, DbError, DirectReads, Tx, difference},
    failure::Failure,
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

    /// The scopes of what they see, as the indexes have them: 0 is the household's.
    pub(crate) fn scopes(self) -> Vec<i64> {
        match self.role {
            Role::Guest => vec![HOUSEHOLD],
            _ => vec![HOUSEHOLD, self.user_id],
        }
    }

    /// What they see. A guest sees the household's alone, also who kept records of their own before they were one.
    fn sees(self) -> Condition {
        let household = Condition::any().add(Column::Visibility.eq(Visibility::Household));
        match self.role {
            Role::Guest => household,
            _ => household.add(Column::OwnerId.eq(self.user_id)),
        }
    }
}

/// The scope of what everybody sees.
pub(super) const HOUSEHOLD: i64 = 0;

/// In which scope a record is.
fn scope(record: &Model) -> i64 {
    match record.visibility {
        Visibility::Household => HOUSEHOLD,
        Visibility::Private => record.owner_id.unwrap_or(-1),
    }
}

/// Returns the record with this id, if the viewer sees it.
pub(crate) async fn find(reads: &DirectReads, viewer: Viewer, id: i64) -> Result<Option<Model>, DbErr> {
    reads.one(by_id(viewer, id)).await
}

/// As [`find`], within a transaction.
async fn get(tx: &Tx, viewer: Viewer, id: i64) -> Result<Option<Model>, DbErr> {
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
) -> Result<Model, Problem> {
    // What takes time is done here, before all other writes have to wait for it.
    let mut record = draft.applied(&Model::new(Some(caller.user.id)));
    let folded = Folded::new(&record.title, &record.category, &record.notes);
    record.title_key = Some(folded.title_key.clone());
    let (statement, tokens) = (insertion(&record, &folded), folded.tokens(scope(&record)));
    database
        .write(caller, async move |tx, caller| {
            if let Some(id) = idempotency::earlier(tx, caller, once.as_ref()).await? {
                return Ok(get(tx, Viewer::of(caller), id).await?.ok_or_else(|| deleted_since(id))?);
            }
            let row = tx.execute_raw(statement.clone()).await?;
            let id = i64::try_from(row.last_insert_id()).map_err(|_| DbErr::UnpackInsertId)?;
            search::add(tx, id, tokens.clone());
            idempotency::keep(tx, caller, once.as_ref(), id).await?;
            Ok(Model { id, ..record.clone() })
        })
        .await
}

/// The refusal to create again what was created and deleted.
fn deleted_since(id: i64) -> Problem {
    Problem::new(StatusCode::GONE).detail(format!(
        "An earlier request with this Idempotency-Key created the record {id}, which was deleted since. Nothing was created."
    ))
}

/// Returns what adds a row, with what is made from its texts.
fn insertion(record: &Model, folded: &Folded) -> Statement {
    let mut row = ActiveModel { id: NotSet, ..record.clone().into_active_model().reset_all() };
    let columns = Column::iter().filter_map(|column| Some((column.into_iden(), row.take(column).into_value()?.into())));
    let derived = derived(folded).map(|(name, value)| (Alias::new(name).into_iden(), value));
    let (columns, values): (Vec<DynIden>, Vec<SimpleExpr>) = columns.chain(derived).unzip();
    let mut insert = Query::insert();
    DbBackend::Sqlite.build(insert.into_table(Entity).columns(columns).values_panic(values))
}

/// The columns that no record is read with: what the search and the order of the list need of its texts.
fn derived(folded: &Folded) -> [(&'static str, SimpleExpr); 3] {
    [
        ("folded", folded.text.as_str().into()),
        ("category_key", folded.category_key.as_str().into()),
        ("fold_version", FOLD_VERSION.into()),
    ]
}

/// Changes a record and returns it as it is then; `None` when the viewer sees none with this id.
pub(crate) async fn update(
    database: &AuthorizedDatabase,
    caller: &Caller,
    id: i64,
    draft: Draft,
    precondition: Precondition,
) -> Result<Option<Model>, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let viewer = Viewer::of(caller);
            let Some(before) = get(tx, viewer, id).await? else {
                return Ok(None);
            };
            precondition.check(before.version)?;
            if draft.changes_visibility(&before) && before.owner_id != Some(viewer.user_id) {
                let error = FieldError::new("visibility", "is changed by who added the record alone");
                return Err(Problem::fields(vec![error]).into());
            }
            let mut record = draft.applied(&before);
            if record != before {
                record.updated_at = Timestamp::now();
                record.version += 1;
                write(tx, before.clone(), &mut record).await?;
            }
            if record.visibility != before.visibility {
                // Without its title: what is private now, or was, is named to nobody else.
                let subject = format!("record {id}: {} → {}", before.visibility.name(), record.visibility.name());
                audit_log::write(tx, Kind::RecordVisibilityChanged, &Actor::caller(caller), &subject).await?;
            }
            Ok(Some(record))
        })
        .await
}

/// Writes what differs, and into the index only what it needs to know.
async fn write(tx: &Tx, before: Model, record: &mut Model) -> Result<(), DbErr> {
    let texts = |record: &Model| (record.title.clone(), record.category.clone(), record.notes.clone());
    let is_indexed_anew = texts(&before) != texts(record) || scope(&before) != scope(record);
    let folded = is_indexed_anew.then(|| Folded::new(&record.title, &record.category, &record.notes));
    if let Some(folded) = &folded {
        record.title_key = Some(folded.title_key.clone());
    }
    let mut update = Entity::update_many().filter(Column::Id.eq(record.id));
    for (name, value) in folded.iter().flat_map(derived) {
        update = update.col_expr(Alias::new(name), value);
    }
    update.set(difference::<_, ActiveModel>(before, record.clone())).exec(tx).await?;
    if let Some(folded) = &folded {
        search::index(tx, record.id, folded.tokens(scope(record)));
    }
    Ok(())
}

/// Removes a record; returns whether there was one that the caller sees.
pub(crate) async fn delete(
    database: &AuthorizedDatabase,
    caller: &Caller,
    id: i64,
    precondition: Precondition,
) -> Result<bool, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let Some(record) = get(tx, Viewer::of(caller), id).await? else {
                return Ok(false);
            };
            precondition.check(record.version)?;
            Entity::delete_by_id(id).exec(tx).await?;
            let subject = match record.visibility {
                Visibility::Household => format!("record {id} “{}”", record.title),
                Visibility::Private => format!("record {id}, seen by its owner only"),
            };
            audit_log::write(tx, Kind::RecordDeleted, &Actor::caller(caller), &subject).await?;
            Ok(true)
        })
        .await
}

/// Returns the records with the lowest ids, or the highest: both ends of the table, for the self-test.
pub(crate) async fn end(reads: &DirectReads, direction: Direction, limit: u64) -> Result<Vec<Model>, DbErr> {
    reads.all(Entity::find().order_by(Column::Id, direction).limit(limit)).await
}

/// Makes numbers of changes from before a restore worthless: they are given again from here on.
pub(crate) async fn begin_epoch(database: &Database) -> Result<(), Failure> {
    database
        .write_content(async |tx| {
            tx.execute_unprepared("UPDATE record_state SET epoch = lower(hex(randomblob(8)))").await?;
            Ok(())
        })
        .await
        .map_err(|error: DbError| {
            Failure::new(format!("the changes of the restored database cannot be numbered: {error}"))
                .hint("nothing was restored; what was there before is untouched")
        })
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
        let id = create(&writes, &caller, texts.clone(), None).await.unwrap().id;
        let day: Option<Day> = Some("2027-01-31".parse().unwrap());
        // As the page sends it: with the texts as they were.
        let due = Draft { due_date: Some(day), ..texts };
        assert_eq!(update(&writes, &caller, id, due, Precondition::Any).await.unwrap().unwrap().due_date, day);
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
