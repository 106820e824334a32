//! The binder's records, and the search over them.
//!
//! `due_date` is a day, `YYYY-MM-DD`. `created_at` and `updated_at` are UTC in one fixed width,
//! `YYYY-MM-DDTHH:MM:SS.mmmZ`, so that the order of the text is the order of time.
//!
//! `record_search` indexes runs of three characters (trigrams) and not words: a household writes
//! in several scripts, and Chinese and Japanese put no spaces between words, so a word index
//! would hold whole sentences as one word. With trigrams any part of a text is found, in every
//! script, and accents and case do not matter. The price: a query needs at least three
//! characters (shorter ones are a scan with LIKE), and the index is about three times as large
//! as that of words. It holds no text of its own (external content); the triggers keep it in
//! step, so records are updated by `UPDATE`, never by `INSERT OR REPLACE`, whose implied
//! deletion fires no trigger.

use sea_orm_migration::prelude::*;

use crate::add;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        // AUTOINCREMENT: the number of a deleted record is not given to another one, so that an
        // old link never shows a different record.
        add::table(
            manager,
            "record",
            "(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                title TEXT NOT NULL,
                category TEXT NOT NULL DEFAULT '',
                notes TEXT NOT NULL DEFAULT '',
                due_date TEXT NULL,
                created_at TEXT NOT NULL,
                updated_at TEXT NOT NULL
            ) STRICT",
        )
        .await?;
        // One for each order of the list, and one for a category in the usual order; the number settles ties.
        add::index(manager, "record_updated_at", "record (updated_at, id)").await?;
        add::index(manager, "record_due_date", "record (due_date, id)").await?;
        add::index(manager, "record_title", "record (title COLLATE NOCASE, id)").await?;
        add::index(manager, "record_category", "record (category, updated_at, id)").await?;
        add::virtual_table(
            manager,
            "record_search",
            "fts5(
                title, category, notes,
                content = 'record', content_rowid = 'id',
                tokenize = 'trigram case_sensitive 0 remove_diacritics 1'
            )",
        )
        .await?;
        add::trigger(
            manager,
            "record_search_insert",
            "AFTER INSERT ON record BEGIN
                INSERT INTO record_search (rowid, title, category, notes)
                VALUES (new.id, new.title, new.category, new.notes);
            END",
        )
        .await?;
        add::trigger(
            manager,
            "record_search_delete",
            "AFTER DELETE ON record BEGIN
                INSERT INTO record_search (record_search, rowid, title, category, notes)
                VALUES ('delete', old.id, old.title, old.category, old.notes);
            END",
        )
        .await?;
        add::trigger(
            manager,
            "record_search_update",
            "AFTER UPDATE OF title, category, notes ON record BEGIN
                INSERT INTO record_search (record_search, rowid, title, category, notes)
                VALUES ('delete', old.id, old.title, old.category, old.notes);
                INSERT INTO record_search (rowid, title, category, notes)
                VALUES (new.id, new.title, new.category, new.notes);
            END",
        )
        .await
    }
}
