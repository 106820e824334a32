//! Which places are there, what is in them, and how do they change?
//!
//! A place is everybody's, and what is in it is counted for each viewer: records that others keep to themselves are not.

use std::collections::HashMap;

use poem::http::StatusCode;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ConnectionTrait, DbBackend, DbErr, EntityTrait, Statement,
    sea_query::Expr,
};

use super::{
    entity::{ActiveModel, Entity, Model},
    tree::Tree,
};
use crate::{
    auth::{
        authority::AuthorizedDatabase,
        caller::Caller,
        idempotency::{self, Once},
    },
    db::{Abort, DirectReads, Tx, difference},
    http::{FieldError, Problem, filled_line},
    records::{
        finality,
        fold::category_key,
        stale,
        store::{self, Viewer},
    },
};

/// Characters of a name.
pub(crate) const NAME_MAX: usize = 100;

/// All places, and how many records the viewer sees in each.
#[derive(Debug, Default)]
pub(crate) struct Places {
    pub(crate) tree: Tree,
    records: HashMap<i64, u64>,
}

impl Places {
    /// Returns places without records.
    #[cfg(test)]
    pub(crate) fn of_tree(tree: Tree) -> Self {
        Self { tree, records: HashMap::new() }
    }

    /// Returns how many records are in a place itself.
    pub(crate) fn records(&self, id: i64) -> u64 {
        self.records.get(&id).copied().unwrap_or_default()
    }

    /// Returns how many records are in a place and all that are in it.
    pub(crate) fn records_within(&self, id: i64) -> u64 {
        self.tree.within(id).into_iter().map(|id| self.records(id)).sum()
    }
}

/// Returns the places as a viewer sees them.
pub(crate) async fn list(reads: &DirectReads, viewer: Viewer) -> Result<Places, DbErr> {
    let tree = Tree::new(reads.all(Entity::find()).await?);
    let records = reads.rows(&counts(viewer, None), |row| Ok((row.get(0)?, row.get(1)?))).await?;
    Ok(Places { tree, records: records.into_iter().collect() })
}

/// Returns the tree alone.
pub(crate) async fn tree(reads: &DirectReads) -> Result<Tree, DbErr> {
    Ok(Tree::new(reads.all(Entity::find()).await?))
}

/// Counts what a viewer sees in each place, or in one. Each place is looked up in the index of places for each scope that they
/// see, so that nothing is read of what they do not.
fn counts(viewer: Viewer, id: Option<i64>) -> Statement {
    let one = r#"(SELECT count(*) FROM "record" WHERE "record"."place_id" = "place"."id" AND "record"."scope" = ?)"#;
    let scopes = viewer.scopes();
    let sum = vec![one; scopes.len()].join(" + ");
    let condition = if id.is_some() { r#" WHERE "place"."id" = ?"# } else { "" };
    let values = scopes.into_iter().chain(id).map(Into::into);
    let sql = format!(r#"SELECT "place"."id", {sum} FROM "place"{condition}"#);
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, values)
}

/// Asks whether any record is in a place, whoever sees it.
fn any_record(id: i64) -> Statement {
    let sql = r#"SELECT "record"."id" FROM "record" WHERE "record"."place_id" = ? LIMIT 1"#;
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, [id.into()])
}

/// Reads through each query, for the self-test.
pub(crate) async fn self_test(reads: &DirectReads) -> Result<(), DbErr> {
    let places = list(reads, Viewer::with_id(1)).await?;
    let id = places.tree.in_order().first().map_or(1, |(_, place)| place.id);
    let nothing = |_: &rusqlite::Row<'_>| Ok(());
    for statement in [counts(Viewer::guest(), None), counts(Viewer::with_id(1), Some(id)), any_record(id)] {
        reads.rows(&statement, nothing).await?;
    }
    reads.one(Entity::find_by_id(id)).await.map(drop)
}

/// Returns a name as it is kept, or what is wrong with it.
fn checked(name: &str) -> Result<String, Problem> {
    let mut errors = Vec::new();
    let name = filled_line("name", name, NAME_MAX, &mut errors);
    if errors.is_empty() { Ok(name) } else { Err(Problem::fields(errors)) }
}

/// Adds a place.
pub(crate) async fn add(
    database: &AuthorizedDatabase,
    caller: &Caller,
    name: &str,
    parent_id: Option<i64>,
    once: Option<Once>,
) -> Result<Model, Problem> {
    let name = checked(name)?;
    let new = Model { id: 0, parent_id, name_key: category_key(&name), name };
    database
        .write(caller, async move |tx, caller| {
            if let Some(id) = idempotency::earlier(tx, caller, once.as_ref()).await? {
                return Ok(Entity::find_by_id(id).one(tx).await?.ok_or_else(|| deleted_since(id))?);
            }
            let place = insert(tx, &new).await?;
            idempotency::keep(tx, caller, once.as_ref(), place.id).await?;
            Ok(place)
        })
        .await
}

/// Adds a place that was checked but for where it is to be.
async fn insert(tx: &Tx, new: &Model) -> Result<Model, Abort<Problem>> {
    Tree::new(Entity::find().all(tx).await?).check(new, true)?;
    let Model { parent_id, name, name_key, .. } = new.clone();
    let row = ActiveModel { id: NotSet, parent_id: Set(parent_id), name: Set(name), name_key: Set(name_key) };
    Ok(Entity::insert(row).exec_with_returning(tx).await?)
}

/// Returns the place with this name in another one, which is added if it is not there.
pub(crate) async fn find_or_add(tx: &Tx, name: &str, parent_id: Option<i64>) -> Result<Model, Abort<Problem>> {
    let name = checked(name)?;
    let name_key = category_key(&name);
    let is_it = |place: &Model| place.parent_id == parent_id && place.name_key == name_key;
    match Entity::find().all(tx).await?.into_iter().find(is_it) {
        Some(place) => Ok(place),
        None => insert(tx, &Model { id: 0, parent_id, name_key, name }).await,
    }
}

/// Adds a place with a checked name, and returns its id. The caller knows all places: that there is none with this name, and
/// that it is not too deep. To look again for each of many would take longer with each.
pub(in crate::records) async fn add_new(tx: &Tx, name: &str, parent_id: Option<i64>) -> Result<i64, DbErr> {
    let (name, name_key) = (Set(name.to_owned()), Set(category_key(name)));
    let row = ActiveModel { id: NotSet, parent_id: Set(parent_id), name, name_key };
    Ok(Entity::insert(row).exec(tx).await?.last_insert_id)
}

fn deleted_since(id: i64) -> Problem {
    Problem::new(StatusCode::GONE).detail(format!(
        "An earlier request with this Idempotency-Key created the place {id}, which was deleted since. Nothing was created."
    ))
}

/// A change to a place; what is absent stays as it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) name: Option<String>,
    /// The place that it is moved to; the top is none.
    pub(crate) parent_id: Option<Option<i64>>,
}

/// Renames or moves a place and returns it; `None` when there is none with this id.
pub(crate) async fn update(
    database: &AuthorizedDatabase,
    caller: &Caller,
    id: i64,
    change: Change,
) -> Result<Option<Model>, Problem> {
    let name = change.name.as_deref().map(checked).transpose()?;
    let place = database
        .write(caller, async move |tx, _| {
            let Some(before) = Entity::find_by_id(id).one(tx).await? else { return Ok(None) };
            let mut place = before.clone();
            if let Some(name) = &name {
                (place.name, place.name_key) = (name.clone(), category_key(name));
            }
            place.parent_id = change.parent_id.unwrap_or(place.parent_id);
            if place == before {
                return Ok(Some(place));
            }
            let tree = Tree::new(Entity::find().all(tx).await?);
            tree.check(&place, false)?;
            Entity::update(difference::<_, ActiveModel>(before, place.clone())).exec(tx).await?;
            // The search finds a record by the names of the places that it is in.
            let ids = format!("{:?}", tree.within(id));
            let is_in = r#""record"."place_id" IN (SELECT "value" FROM json_each(?))"#;
            store::mark_stale(tx, Expr::cust_with_values(is_in, [ids])).await?;
            Ok(Some(place))
        })
        .await?;
    if place.is_some() {
        stale::fold_marked(database).await;
    }
    Ok(place)
}

/// Deletes an empty place; returns whether there was one.
pub(crate) async fn delete(database: &AuthorizedDatabase, caller: &Caller, id: i64) -> Result<bool, Problem> {
    finality::check("Places")?;
    database
        .write(caller, async move |tx, caller| {
            let tree = Tree::new(Entity::find().all(tx).await?);
            let Some(place) = tree.get(id) else { return Ok(false) };
            let seen = tx.query_one_raw(counts(Viewer::of(caller), Some(id))).await?;
            let seen: i64 = seen.map_or(Ok(0), |row| row.try_get_by_index(1))?;
            let places = tree.inner(Some(id)).count();
            if let Some(why) = content(&place.name, places, seen) {
                return Err(Problem::conflict(why).into());
            }
            if tx.query_one_raw(any_record(id)).await?.is_some() {
                let why = format!(
                    "“{}” has something in it that only another user can see. Ask them to move it.",
                    place.name
                );
                return Err(Problem::conflict(why).into());
            }
            Entity::delete_by_id(id).exec(tx).await?;
            Ok(true)
        })
        .await
}

/// Says what is in a place, if something is.
fn content(name: &str, places: usize, records: i64) -> Option<String> {
    let number = |number: i64, one: &str, many: &str| match number {
        0 => None,
        1 => Some(format!("1 {one}")),
        _ => Some(format!("{number} {many}")),
    };
    let places = number(i64::try_from(places).unwrap_or(i64::MAX), "place", "places");
    let inside: Vec<_> = places.into_iter().chain(number(records, "record", "records")).collect();
    let them = if inside.len() == 1 && inside[0].starts_with("1 ") { "it" } else { "them" };
    let inside = inside.join(" and ");
    (!inside.is_empty()).then(|| format!("“{name}” has {inside} in it. Move or delete {them} first."))
}

/// Returns the refusal of what is wanted of a place that is not there.
pub(crate) fn no_such_place(id: i64) -> Problem {
    Problem::not_found(format!("There is no place with the id {id}."))
}

/// Returns the id in the form's field for the place that another one is in: empty for the top.
pub(crate) fn parent_of_form(text: &str) -> Result<Option<i64>, Problem> {
    match text.trim() {
        "" => Ok(None),
        id => id
            .parse()
            .map(Some)
            .map_err(|_| Problem::fields(vec![FieldError::new("parent_id", "is not the id of a place")])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_is_in_a_place() {
        assert_eq!(content("Attic", 0, 0), None);
        assert_eq!(content("Attic", 0, 1).unwrap(), "“Attic” has 1 record in it. Move or delete it first.");
        assert_eq!(
            content("Attic", 1, 2).unwrap(),
            "“Attic” has 1 place and 2 records in it. Move or delete them first."
        );
    }
}
