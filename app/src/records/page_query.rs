//! How is a page of the list read, so that its time hangs on what the viewer sees and not on what there is?
//!
//! Each order has an index that begins with the scope: the household's records, and one's own private ones. A list walks through
//! one or two scopes side by side. The indexes hold what a list is filtered by, so a walk reads no row in vain.
//!
//! A search or a tag asks the index of texts for the candidates of each word and each tag, and the index of dates how many records are
//! due when they are to be. Where one of these has few, those are read and sorted. Of more candidates the list is walked through, and
//! only those are read. Where all have many, a page is soon full, so the list is walked through from its beginning without asking who
//! is one; what is left after the texts of 2,000 records is walked through with the set of candidates at hand.

use std::collections::HashSet;

use sea_orm::{
    ColumnTrait, Condition, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait, Select,
    Value,
    sea_query::{Expr, Order as Direction, SimpleExpr, UnionType},
};

use super::{
    entity::{Column, Entity, Model, has_known_visibility},
    fold::category_key,
    kind::Kind,
    listing::{Cursor, Listing, Order, PAGE_BYTES, Page, SortKey},
    search::{self, Candidates, Mark},
    store::Viewer,
};
use crate::db::DirectReads;

/// When is which way taken?
#[derive(Debug, Clone, Copy)]
pub(crate) struct Thresholds {
    /// So many candidates are read and sorted.
    pub(crate) few: usize,
    /// So many candidates are known before the list is walked through.
    pub(crate) known: usize,
    /// So many records that are due then are read and sorted.
    pub(crate) due: u64,
    /// The texts of so many records are looked through before the set of candidates is made.
    pub(crate) walked: u64,
}

/// So few candidates cost some 2 ms, and so do a thousand that are due and as many records on a walk. A walk that finds nothing takes
/// 3 ms where the household has 50,000 records, and reads the candidates besides.
const THRESHOLDS: Thresholds = Thresholds { few: 300, known: 2000, due: 1000, walked: 2000 };

/// Returns a page of the list that the viewer sees.
pub(crate) async fn list(reads: &DirectReads, viewer: Viewer, listing: &Listing) -> Result<Page, DbErr> {
    list_by(reads, viewer, listing, THRESHOLDS).await
}

/// As [`list`], with other thresholds, for the self-test.
pub(crate) async fn list_by(
    reads: &DirectReads,
    viewer: Viewer,
    listing: &Listing,
    thresholds: Thresholds,
) -> Result<Page, DbErr> {
    let list = List::new(viewer, listing);
    let mut page = Page::default();
    // Somebody else's private records, for instance.
    if list.scopes.is_empty() {
        return Ok(page);
    }
    let mut budget = PageBudget { rows: listing.limit, bytes: PAGE_BYTES };
    let known = list.known(reads, thresholds).await?;
    for run in Run::all(listing) {
        for query in list.queries(reads, run, thresholds, known.as_deref()).await? {
            if !fill(&mut page, &mut budget, reads, query).await? {
                // There is more; the last record is where the next page begins.
                page.next = page.records.last().map(|record| Cursor::behind(record, listing.order));
                return Ok(page);
            }
        }
    }
    Ok(page)
}

/// What still fits on a page.
struct PageBudget {
    rows: u64,
    bytes: usize,
}

/// Adds what a query finds to the page; returns whether all of it had room.
async fn fill(
    page: &mut Page,
    budget: &mut PageBudget,
    reads: &DirectReads,
    query: Select<Entity>,
) -> Result<bool, DbErr> {
    // One more than there is room for tells whether there is a next page.
    let query = query.limit(budget.rows + 1);
    let mut has_room = true;
    let take = |record: Model| {
        let bytes = record.text_bytes();
        has_room = budget.rows > 0 && (bytes <= budget.bytes || page.records.is_empty());
        if has_room {
            budget.rows -= 1;
            budget.bytes = budget.bytes.saturating_sub(bytes);
            page.records.push(record);
        }
        has_room
    };
    reads.each(query, take).await?;
    Ok(has_room)
}

/// A part of the list that one index runs through.
#[derive(Debug, Clone)]
struct Run {
    key: Key,
    is_descending: bool,
    /// The keys that it begins behind, and those that it ends with.
    after: Option<(Value, i64)>,
    until: Option<(Value, i64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    Updated,
    Title,
    Due,
    /// What is never due, by number.
    Never,
}

impl Run {
    /// Returns the parts of a list, in order.
    fn all(listing: &Listing) -> Vec<Self> {
        let is_descending = listing.order.is_descending();
        let run = |key, after| Self { key, is_descending, after, until: None };
        let (after, id) = listing.after.as_ref().map(|cursor| (&cursor.key, cursor.id)).unzip();
        let at = |key: Value| id.map(|id| (key, id));
        let all: Vec<Self> = match (listing.order, after) {
            (Order::Updated | Order::UpdatedDesc, Some(SortKey::Updated(moment))) => {
                vec![run(Key::Updated, at(moment.to_string().into()))]
            }
            (Order::Updated | Order::UpdatedDesc, _) => vec![run(Key::Updated, None)],
            (Order::Title | Order::TitleDesc, Some(SortKey::Title(key))) => {
                vec![run(Key::Title, at(key.clone().into()))]
            }
            (Order::Title | Order::TitleDesc, _) => vec![run(Key::Title, None)],
            (Order::Due | Order::DueDesc, Some(SortKey::Due(None))) => vec![run(Key::Never, at(Value::Int(None)))],
            (Order::Due | Order::DueDesc, Some(SortKey::Due(Some(day)))) => {
                vec![run(Key::Due, at(day.to_string().into())), run(Key::Never, None)]
            }
            (Order::Due | Order::DueDesc, _) => vec![run(Key::Due, None), run(Key::Never, None)],
        };
        // What is never due is not due then.
        all.into_iter().filter(|run| run.key != Key::Never || !listing.is_dated()).collect()
    }

    /// Returns which records it has. The sign keeps SQLite from using an index for it.
    fn range(&self, sign: &str) -> Condition {
        let mut all = Condition::all();
        match self.key {
            Key::Due => all = all.add(Column::DueDate.is_not_null()),
            Key::Never => all = all.add(Expr::cust(format!(r#"{sign}"record"."due_date" IS NULL"#))),
            Key::Updated | Key::Title => {}
        }
        let (behind, upto) = if self.is_descending { ("<", ">=") } else { (">", "<=") };
        for (operator, bound) in [(behind, &self.after), (upto, &self.until)] {
            let Some((key, id)) = bound else { continue };
            all = all.add(match self.key.name() {
                Some(name) => Expr::cust_with_values(
                    format!(r#"({sign}"record"."{name}", "record"."id") {operator} (?, ?)"#),
                    [key.clone(), (*id).into()],
                ),
                None => Expr::cust_with_values(format!(r#"{sign}"record"."id" {operator} ?"#), [*id]),
            });
        }
        all
    }

    /// The sign of the due date on a walk: a list by due date ends where its dates do.
    fn due_sign(&self) -> &'static str {
        if self.key == Key::Due { "" } else { "+" }
    }

    fn ordered(&self, query: Select<Entity>, sign: &str) -> Select<Entity> {
        let direction = if self.is_descending { Direction::Desc } else { Direction::Asc };
        let query = match self.key.name() {
            Some(name) => query.order_by(Expr::cust(format!(r#"{sign}"record"."{name}""#)), direction.clone()),
            None => query,
        };
        query.order_by(Expr::col((Entity, Column::Id)), direction)
    }
}

impl Key {
    /// Returns the column, unless it is the same everywhere.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Updated => Some("updated_at"),
            Self::Title => Some("title_key"),
            Self::Due => Some("due_date"),
            Self::Never => None,
        }
    }
}

/// A list as its viewer sees it.
struct List<'a> {
    listing: &'a Listing,
    scopes: Vec<i64>,
    is_guest: bool,
    category_key: Option<String>,
    tag_key: Option<String>,
    candidates: Option<Candidates>,
    /// The candidates for each part of what is asked for.
    parts: Vec<Candidates>,
}

impl<'a> List<'a> {
    fn new(viewer: Viewer, listing: &'a Listing) -> Self {
        let scopes = listing.scopes(viewer);
        let category_key = listing.category.as_deref().map(category_key);
        let tag_key = listing.tag.as_deref().map(self::category_key);
        let mut marks: Vec<_> = category_key.as_deref().map(Mark::Category).into_iter().collect();
        // A note has no mark: records of before there were kinds are notes.
        marks.extend(listing.kind.filter(|kind| *kind != Kind::Note).map(|kind| Mark::Kind(kind.name())));
        marks.extend(listing.place_id.map(Mark::Place));
        marks.extend(tag_key.as_deref().map(Mark::Tag));
        let candidates = search::candidates(listing.search.as_ref(), &marks, &scopes);
        let parts = search::candidates_by_part(listing.search.as_ref(), &marks, &scopes);
        Self { listing, scopes, is_guest: viewer.is_guest(), category_key, tag_key, candidates, parts }
    }

    /// Returns the candidates where some part of what is asked for has few.
    async fn known(&self, reads: &DirectReads, thresholds: Thresholds) -> Result<Option<Vec<i64>>, DbErr> {
        let mut known: Option<Vec<i64>> = None;
        for part in &self.parts {
            let Some(ids) = part.up_to(reads, thresholds.known).await? else { continue };
            let ids = match known {
                None => ids,
                Some(mut known) => {
                    let ids: HashSet<_> = ids.into_iter().collect();
                    known.retain(|id| ids.contains(id));
                    known
                }
            };
            let is_few = ids.len() <= thresholds.few;
            known = Some(ids);
            if is_few {
                break;
            }
        }
        Ok(known)
    }

    /// Returns the queries whose results, one after the other, are this part of the list.
    async fn queries(
        &self,
        reads: &DirectReads,
        run: Run,
        thresholds: Thresholds,
        known: Option<&[i64]>,
    ) -> Result<Vec<Select<Entity>>, DbErr> {
        let Some(candidates) = &self.candidates else {
            return Ok(vec![self.walk(&run, None)]);
        };
        if let Some(ids) = known.filter(|ids| ids.len() <= thresholds.few) {
            return Ok(vec![self.few(&run, ids)]);
        }
        // All else that a list is narrowed by is in the indexes.
        if self.listing.search.is_none() && self.tag_key.is_none() {
            return Ok(vec![self.walk(&run, None)]);
        }
        if let Some(ids) = known {
            return Ok(vec![self.walk(&run, Some(among(ids, "+")))]);
        }
        if self.listing.is_dated() && self.count_due(reads, thresholds.due + 1).await? <= thresholds.due {
            return Ok(vec![self.due(&run)]);
        }
        Ok(match self.bound(reads, &run, thresholds.walked).await? {
            Some(bound) => {
                let rest = Run { after: Some(bound.clone()), ..run.clone() };
                vec![
                    self.walk(&Run { until: Some(bound), ..run }, None),
                    self.walk(&rest, Some(candidates.condition())),
                ]
            }
            None => vec![self.walk(&run, None)],
        })
    }

    /// These candidates, sorted.
    fn few(&self, run: &Run, ids: &[i64]) -> Select<Entity> {
        let query = Entity::find().filter(among(ids, "")).filter(run.range("+"));
        let query = query.filter(self.in_scopes("+"));
        run.ordered(self.filtered(query, "+", None), "+")
    }

    fn in_scopes(&self, sign: &str) -> SimpleExpr {
        let scopes: Vec<_> = self.scopes.iter().map(ToString::to_string).collect();
        Expr::cust(format!(r#"{sign}"record"."scope" IN ({})"#, scopes.join(", ")))
    }

    /// The records that are due when they are to be, sorted.
    fn due(&self, run: &Run) -> Select<Entity> {
        let query = Entity::find().filter(self.in_scopes("")).filter(run.range("+"));
        run.ordered(self.filtered(query, "", None), "+")
    }

    /// Counts the records that are due when they are to be, as far as `most`.
    async fn count_due(&self, reads: &DirectReads, most: u64) -> Result<u64, DbErr> {
        let mut number = 0;
        for scope in &self.scopes {
            let query = Entity::find().select_only().column(Column::Id).filter(scope_is(*scope));
            let query = query.filter(self.listing.dated("")).limit(most - number);
            number += reads.rows(&query.build(DbBackend::Sqlite), |_| Ok(())).await?.len() as u64;
        }
        Ok(number)
    }

    /// The records in order, from scope to scope as they come.
    fn walk(&self, run: &Run, candidates: Option<SimpleExpr>) -> Select<Entity> {
        let in_scope = |scope: &i64| {
            let query = Entity::find().filter(run.range(""));
            self.filtered(query, run.due_sign(), candidates.clone()).filter(scope_is(*scope))
        };
        run.ordered(side_by_side(self.scopes.iter().map(in_scope)), "")
    }

    /// Adds the filters, first those of what the indexes hold: SQLite tries them in this order, and makes the set of candidates
    /// when it first needs it.
    fn filtered(&self, query: Select<Entity>, due_sign: &str, candidates: Option<SimpleExpr>) -> Select<Entity> {
        let mut query = self.narrowed(query, due_sign).filter(has_known_visibility());
        if let Some(candidates) = candidates {
            query = query.filter(candidates);
        }
        if let Some(key) = &self.tag_key {
            query = query.filter(Expr::cust_with_values(TAGGED, [key.as_str()]));
        }
        for condition in self.listing.search.iter().flat_map(|search| search.conditions(self.is_guest)) {
            query = query.filter(condition);
        }
        query
    }

    /// Adds the filters of what the indexes hold.
    fn narrowed(&self, query: Select<Entity>, due_sign: &str) -> Select<Entity> {
        let mut query = query.filter(self.listing.dated(due_sign));
        if let Some(id) = self.listing.owner_id {
            query = query.filter(Expr::cust_with_values(r#"+"record"."owner_id" = ?"#, [id]));
        }
        if let Some(key) = &self.category_key {
            query = query.filter(Expr::cust_with_values(r#"+"record"."category_key" = ?"#, [key.as_str()]));
        }
        if let Some(kind) = self.listing.kind {
            query = query.filter(Expr::cust_with_values(r#"+"record"."kind" = ?"#, [kind.name()]));
        }
        if let Some(id) = self.listing.place_id {
            query = query.filter(Expr::cust_with_values(WITHIN, [id]));
        }
        query
    }

    /// Returns the key of the record that is so many behind the beginning of a part of the list, if there is one, but for what is
    /// searched for and its tag.
    async fn bound(&self, reads: &DirectReads, run: &Run, number: u64) -> Result<Option<(Value, i64)>, DbErr> {
        let keys = |query: Select<Entity>| {
            let query = query.select_only();
            let query = match run.key.name() {
                Some(name) => query.expr(Expr::cust(format!(r#""record"."{name}""#))),
                None => query,
            };
            query.column(Column::Id)
        };
        let in_scope = |scope: &i64| {
            self.narrowed(keys(Entity::find()).filter(run.range("")), run.due_sign()).filter(scope_is(*scope))
        };
        let query = run.ordered(side_by_side(self.scopes.iter().map(in_scope)), "").offset(number).limit(1);
        let statement = query.build(DbBackend::Sqlite);
        let found = reads.rows(&statement, |row| {
            Ok(match run.key {
                Key::Updated | Key::Due => (row.get::<_, String>(0)?.into(), row.get(1)?),
                Key::Title => (row.get::<_, Option<Vec<u8>>>(0)?.unwrap_or_default().into(), row.get(1)?),
                Key::Never => (Value::Int(None), row.get(0)?),
            })
        });
        Ok(found.await?.pop())
    }
}

/// That a record is in a place, or in one within it.
const WITHIN: &str = r#"+"record"."place_id" IN (
    WITH RECURSIVE "within" ("id", "depth") AS (
        VALUES (?, 1)
        UNION ALL
        SELECT "place"."id", "depth" + 1 FROM "place" JOIN "within" ON "place"."parent_id" = "within"."id" WHERE "depth" < 16
    )
    SELECT "id" FROM "within"
)"#;

const TAGGED: &str = r#"EXISTS (SELECT 1 FROM "record_tag" WHERE "record_id" = "record"."id" AND "name_key" = ?)"#;

/// That a record is one of these. The sign keeps SQLite from looking them up one by one where it is to walk through the list.
fn among(ids: &[i64], sign: &str) -> SimpleExpr {
    let condition = format!(r#"{sign}"record"."id" IN (SELECT "value" FROM json_each(?))"#);
    Expr::cust_with_values(condition, [format!("{ids:?}")])
}

fn scope_is(scope: i64) -> SimpleExpr {
    Expr::cust_with_values(r#""record"."scope" = ?"#, [scope])
}

/// Joins the queries so that SQLite merges what they find, each in order.
fn side_by_side(queries: impl Iterator<Item = Select<Entity>>) -> Select<Entity> {
    let joined = queries.reduce(|mut all, mut query| {
        QuerySelect::query(&mut all).union(UnionType::All, QuerySelect::query(&mut query).take());
        all
    });
    joined.unwrap_or_else(|| Entity::find().filter(Expr::cust("FALSE")))
}

#[cfg(test)]
mod tests {
    use sea_orm::{ConnectionTrait, DatabaseConnection};

    use super::*;
    use crate::db::{Access, Database, for_tests::migrated};

    async fn plan(reads: &DatabaseConnection, query: Select<Entity>) -> String {
        let mut statement = query.limit(50).build(DbBackend::Sqlite);
        statement.sql.insert_str(0, "EXPLAIN QUERY PLAN ");
        let rows = reads.query_all_raw(statement).await.unwrap();
        let lines = rows.iter().map(|row| row.try_get::<String>("", "detail").unwrap());
        lines.collect::<Vec<_>>().join("; ")
    }

    /// Each order walks through its index, forwards or backwards, and sorts nothing.
    #[tokio::test]
    async fn every_order_walks_through_its_index_in_its_direction() {
        let (_directory, path) = migrated("").await;
        let database = Database::open(&path, Access::Read).await.unwrap();
        let (due, key) = ("2027-01-01".parse().ok(), Some("house".to_owned()));
        for order in Order::ALL {
            let index = match order {
                Order::Updated | Order::UpdatedDesc => "record_updated_at",
                Order::Due | Order::DueDesc => "record_due_date",
                Order::Title | Order::TitleDesc => "record_title",
            };
            let place = match order {
                Order::Updated | Order::UpdatedDesc => SortKey::Updated("2026-11-24T22:30:00Z".parse().unwrap()),
                Order::Due | Order::DueDesc => SortKey::Due(due),
                Order::Title | Order::TitleDesc => SortKey::Title(vec![7]),
            };
            for after in [None, Some(Cursor { order, key: place, id: 7 })] {
                for (category, due_before) in [(None, None), (key.clone(), None), (None, due), (key.clone(), due)] {
                    let listing = Listing { order, after: after.clone(), category, due_before, ..Listing::default() };
                    let list = List::new(Viewer::with_id(7), &listing);
                    for run in Run::all(&listing) {
                        let search = search::Search::parse("abc");
                        let candidates = search::candidates(search.as_ref(), &[], &[0, 7]).map(|some| some.condition());
                        for candidates in [None, candidates, Some(among(&[1, 2], "+"))] {
                            let plan = plan(database.reads(), list.walk(&run, candidates)).await;
                            assert!(!plan.contains("ORDER BY"), "{order:?} {:?}: {plan}", run.key);
                            let walks = format!("SEARCH record USING INDEX {index} (scope=?");
                            assert_eq!(plan.matches(&walks).count(), 2, "{order:?} {:?}: {plan}", run.key);
                        }
                    }
                }
            }
        }
        database.close().await;
    }
}
