//! Search and order as people expect, what a client needs to keep up, and keys against doing a thing twice.
//!
//! **Search.** `record_search` had SQLite's own trigrams: nothing shorter than three characters was found, and only Latin
//! letters were folded. It gets tokens that the program makes (`fold.rs`): runs of one to three characters of the folded text,
//! each with its scope before it, so that a search looks up only what its viewer may see. `scope` is 0 for the household's
//! records and the owner's number for a private one. The index keeps no text (contentless); the folded text stands in
//! `record.folded`, in which longer words are verified. Nothing in the schema needs a function, collation or tokenizer of the
//! program's.
//!
//! **Stale rows.** The program writes `folded`, `category_key`, `title_key` and `fold_version` together with the record and
//! counts `version` up. Who writes a record and leaves `version` as it was is an older program, or a person with SQL: then
//! triggers count the version, take the record out of the search and set `fold_version` to 0, and the app folds it at its next
//! start.
//!
//! **Changes.** `record_change` has one row for each record in each scope that it was ever in: the number of its last change
//! there, and whether it is gone from there (deleted, or moved to another scope). So what became private is a tombstone to the
//! others, and what was always private leaves none for them. Each scope counts for itself, so that the numbers of one do not
//! tell how much is changed in another. `record_state.epoch` changes when a backup is restored, after which numbers are given
//! again.
//!
//! **E-mails.** `user.email_key` is for finding a user by any spelling of an e-mail. The app writes it; a row without one is
//! looked at in every search, so an e-mail that changes without the key takes the key away.
//!
//! **Order.** The list walks through one scope at a time, so the three indexes of its orders begin with the scope now. They take the
//! place of those of m0001 under the same names: eight indexes took a third of the time of a new record.
//!
//! The three columns of `record_search` are from before; all tokens stand in the first.

use sea_orm_migration::prelude::*;
use sea_orm_migration::sea_orm::{DbBackend, Statement};

use crate::add;
use crate::database::rows;
use crate::fold::{FOLD_VERSION, Folded};

#[derive(DeriveMigrationName)]
pub(super) struct Migration;

const RECORD_COLUMNS: [(&str, &str); 6] = [
    (
        "scope",
        "INTEGER GENERATED ALWAYS AS (CASE visibility WHEN 'household' THEN 0 ELSE ifnull(owner_id, -1) END) VIRTUAL",
    ),
    ("folded", "TEXT NULL"),
    ("category_key", "TEXT NULL"),
    ("title_key", "BLOB NULL"),
    ("fold_version", "INTEGER NOT NULL DEFAULT 0"),
    ("version", "INTEGER NOT NULL DEFAULT 1"),
];

/// One for each order of the list, in each scope; the columns at the end are what a list is filtered by, so that a walk looks
/// at no row in vain.
const ORDERS: [(&str, &str); 3] = [
    ("record_updated_at", "record (scope, updated_at, id, category_key, due_date, owner_id)"),
    ("record_due_date", "record (scope, due_date, id, category_key, owner_id)"),
    ("record_title", "record (scope, title_key, id, category_key, due_date, owner_id)"),
];

/// The ascii tokenizer parts at ASCII characters that are not named here: only at blanks then, since tokens have no others.
const SEARCH: &str = r##"fts5(
    title, category, notes,
    content = '', contentless_delete = 1, detail = none,
    tokenize = 'ascii tokenchars ''!"#$%&()*+,-./:;<=>?@[\]^_`{|}~'''
)"##;

const TRIGGERS: [(&str, &str); 8] = [
    // An insert that replaces a row fires no delete trigger.
    (
        "record_search_insert",
        "AFTER INSERT ON record WHEN new.fold_version = 0 BEGIN
            DELETE FROM record_search WHERE rowid = new.id;
        END",
    ),
    (
        "record_search_delete",
        "AFTER DELETE ON record BEGIN
            DELETE FROM record_search WHERE rowid = old.id;
        END",
    ),
    (
        "record_search_update",
        "AFTER UPDATE OF title, category, notes, owner_id, visibility ON record WHEN new.version = old.version BEGIN
            DELETE FROM record_search WHERE rowid = new.id;
            UPDATE record SET fold_version = 0 WHERE id = new.id;
        END",
    ),
    (
        "record_version",
        "AFTER UPDATE OF title, category, notes, due_date, owner_id, visibility ON record WHEN new.version = old.version BEGIN
            UPDATE record SET version = old.version + 1 WHERE id = new.id;
        END",
    ),
    (
        "record_change_insert",
        "AFTER INSERT ON record BEGIN
            INSERT OR REPLACE INTO record_change (scope, number, record_id) VALUES (
                new.scope,
                ifnull((SELECT max(number) FROM record_change WHERE scope = new.scope), 0) + 1,
                new.id
            );
        END",
    ),
    // A change of scope is two changes: gone from the old one, and there in the new one.
    (
        "record_change_update",
        "AFTER UPDATE OF title, category, notes, due_date, owner_id, visibility ON record BEGIN
            UPDATE record_change
                SET number = (SELECT max(number) + 1 FROM record_change WHERE scope = old.scope), is_gone = 1
                WHERE record_id = old.id AND scope = old.scope AND old.scope <> new.scope;
            INSERT OR REPLACE INTO record_change (scope, number, record_id) VALUES (
                new.scope,
                ifnull((SELECT max(number) FROM record_change WHERE scope = new.scope), 0) + 1,
                new.id
            );
        END",
    ),
    (
        "record_change_delete",
        "AFTER DELETE ON record BEGIN
            UPDATE record_change
                SET number = (SELECT max(number) + 1 FROM record_change WHERE scope = old.scope), is_gone = 1
                WHERE record_id = old.id AND scope = old.scope;
        END",
    ),
    // The app writes the key right after the e-mail. A program that does not leaves no key of another e-mail behind.
    (
        "user_email",
        "AFTER UPDATE OF email ON user WHEN new.email <> old.email BEGIN
            UPDATE user SET email_key = NULL WHERE id = new.id;
        END",
    ),
];

/// Tables and what follows their names.
const TABLES: [(&str, &str); 3] = [
    // One row. `fold_version` is the one that every record has, but for stale ones.
    (
        "record_state",
        "(
            id INTEGER PRIMARY KEY CHECK (id = 1),
            epoch TEXT NOT NULL,
            fold_version INTEGER NOT NULL
        ) STRICT",
    ),
    (
        "record_change",
        "(
            scope INTEGER NOT NULL,
            number INTEGER NOT NULL,
            record_id INTEGER NOT NULL,
            is_gone INTEGER NOT NULL DEFAULT 0,
            PRIMARY KEY (scope, number)
        ) STRICT, WITHOUT ROWID",
    ),
    // What a request with an Idempotency-Key created, so that the same request again creates nothing more. Rows are of no use
    // after 24 hours. `request_hash` is of the operation and the body; `created_id` is a number in the table that the operation
    // writes to.
    (
        "idempotency_key",
        "(
            user_id INTEGER NOT NULL REFERENCES user (id),
            key TEXT NOT NULL,
            request_hash TEXT NOT NULL,
            created_id INTEGER NOT NULL,
            created_at TEXT NOT NULL,
            PRIMARY KEY (user_id, key)
        ) STRICT, WITHOUT ROWID",
    ),
];

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        for (name, definition) in RECORD_COLUMNS {
            add::column(manager, "record", name, definition).await?;
        }
        for (name, body) in TABLES {
            add::table(manager, name, body).await?;
        }
        add::unique_index(manager, "record_change_record", "record_change (record_id, scope)").await?;
        add::index(manager, "idempotency_key_created_at", "idempotency_key (created_at)").await?;
        // What is equal for e-mails that can be taken for one another; the app fills it. Not unique: a household in which
        // two are alike has to be upgraded too.
        add::column(manager, "user", "email_key", "TEXT NULL").await?;
        add::index(manager, "user_email_key", "user (email_key)").await?;
        number_changes(manager).await?;
        let is_new = replace_search(manager).await?;
        for (name, definition) in TRIGGERS {
            add::trigger(manager, name, definition).await?;
        }
        if is_new {
            fold_records(manager).await?;
            run(manager, "INSERT INTO record_search (record_search) VALUES ('optimize')").await?;
        }
        for (name, on) in ORDERS {
            replace_index(manager, name, on).await?;
        }
        // Empty but for what an older program wrote.
        add::index(manager, "record_stale", "record (id) WHERE fold_version = 0").await
    }
}

async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    manager.get_connection().execute_unprepared(sql).await.map(|_| ())
}

/// Numbers the records that are there, what was changed first first.
async fn number_changes(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let state = format!(
        "INSERT OR IGNORE INTO record_state (id, epoch, fold_version)
            VALUES (1, lower(hex(randomblob(8))), {FOLD_VERSION})"
    );
    run(manager, &state).await?;
    run(
        manager,
        "INSERT INTO record_change (scope, number, record_id)
            SELECT
                scope,
                ifnull((SELECT max(number) FROM record_change AS known WHERE known.scope = record.scope), 0)
                    + row_number() OVER (PARTITION BY scope ORDER BY updated_at, id),
                id
            FROM record WHERE id NOT IN (SELECT record_id FROM record_change)",
    )
    .await
}

/// Puts the new index in the place of the one of m0001, and returns whether it did; once it is there, records are the app's to
/// fold.
async fn replace_search(manager: &SchemaManager<'_>) -> Result<bool, DbErr> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE name = 'record_search' AND sql LIKE '%contentless_delete%'";
    if !rows(manager.get_connection(), sql, []).await?.is_empty() {
        return Ok(false);
    }
    for name in ["record_search_insert", "record_search_delete", "record_search_update"] {
        run(manager, &format!("DROP TRIGGER IF EXISTS {name}")).await?;
    }
    run(manager, "DROP TABLE IF EXISTS record_search").await?;
    add::virtual_table(manager, "record_search", SEARCH).await?;
    Ok(true)
}

/// Puts an index that begins with the scope in the place of the one of m0001.
async fn replace_index(manager: &SchemaManager<'_>, name: &str, on: &str) -> Result<(), DbErr> {
    let sql = "SELECT 1 FROM sqlite_schema WHERE type = 'index' AND name = ? AND sql NOT LIKE '%(scope,%'";
    if !rows(manager.get_connection(), sql, [name.into()]).await?.is_empty() {
        run(manager, &format!("DROP INDEX {name}")).await?;
    }
    add::index(manager, name, on).await
}

/// Folds every record.
async fn fold_records(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    const BATCH: usize = 200;
    let connection = manager.get_connection();
    let mut last = i64::MIN;
    loop {
        let batch = rows(
            connection,
            "SELECT id, scope, title, category, notes FROM record WHERE id > ? AND fold_version = 0 ORDER BY id LIMIT 200",
            [last.into()],
        )
        .await?;
        for row in &batch {
            let id: i64 = row.try_get_by_index(0)?;
            let scope: i64 = row.try_get_by_index(1)?;
            let text = |index| row.try_get_by_index::<String>(index);
            let folded = Folded::new(&text(2)?, &text(3)?, &text(4)?);
            let tokens = folded.tokens(scope);
            let write = |sql, values: Vec<Value>| {
                connection.execute_raw(Statement::from_sql_and_values(DbBackend::Sqlite, sql, values))
            };
            write("INSERT INTO record_search (rowid, title) VALUES (?, ?)", vec![id.into(), tokens.into()]).await?;
            write(
                "UPDATE record SET folded = ?, category_key = ?, title_key = ?, fold_version = ? WHERE id = ?",
                vec![
                    folded.text.into(),
                    folded.category_key.into(),
                    folded.title_key.into(),
                    FOLD_VERSION.into(),
                    id.into(),
                ],
            )
            .await?;
            last = id;
        }
        if batch.len() < BATCH {
            return Ok(());
        }
    }
}
