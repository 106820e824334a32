//! Which versions does a record have, and what did it say in each?
//!
//! The newest version is the record itself; those before it are kept. They are for whoever sees the record now, but a version of
//! a time when the record was private is for its owner alone: what somebody wrote for themselves does not become the household's
//! because the record did.

use sea_orm::{
    ColumnTrait, DbBackend, DbErr, EntityTrait, QueryFilter, QueryOrder, Select, Statement, Value,
    sea_query::{Expr, SimpleExpr},
};

use super::{
    content::Content,
    entity::record_version::{Column, Entity, Model},
    parts::{Part, differing},
    scopes,
};
use crate::{
    datetime::Timestamp,
    db::{DirectReads, Tx},
    http::Problem,
    records::{listing::PAGE_BYTES, store::Viewer},
};

/// A version of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) number: i64,
    /// When it was made.
    pub(crate) at: Timestamp,
    /// Who made it, where that is known.
    pub(crate) by: Option<i64>,
    pub(crate) content: Content,
}

/// A version in the list of a record's versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) number: i64,
    pub(crate) at: Timestamp,
    pub(crate) by: Option<i64>,
    /// Whether it is what the record says now.
    pub(crate) is_current: bool,
    /// In what it differs from the one before it that the viewer sees; none where there is none before it.
    pub(crate) changed: Option<Vec<Part>>,
}

/// Versions of a record, newest first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) versions: Vec<Summary>,
    /// Behind which version the next page begins, when there is one.
    pub(crate) next: Option<i64>,
}

/// What a trigger would keep of the record as it is now.
const CURRENT: &str = r#"SELECT
    "version",
    "updated_at",
    iif("changed_version" IS "version", "changed_by", NULL),
    json_object(
        'title', "title",
        'category', "category",
        'notes', "notes",
        'due_date', "due_date",
        'owner_id', "owner_id",
        'visibility', "visibility",
        'kind', "kind",
        'place', (SELECT json_object('id', "id", 'name', "name") FROM "place" WHERE "place"."id" = "record"."place_id"),
        'guests_see_attachments', json(iif("guests_see_attachments", 'true', 'false')),
        'created_at', "created_at",
        'fields', (
            SELECT json_group_array(json_object(
                'key', "key", 'label', "label", 'value', "value", 'amount', "amount", 'currency', "currency"
            )) FROM (SELECT * FROM "record_field" WHERE "record_id" = "record"."id" ORDER BY "position", "id")
        ),
        'tags', (
            SELECT json_group_array("name")
            FROM (SELECT "name" FROM "record_tag" WHERE "record_id" = "record"."id" ORDER BY "name_key")
        ),
        'attachments', (
            SELECT json_group_array(json_object(
                'id', "id", 'hash', "hash", 'name', "name", 'role', "role", 'position', "position", 'added_by', "added_by",
                'added_at', "added_at"
            )) FROM (SELECT * FROM "attachment" WHERE "record_id" = "record"."id" ORDER BY "position", "id")
        )
    )
FROM "record" WHERE "id" = ? AND "scope" IN (SELECT "value" FROM json_each(?)) AND "visibility" IN ('household', 'private')"#;

/// Returns the record as it is now, if the viewer sees it.
pub(crate) async fn current(reads: &DirectReads, viewer: Viewer, record_id: i64) -> Result<Option<Version>, DbErr> {
    let values: [Value; 2] = [record_id.into(), scopes(viewer).into()];
    let statement = Statement::from_sql_and_values(DbBackend::Sqlite, CURRENT, values);
    let row = |row: &rusqlite::Row<'_>| {
        let (number, by): (i64, Option<i64>) = (row.get(0)?, row.get(2)?);
        let (at, content): (String, String) = (row.get(1)?, row.get(3)?);
        Ok((number, at, by, content))
    };
    let Some((number, at, by, content)) = reads.rows(&statement, row).await?.pop() else { return Ok(None) };
    let at = at.parse().map_err(|error| DbErr::Type(format!("the time of a change: {error}")))?;
    Ok(Some(Version { number, at, by, content: Content::parse(&content)? }))
}

/// Returns a version of a record, if the viewer sees both.
pub(crate) async fn find(
    reads: &DirectReads,
    viewer: Viewer,
    record_id: i64,
    number: i64,
) -> Result<Option<Version>, DbErr> {
    let Some(current) = current(reads, viewer, record_id).await? else { return Ok(None) };
    if current.number == number {
        return Ok(Some(current));
    }
    reads.one(by_number(viewer, record_id, number)).await?.map(Version::try_from).transpose()
}

/// Returns a kept version, within a transaction that has seen to it that the viewer sees the record.
pub(super) async fn get(tx: &Tx, viewer: Viewer, record_id: i64, number: i64) -> Result<Option<Version>, DbErr> {
    by_number(viewer, record_id, number).one(tx).await?.map(Version::try_from).transpose()
}

/// Returns the version before another one that the viewer sees.
pub(crate) async fn before(
    reads: &DirectReads,
    viewer: Viewer,
    record_id: i64,
    number: i64,
) -> Result<Option<Version>, DbErr> {
    reads.one(older(viewer, record_id, number)).await?.map(Version::try_from).transpose()
}

/// Returns a page of a record's versions, those before the version `after`; none where the viewer does not see the record.
pub(crate) async fn list(
    reads: &DirectReads,
    viewer: Viewer,
    record_id: i64,
    after: Option<i64>,
    limit: u64,
) -> Result<Option<Page>, DbErr> {
    let Some(current) = current(reads, viewer, record_id).await? else { return Ok(None) };
    let end = after.map_or(current.number, |after| after.min(current.number));
    let mut listing = PageInProgress { current: current.number, limit, ..PageInProgress::default() };
    if after.is_none_or(|after| after > current.number) {
        listing.newer = Some(current);
    }
    let mut unreadable = None;
    let take = |row: Model| match (row.content.len(), Version::try_from(row)) {
        (bytes, Ok(version)) => listing.take(version, bytes),
        (_, Err(error)) => {
            unreadable = Some(error);
            false
        }
    };
    reads.each(older(viewer, record_id, end), take).await?;
    match unreadable {
        Some(error) => Err(error),
        None => Ok(Some(listing.finish())),
    }
}

/// Returns the newest rows, whatever they are of, for the self-test.
pub(super) async fn newest(reads: &DirectReads, mut limit: usize) -> Result<(), DbErr> {
    let mut outcome = Ok(());
    let take = |row| {
        outcome = Version::try_from(row).map(drop);
        limit = limit.saturating_sub(1);
        outcome.is_ok() && limit > 0
    };
    reads.each(Entity::find().order_by_desc(Column::Id), take).await?;
    outcome
}

/// The refusal of a version that is not there.
pub(crate) fn no_such_version(id: i64, version: i64) -> Problem {
    Problem::not_found(format!("There is no version {version} of a record with the id {id}."))
}

pub(super) fn by_number(viewer: Viewer, record_id: i64, number: i64) -> Select<Entity> {
    Entity::find().filter(Column::RecordId.eq(record_id)).filter(Column::Version.eq(number)).filter(is_seen(viewer))
}

/// The versions before a number, newest first.
fn older(viewer: Viewer, record_id: i64, number: i64) -> Select<Entity> {
    Entity::find()
        .filter(Column::RecordId.eq(record_id))
        .filter(Column::Version.lt(number))
        .filter(is_seen(viewer))
        .order_by_desc(Column::Version)
}

/// That a version of a record that the viewer sees is one that they may see: not of a time when it was another's alone, or seen by whom
/// only a newer version knows.
fn is_seen(viewer: Viewer) -> SimpleExpr {
    let scope =
        "CASE \"content\" ->> 'visibility' WHEN 'household' THEN 0 WHEN 'private' THEN \"content\" ->> 'owner_id' END";
    Expr::cust_with_values(format!("{scope} IN (SELECT \"value\" FROM json_each(?))"), [scopes(viewer)])
}

impl TryFrom<Model> for Version {
    type Error = DbErr;

    fn try_from(row: Model) -> Result<Self, DbErr> {
        let content = Content::parse(&row.content)?;
        Ok(Self { number: row.version, at: row.changed_at, by: row.changed_by, content })
    }
}

/// A page that is being read: each version waits for the one before it, with which it is compared.
#[derive(Default)]
struct PageInProgress {
    current: i64,
    limit: u64,
    newer: Option<Version>,
    bytes: usize,
    page: Page,
}

impl PageInProgress {
    /// Takes the next older version, and returns whether there is room for more.
    fn take(&mut self, version: Version, bytes: usize) -> bool {
        self.bytes += bytes;
        if let Some(newer) = self.newer.take() {
            self.add(&newer, Some(&version));
            let is_full = self.page.versions.len() as u64 >= self.limit || self.bytes > PAGE_BYTES;
            if is_full {
                self.page.next = Some(newer.number);
                return false;
            }
        }
        self.newer = Some(version);
        true
    }

    fn add(&mut self, version: &Version, before: Option<&Version>) {
        self.page.versions.push(Summary {
            number: version.number,
            at: version.at,
            by: version.by,
            is_current: version.number == self.current,
            changed: before.map(|before| differing(&before.content, &version.content)),
        });
    }

    fn finish(mut self) -> Page {
        if let Some(oldest) = self.newer.take() {
            self.add(&oldest, None);
        }
        self.page
    }
}

#[cfg(test)]
mod tests {
    use sea_orm::{IdenStatic, Iterable};

    use super::CURRENT;
    use crate::records::entity::Column;

    /// A column that is not kept is lost in the trash: docs/ADDING-A-FIELD.md says how it is kept.
    #[test]
    fn each_column_of_a_record_is_kept() {
        // What stands beside the content or follows from it, and `place_id`, which is kept with the place's name.
        let others = ["version", "updated_at", "title_key", "place_id", "changed_by", "changed_version"];
        for column in Column::iter().filter(|column| !matches!(column, Column::Id)) {
            let name = column.as_str();
            assert_eq!(CURRENT.contains(&format!("'{name}', ")), !others.contains(&name), "{name}");
        }
    }
}
