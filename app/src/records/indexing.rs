//! What is the search told of a record?
//!
//! The folded text of all it says, and what lists are narrowed by: its category, its kind, its tags, and the places that it is
//! in. The names and texts of its files have an index of their own.

use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, Statement,
    sea_query::{Alias, SimpleExpr},
};

use super::{
    details::Details,
    entity::Model,
    fields::Field,
    fold::{Folded, category_key, fold, scope_prefix},
    kind::Kind,
    search::{self, Mark},
};
use crate::db::{DirectReads, Tx};

/// What the app writes into `fold_version`: the folding of this version, with fields, tags and places. Up to 0.6.0 it was
/// `FOLD_VERSION` alone, without them; see the migration `m0004_binder`.
pub(crate) const INDEX_VERSION: i64 = 2;

/// How much of a record's files is searched, in bytes of UTF-8. It takes a book to have more, and each costs index.
const FILES_MAX: usize = 400_000;

/// A place that a record is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Within {
    pub(crate) id: i64,
    pub(crate) name: String,
}

/// What a record says itself, as far as it is searched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Texts<'a> {
    pub(crate) title: &'a str,
    pub(crate) category: &'a str,
    pub(crate) notes: &'a str,
    /// The name in the database.
    pub(crate) kind: &'a str,
    pub(crate) scope: i64,
}

impl<'a> Texts<'a> {
    /// Returns those of a record.
    pub(crate) fn of(record: &'a Model) -> Self {
        let Model { title, category, notes, kind, .. } = record;
        Self { title, category, notes, kind: kind.name(), scope: record.scope() }
    }
}

/// What the search is told of a record.
#[derive(Debug, Clone)]
pub(crate) struct Indexed {
    folded: Folded,
    pub(crate) tokens: String,
}

impl Indexed {
    /// Returns what the search is told of a record that is in these places.
    pub(crate) fn new(texts: Texts<'_>, details: &Details, places: &[Within]) -> Self {
        let mut folded = Folded::new(texts.title, texts.category, texts.notes);
        let fields = details.fields.iter().flat_map(|field| [field.label.clone(), value(field)]);
        for text in fields.chain(details.tags.iter().cloned()).chain(places.iter().map(|place| place.name.clone())) {
            folded.text.push('\n');
            folded.text.push_str(&fold(&text));
        }
        let mut tokens = folded.tokens(texts.scope);
        let tags: Vec<_> = details.tags.iter().map(|tag| category_key(tag)).collect();
        let kind = (texts.kind != Kind::Note.name()).then_some(Mark::Kind(texts.kind));
        let marks = tags.iter().map(|key| Mark::Tag(key)).chain(kind);
        for mark in marks.chain(places.iter().map(|place| Mark::Place(place.id))) {
            tokens.extend([" ", &scope_prefix(texts.scope), &mark.token()]);
        }
        Self { folded, tokens }
    }

    /// Returns where the title stands in the order of titles.
    pub(crate) fn title_key(&self) -> Vec<u8> {
        self.folded.title_key.clone()
    }

    /// The columns that no record is read with.
    pub(crate) fn columns(&self) -> [(Alias, SimpleExpr); 3] {
        [
            (Alias::new("folded"), self.folded.text.as_str().into()),
            (Alias::new("category_key"), self.folded.category_key.as_str().into()),
            (Alias::new("fold_version"), INDEX_VERSION.into()),
        ]
    }
}

/// Returns what a field says, as it is searched for.
fn value(field: &Field) -> String {
    match &field.money {
        Some(money) => money.in_form(),
        None => field.value.clone(),
    }
}

/// Returns the places that a place is in, from the outermost to itself.
pub(crate) async fn places(tx: &Tx, id: Option<i64>) -> Result<Vec<Within>, DbErr> {
    let Some(id) = id else { return Ok(Vec::new()) };
    // An end for a circle that a person made with SQL.
    let sql = r#"
        WITH RECURSIVE "around" ("id", "parent_id", "name", "depth") AS (
            SELECT "id", "parent_id", "name", 1 FROM "place" WHERE "id" = ?
            UNION ALL
            SELECT "place"."id", "place"."parent_id", "place"."name", "depth" + 1
            FROM "place" JOIN "around" ON "place"."id" = "around"."parent_id" WHERE "depth" < 16
        )
        SELECT "id", "name" FROM "around" ORDER BY "depth" DESC"#;
    let rows = tx.query_all_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [id.into()])).await?;
    rows.iter().map(|row| Ok(Within { id: row.try_get_by_index(0)?, name: row.try_get_by_index(1)? })).collect()
}

/// Asks for the names and texts of a record's files.
fn files_of(id: i64) -> Statement {
    let sql = r#"SELECT "name", ifnull("text", '') FROM "attachment" JOIN "file" ON "file"."hash" = "attachment"."hash"
        WHERE "record_id" = ? ORDER BY "position", "id""#;
    Statement::from_sql_and_values(DbBackend::Sqlite, sql, [id.into()])
}

/// Reads what is indexed of a record's files, for the self-test.
pub(crate) async fn self_test(reads: &DirectReads, id: i64) -> Result<(), DbErr> {
    reads.rows(&files_of(id), |_| Ok(())).await.map(drop)
}

/// Writes what is searched of a record's files, after its attachments or the text of one of them changed, or who sees it.
pub(crate) async fn index_files(tx: &Tx, id: i64, scope: i64) -> Result<(), DbErr> {
    let rows = tx.query_all_raw(files_of(id)).await?;
    let mut text = String::new();
    for row in &rows {
        let (name, content): (String, String) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let room = FILES_MAX.saturating_sub(text.len());
        text.extend([&*name, "\n"]);
        text.push_str(&content[..content.floor_char_boundary(room)]);
        text.push('\n');
    }
    let text = fold(&text);
    if rows.is_empty() {
        for sql in [
            r#"DELETE FROM "record_text" WHERE "record_id" = ?"#,
            r#"DELETE FROM "record_text_search" WHERE "rowid" = ?"#,
        ] {
            tx.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [id.into()])).await?;
        }
        return Ok(());
    }
    let tokens = super::fold::tokens(&text, scope);
    let sql = r#"INSERT OR REPLACE INTO "record_text" ("record_id", "folded") VALUES (?, ?)"#;
    tx.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, [id.into(), text.into()])).await?;
    search::index_files(tx, id, tokens);
    Ok(())
}
