//! What a household keeps in its binder: places, tags, fields, files, and what records were.
//!
//! **Records** get a kind, a place, fields and tags. `category` and `due_date` stay.
//!
//! **Files** are contents in `files/`, each under its hash; an attachment says which record has one, and by what name.
//!
//! **Versions.** `record_history` keeps each record as it was before a change, and `record_trash` before a deletion, whichever
//! program makes it. Who changes a record counts its `version` up before it touches its fields, tags and attachments; so the
//! version is kept whole. A change by a program from before versions is written twice, first the record and then, by
//! `record_version`, the number; the first of them is kept. `changed_by` says who made the version `changed_version`: an older
//! program that makes a newer one writes neither.
//!
//! **The trash.** A deletion moves a record: what is deleted is a version that a row of `trash` refers to, so no program shows it
//! by mistake. A trigger has no clock; the app writes `deleted_at`, of what an older program deleted at its next start.
//! `days` counts the days on which the app looked at it, since no clock alone says that 30 of them are over.
//!
//! **Search.** `record_text` has the names and texts of a record's files, in an index of its own: what a person changes in a record
//! is not to index a hundred pages again. An older program folds a record without its fields, tags and place (`fold_version` 1, the
//! app writes 2); `record_folded_by_older` marks it for the app's next start.
//!
//! **Lists.** The three indexes of the orders get the kind and the place at their end, so that a list of either looks at no other
//! record. `tag_count` says how many records of a scope have a tag, spelled so: counting them each time took a second read for
//! each of a hundred thousand rows. A row of it says nothing of another scope.

use sea_orm_migration::prelude::*;

use crate::add;
use crate::database::rows;

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

/// As `record_search`, of which the app says what stands in it.
const TEXT_SEARCH: &str = r##"fts5(
    tokens,
    content = '', contentless_delete = 1, detail = none,
    tokenize = 'ascii tokenchars ''!"#$%&()*+,-./:;<=>?@[\]^_`{|}~'''
)"##;

/// Keeps the record as it is, once for each number. Not `INSERT OR IGNORE`: within a trigger, the conflict clause of the
/// statement that fired it counts.
const KEEP_VERSION: &str = "
    INSERT INTO record_version (record_id, version, content, changed_at, changed_by)
        SELECT
            old.id,
            old.version,
            json_object(
                'title', old.title,
                'category', old.category,
                'notes', old.notes,
                'due_date', old.due_date,
                'owner_id', old.owner_id,
                'visibility', old.visibility,
                'kind', old.kind,
                'place', (SELECT json_object('id', id, 'name', name) FROM place WHERE id = old.place_id),
                'guests_see_attachments', json(iif(old.guests_see_attachments, 'true', 'false')),
                'created_at', old.created_at,
                'updated_at', old.updated_at,
                'fields', (
                    SELECT json_group_array(json_object(
                        'key', key, 'label', label, 'value', value, 'amount', amount, 'currency', currency
                    )) FROM (SELECT * FROM record_field WHERE record_id = old.id ORDER BY position, id)
                ),
                'tags', (
                    SELECT json_group_array(name) FROM (
                        SELECT name FROM record_tag WHERE record_id = old.id ORDER BY name_key
                    )
                ),
                'attachments', (
                    SELECT json_group_array(json_object(
                        'id', id, 'hash', hash, 'name', name, 'role', role, 'position', position, 'added_by', added_by,
                        'added_at', added_at
                    )) FROM (SELECT * FROM attachment WHERE record_id = old.id ORDER BY position, id)
                )
            ),
            old.updated_at,
            iif(old.changed_version IS old.version, old.changed_by, NULL)
        WHERE NOT EXISTS (SELECT 1 FROM record_version WHERE record_id = old.id AND version = old.version);";

const KEEP_FILES: &str = "
    INSERT INTO version_file (version_id, hash)
        SELECT DISTINCT kept.id, attachment.hash
        FROM record_version AS kept JOIN attachment ON attachment.record_id = kept.record_id
        WHERE kept.record_id = old.id AND kept.version = old.version
            AND NOT EXISTS (SELECT 1 FROM version_file WHERE version_id = kept.id AND hash = attachment.hash);";

/// What is deleted is in the trash then, and nowhere else.
const MOVE: &str = "
    DELETE FROM trash WHERE record_id = old.id;
    INSERT INTO trash (record_id, version_id, scope)
        SELECT old.id, id, old.scope FROM record_version WHERE record_id = old.id AND version = old.version;
    DELETE FROM record_field WHERE record_id = old.id;
    DELETE FROM record_tag WHERE record_id = old.id;
    DELETE FROM attachment WHERE record_id = old.id;
    DELETE FROM record_text WHERE record_id = old.id;
    DELETE FROM record_text_search WHERE rowid = old.id;";

/// The indexes of m0003 under the same names, and two columns more.
const ORDERS: [(&str, &str); 3] = [
    ("record_updated_at", "record (scope, updated_at, id, category_key, due_date, owner_id, kind, place_id)"),
    ("record_due_date", "record (scope, due_date, id, category_key, owner_id, kind, place_id)"),
    ("record_title", "record (scope, title_key, id, category_key, due_date, owner_id, kind, place_id)"),
];

const TRIGGERS: [(&str, &str); 5] = [
    (
        "record_tag_insert",
        "AFTER INSERT ON record_tag BEGIN
            INSERT INTO tag_count (scope, name_key, name, records)
                SELECT scope, new.name_key, new.name, 1 FROM record WHERE id = new.record_id
                ON CONFLICT (scope, name_key, name) DO UPDATE SET records = records + 1;
        END",
    ),
    (
        "record_tag_delete",
        "AFTER DELETE ON record_tag BEGIN
            UPDATE tag_count SET records = records - 1
                WHERE scope = (SELECT scope FROM record WHERE id = old.record_id) AND name_key = old.name_key AND name = old.name;
            DELETE FROM tag_count
                WHERE scope = (SELECT scope FROM record WHERE id = old.record_id) AND name_key = old.name_key AND name = old.name
                    AND records < 1;
        END",
    ),
    (
        "record_tag_scope",
        "AFTER UPDATE OF owner_id, visibility ON record WHEN old.scope <> new.scope BEGIN
            INSERT INTO tag_count (scope, name_key, name, records)
                SELECT new.scope, name_key, name, 1 FROM record_tag WHERE record_id = new.id
                ON CONFLICT (scope, name_key, name) DO UPDATE SET records = records + 1;
            UPDATE tag_count SET records = records - 1
                WHERE scope = old.scope AND (name_key, name) IN (SELECT name_key, name FROM record_tag WHERE record_id = new.id);
            DELETE FROM tag_count WHERE scope = old.scope AND records < 1;
        END",
    ),
    // What is changed beside the record itself is a change of it, too; only the app writes `changed_version`.
    (
        "record_change_version",
        "AFTER UPDATE OF changed_version ON record BEGIN
            INSERT OR REPLACE INTO record_change (scope, number, record_id) VALUES (
                new.scope,
                ifnull((SELECT max(number) FROM record_change WHERE scope = new.scope), 0) + 1,
                new.id
            );
        END",
    ),
    (
        "record_folded_by_older",
        "AFTER UPDATE OF fold_version ON record
            WHEN new.fold_version = 1 AND (
                new.place_id IS NOT NULL OR new.kind <> 'note'
                OR EXISTS (SELECT 1 FROM record_field WHERE record_id = new.id)
                OR EXISTS (SELECT 1 FROM record_tag WHERE record_id = new.id)
                OR EXISTS (SELECT 1 FROM attachment WHERE record_id = new.id)
            )
        BEGIN
            UPDATE record SET fold_version = 0 WHERE id = new.id;
        END",
    ),
];

/// Returns the triggers that keep a record whole. They keep the columns `more`, too: a migration that adds one to `record` writes both
/// again, by [`add::replaced_trigger`].
pub(super) fn kept(more: &[&str]) -> [(&'static str, String); 2] {
    let named: String = more.iter().map(|column| format!("{column}, ")).collect();
    let said: String = more.iter().map(|column| format!("'{column}', old.{column}, ")).collect();
    let keep = format!("{KEEP_VERSION}{KEEP_FILES}").replacen("'created_at', ", &format!("{said}'created_at', "), 1);
    let told = format!(
        "title, category, notes, due_date, owner_id, visibility, kind, place_id, guests_see_attachments, {named}version"
    );
    [
        ("record_history", format!("BEFORE UPDATE OF {told} ON record BEGIN {keep} END")),
        ("record_trash", format!("BEFORE DELETE ON record BEGIN {keep} {MOVE} END")),
    ]
}

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        add::table(
            manager,
            "place",
            "(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                parent_id INTEGER NULL REFERENCES place (id),
                name TEXT NOT NULL,
                name_key TEXT NOT NULL
            ) STRICT",
        )
        .await?;
        add::table(
            manager,
            "record_tag",
            "(
                record_id INTEGER NOT NULL REFERENCES record (id),
                name_key TEXT NOT NULL,
                name TEXT NOT NULL,
                PRIMARY KEY (record_id, name_key)
            ) STRICT, WITHOUT ROWID",
        )
        .await?;
        add::table(
            manager,
            "tag_count",
            "(
                scope INTEGER NOT NULL,
                name_key TEXT NOT NULL,
                name TEXT NOT NULL,
                records INTEGER NOT NULL,
                PRIMARY KEY (scope, name_key, name)
            ) STRICT, WITHOUT ROWID",
        )
        .await?;
        add::table(
            manager,
            "record_field",
            "(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                record_id INTEGER NOT NULL REFERENCES record (id),
                key TEXT NULL,
                label TEXT NOT NULL,
                value TEXT NOT NULL,
                amount INTEGER NULL,
                currency TEXT NULL,
                position INTEGER NOT NULL
            ) STRICT",
        )
        .await?;
        add::table(
            manager,
            "file",
            "(
                hash TEXT NOT NULL PRIMARY KEY,
                bytes INTEGER NOT NULL,
                media_type TEXT NOT NULL,
                text TEXT NULL
            ) STRICT",
        )
        .await?;
        add::table(
            manager,
            "attachment",
            "(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                record_id INTEGER NOT NULL REFERENCES record (id),
                hash TEXT NOT NULL REFERENCES file (hash),
                name TEXT NOT NULL,
                role TEXT NOT NULL,
                position INTEGER NOT NULL,
                added_by INTEGER NULL,
                added_at TEXT NOT NULL
            ) STRICT",
        )
        .await?;
        add::table(
            manager,
            "record_version",
            "(
                id INTEGER PRIMARY KEY AUTOINCREMENT,
                record_id INTEGER NOT NULL,
                version INTEGER NOT NULL,
                content TEXT NOT NULL,
                changed_at TEXT NOT NULL,
                changed_by INTEGER NULL
            ) STRICT",
        )
        .await?;
        add::table(
            manager,
            "version_file",
            "(
                version_id INTEGER NOT NULL REFERENCES record_version (id),
                hash TEXT NOT NULL,
                PRIMARY KEY (version_id, hash)
            ) STRICT, WITHOUT ROWID",
        )
        .await?;
        add::table(
            manager,
            "trash",
            "(
                record_id INTEGER PRIMARY KEY,
                version_id INTEGER NOT NULL REFERENCES record_version (id),
                scope INTEGER NOT NULL,
                deleted_at TEXT NULL,
                deleted_by INTEGER NULL,
                days INTEGER NOT NULL DEFAULT 0,
                counted_on TEXT NULL
            ) STRICT",
        )
        .await?;
        add::column(manager, "record", "kind", "TEXT NOT NULL DEFAULT 'note'").await?;
        add::column(manager, "record", "place_id", "INTEGER NULL REFERENCES place (id)").await?;
        add::column(manager, "record", "guests_see_attachments", "INTEGER NOT NULL DEFAULT 0").await?;
        add::column(manager, "record", "changed_by", "INTEGER NULL").await?;
        add::column(manager, "record", "changed_version", "INTEGER NULL").await?;
        add::table(manager, "record_text", "(record_id INTEGER PRIMARY KEY, folded TEXT NOT NULL) STRICT").await?;
        add::virtual_table(manager, "record_text_search", TEXT_SEARCH).await?;
        for (name, on) in ORDERS {
            replace_index(manager, name, on).await?;
        }
        add::index(manager, "record_place_id", "record (place_id, scope, id)").await?;
        // No two places in one place are called the same.
        add::unique_index(manager, "place_name", "place (ifnull(parent_id, 0), name_key)").await?;
        add::index(manager, "place_parent_id", "place (parent_id)").await?;
        add::index(manager, "record_tag_name", "record_tag (name_key, record_id)").await?;
        add::index(manager, "record_field_record_id", "record_field (record_id)").await?;
        add::index(manager, "attachment_hash", "attachment (hash)").await?;
        add::index(manager, "attachment_record_id", "attachment (record_id)").await?;
        add::unique_index(manager, "record_version_record_id_version", "record_version (record_id, version)").await?;
        add::index(manager, "version_file_hash", "version_file (hash)").await?;
        add::index(manager, "trash_version_id", "trash (version_id)").await?;
        // What is still to be read.
        add::index(manager, "file_unread", "file (hash) WHERE text IS NULL").await?;
        for (name, definition) in kept(&[]) {
            add::trigger(manager, name, &definition).await?;
        }
        for (name, definition) in TRIGGERS {
            add::trigger(manager, name, definition).await?;
        }
        Ok(())
    }
}

/// Puts an index that holds the kind in the place of the one of m0003.
async fn replace_index(manager: &SchemaManager<'_>, name: &str, on: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ? AND sql NOT LIKE '%, kind,%'";
    if !rows(connection, sql, [name.into()]).await?.is_empty() {
        connection.execute_unprepared(&format!("DROP INDEX {name}")).await?;
    }
    add::index(manager, name, on).await
}

#[cfg(test)]
mod tests {
    use crate::developer::trial::Trial;

    #[test]
    fn a_released_database_gets_it_and_a_second_run_changes_nothing() {
        let trial = Trial::of("m0004_binder");
        let tables = ["place", "record_tag", "tag_count", "record_field", "file", "attachment", "record_text"];
        for table in tables.into_iter().chain(["record_version", "version_file", "trash"]) {
            trial.holds(table, "1");
        }
        trial.holds("record", "kind IS ('note')");
        trial.holds("record", "place_id IS (NULL)");
        trial.holds("record", "guests_see_attachments IS (0)");
        trial.holds("record", "changed_by IS (NULL)");
        trial.holds("record", "changed_version IS (NULL)");
    }
}
