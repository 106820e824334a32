//! Which questions does the app ask about records, and what does it write?
//!
//! Every statement on the table `record` starts here. Whoever adds a read adds it to the self-test too; the test
//! `the_self_test_covers_every_read_of_the_api` compares what both prepare.

use futures_util::TryStreamExt;
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::NotSet,
    ColumnTrait, Condition, ConnectionTrait, DatabaseConnection, DbErr, EntityTrait, IntoActiveModel, QueryFilter,
    QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, Order as Direction, SimpleExpr},
};

use super::{
    draft::{Change, Draft},
    entity::{ActiveModel, Column, Entity, Model, Visibility},
    listing::{Listing, Order, Page, Place},
    search,
};
use crate::{
    auth::{
        acting::AuthorizedDatabase,
        audit_log::{self, Actor, Kind},
        caller::Caller,
        role::Role,
    },
    db::difference,
    http::{FieldError, Problem},
    when::Moment,
};

/// A page ends early when its texts hold more than this: 200 records with the longest notes would be 80 MB.
const PAGE_BYTES: usize = 4 << 20;

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

    /// What they see. A guest sees the household's alone, also who kept records of their own before they were one.
    fn sees(self) -> Condition {
        let household = Condition::any().add(Column::Visibility.eq(Visibility::Household));
        match self.role {
            Role::Guest => household,
            _ => household.add(Column::OwnerId.eq(self.user_id)),
        }
    }
}

/// Returns the record with this id, if the viewer sees it.
pub(crate) async fn get(reads: &impl ConnectionTrait, viewer: Viewer, id: i64) -> Result<Option<Model>, DbErr> {
    Entity::find_by_id(id).filter(viewer.sees()).one(reads).await
}

/// Returns a page of the list that the viewer sees.
pub(crate) async fn list(reads: &DatabaseConnection, viewer: Viewer, listing: &Listing) -> Result<Page, DbErr> {
    let mut page = Page::default();
    let mut room = Room { rows: listing.limit, bytes: PAGE_BYTES };
    for query in stretches(listing).into_iter().map(|query| query.filter(viewer.sees())) {
        if !fill(&mut page, &mut room, reads, query).await? {
            // There is more; the last record is where the next page begins.
            page.next = page.records.last().map(|record| Place::behind(record, listing.order));
            return Ok(page);
        }
    }
    Ok(page)
}

/// What still fits on a page.
struct Room {
    rows: u64,
    bytes: usize,
}

/// Adds what a query finds to the page; returns whether all of it had room.
async fn fill(
    page: &mut Page,
    room: &mut Room,
    reads: &DatabaseConnection,
    query: Select<Entity>,
) -> Result<bool, DbErr> {
    // One more than there is room for tells whether there is a next page.
    let mut found = query.limit(room.rows + 1).stream(reads).await?;
    while let Some(record) = found.try_next().await? {
        let bytes = record.title.len() + record.category.len() + record.notes.len();
        let fits = room.rows > 0 && (bytes <= room.bytes || page.records.is_empty());
        if !fits {
            return Ok(false);
        }
        room.rows -= 1;
        room.bytes = room.bytes.saturating_sub(bytes);
        page.records.push(record);
    }
    Ok(true)
}

/// The queries whose results, one after the other, are the list: one for each stretch that an index runs through.
fn stretches(listing: &Listing) -> Vec<Select<Entity>> {
    let all = filtered(listing);
    let id = || column(Column::Id);
    match listing.order {
        Order::Updated => {
            let key = || column(Column::UpdatedAt);
            let query = match &listing.after {
                Some(Place::Updated(moment, last)) => {
                    all.filter(pair(key(), id()).lt(values(moment.to_string(), *last)))
                }
                _ => all,
            };
            vec![query.order_by(key(), Direction::Desc).order_by(id(), Direction::Desc)]
        }
        Order::Title => {
            let query = match &listing.after {
                Some(Place::Title(title, last)) => {
                    all.filter(pair(search::alphabetical_title(), id()).gt(values(title.clone(), *last)))
                }
                _ => all,
            };
            vec![query.order_by(search::alphabetical_title(), Direction::Asc).order_by(id(), Direction::Asc)]
        }
        Order::Due => {
            let key = || column(Column::DueDate);
            let dated = all
                .clone()
                .filter(Column::DueDate.is_not_null())
                .order_by(key(), Direction::Asc)
                .order_by(id(), Direction::Asc);
            let never = all.filter(Column::DueDate.is_null()).order_by(id(), Direction::Asc);
            match &listing.after {
                Some(Place::Due(Some(day), last)) => {
                    vec![dated.filter(pair(key(), id()).gt(values(day.to_string(), *last))), never]
                }
                Some(Place::Due(None, last)) => vec![never.filter(id().gt(*last))],
                _ => vec![dated, never],
            }
        }
    }
}

fn filtered(listing: &Listing) -> Select<Entity> {
    let mut query = Entity::find();
    if let Some(search) = &listing.search {
        query = query.filter(search.condition());
    }
    if let Some(category) = &listing.category {
        query = query.filter(Column::Category.eq(category));
    }
    if let Some(day) = listing.due_before {
        query = query.filter(Column::DueDate.lt(day));
    }
    query
}

fn column(column: Column) -> SimpleExpr {
    Expr::col((Entity, column))
}

fn pair(key: SimpleExpr, id: SimpleExpr) -> SimpleExpr {
    Expr::tuple([key, id])
}

fn values(key: String, id: i64) -> SimpleExpr {
    Expr::tuple([Expr::val(key), Expr::val(id)])
}

/// Adds a record.
pub(crate) async fn create(database: &AuthorizedDatabase, caller: &Caller, draft: Draft) -> Result<Model, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let Draft { title, category, notes, due_date, visibility } = draft.clone();
            let (id, now, owner_id) = (0, Moment::now(), Some(caller.user.id));
            let (created_at, updated_at) = (now, now);
            let record = Model { id, title, category, notes, due_date, created_at, updated_at, owner_id, visibility };
            let row = ActiveModel { id: NotSet, ..record.clone().into_active_model().reset_all() };
            let id = Entity::insert(row).exec(tx).await?.last_insert_id;
            Ok(Model { id, ..record })
        })
        .await
}

/// Changes a record and returns it as it is then; `None` when the viewer sees none with this id.
pub(crate) async fn update(
    database: &AuthorizedDatabase,
    caller: &Caller,
    id: i64,
    change: Change,
) -> Result<Option<Model>, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let viewer = Viewer::of(caller);
            let Some(before) = get(tx, viewer, id).await? else {
                return Ok(None);
            };
            if change.changes_visibility(&before) && before.owner_id != Some(viewer.user_id) {
                let error = FieldError::new("visibility", "is changed by who added the record alone");
                return Err(Problem::fields(vec![error]).into());
            }
            let mut record = change.applied(&before);
            if record != before {
                record.updated_at = Moment::now();
                Entity::update(difference(before.clone(), record.clone())).exec(tx).await?;
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

/// Removes a record; returns whether there was one that the caller sees.
pub(crate) async fn delete(database: &AuthorizedDatabase, caller: &Caller, id: i64) -> Result<bool, Problem> {
    database
        .write(caller, async move |tx, caller| {
            let Some(record) = get(tx, Viewer::of(caller), id).await? else {
                return Ok(false);
            };
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
pub(crate) async fn end(reads: &DatabaseConnection, direction: Direction, limit: u64) -> Result<Vec<Model>, DbErr> {
    Entity::find().order_by(Column::Id, direction).limit(limit).all(reads).await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        auth::{caller::By, users},
        db::{Access, Database},
        when::Day,
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
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.db");
        std::fs::write(&path, "").unwrap();
        migrator::up(&path, &migrator::Release::current(), &mut |_| {}).await.unwrap();
        rusqlite::Connection::open(&path).unwrap().execute_batch(OWNER_AND_ALARM).unwrap();
        let database = Arc::new(Database::open(&path, Access::Write).await.unwrap());
        let user = users::get(database.reads(), 1).await.unwrap().unwrap();
        let caller = Caller { user, by: By::Tailscale, place: Default::default() };
        let writes = AuthorizedDatabase::new(database.clone());
        let draft = Draft::check("Boiler", "house", "yearly".to_owned(), None, Visibility::Household).unwrap();
        let id = create(&writes, &caller, draft).await.unwrap().id;
        let day: Option<Day> = Some("2027-01-31".parse().unwrap());
        // As the page sends it: with the texts as they were.
        let due = Change::check(Some("Boiler"), Some("house"), Some("yearly".to_owned()), Some(day), None).unwrap();
        assert_eq!(update(&writes, &caller, id, due).await.unwrap().unwrap().due_date, day);
        let kept = get(database.reads(), Viewer::of(&caller), id).await.unwrap().unwrap();
        assert_eq!((&*kept.title, kept.due_date), ("Boiler", day));
        let title = Change::check(Some("Stove"), None, None, None, None).unwrap();
        assert!(update(&writes, &caller, id, title).await.is_err(), "the alarm works");
        database.close().await;
    }
}
