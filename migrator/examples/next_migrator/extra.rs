//! Migrations of releases that never were: good ones, and one for each way to be bad.
//!
//! Those with a fault that shows only in the app put a row into `hearth_fault (kind)`, which the
//! app's build with fault points reads at its start.

use std::time::{Duration, Instant};

use migrator::sea_orm_migration::prelude::*;
use migrator::{MigrationTrait, add, migrations};

/// Name in `TEST_MIGRATIONS`, and name as a migration.
pub(crate) const EXTRA: &[(&str, &str)] = &[
    ("good", "m9001_good"),
    ("good2", "m9002_good2"),
    ("fails", "m9003_fails"),
    ("loses-row", "m9004_loses_row"),
    ("drops-index", "m9005_drops_index"),
    ("breaks-foreign-key", "m9006_breaks_foreign_key"),
    ("crash", "m9007_crash"),
    ("hang", "m9008_hang"),
    ("unhealthy", "m9009_unhealthy"),
    ("slow", "m9010_slow"),
    ("big", "m9011_big"),
    ("rebuilds", "m9012_rebuilds"),
    ("empties-search", "m9013_empties_search"),
    ("helpers", "m9014_helpers"),
    ("statement", "m9015_statement"),
    ("stuck", "m9016_stuck"),
];

/// The shipped migrations and those named in `list`.
pub(crate) fn with(list: &str) -> Vec<Box<dyn MigrationTrait>> {
    let mut all = migrations::all();
    for wanted in list.split(',').map(str::trim).filter(|wanted| !wanted.is_empty()) {
        let found = EXTRA.iter().find(|(short, _)| *short == wanted);
        let (short, name) = found.unwrap_or_else(|| panic!("there is no test migration {wanted:?}"));
        all.push(Box::new(Extra { short, name }));
    }
    all
}

struct Extra {
    short: &'static str,
    name: &'static str,
}

impl MigrationName for Extra {
    fn name(&self) -> &str {
        self.name
    }
}

#[async_trait::async_trait]
impl MigrationTrait for Extra {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        match self.short {
            "good" => good(manager).await,
            "good2" => good2(manager).await,
            "fails" => fails(manager).await,
            "loses-row" => run(manager, "DELETE FROM record WHERE id = (SELECT max(id) FROM record)").await,
            "drops-index" => rebuild(manager, "'record_due_date', 'record_search_update'").await,
            "empties-search" => run(manager, "INSERT INTO record_search (record_search) VALUES ('delete-all')").await,
            "rebuilds" => rebuild(manager, "").await,
            "breaks-foreign-key" => breaks_foreign_key(manager).await,
            "helpers" => helpers(manager).await,
            "slow" => slow(manager).await,
            "big" => big(manager).await,
            "statement" => statement(manager).await,
            "stuck" => std::future::pending().await,
            kind => fault_in_the_app(manager, kind).await,
        }
    }
}

async fn run(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    manager.get_connection().execute_unprepared(sql).await.map(|_| ())
}

/// A column, a table and an index.
async fn good(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    add::column(manager, "record", "colour", "TEXT NOT NULL DEFAULT ''").await?;
    add::index(manager, "record_colour", "record (colour, id)").await?;
    add::table(
        manager,
        "label",
        "(
            id INTEGER PRIMARY KEY,
            record_id INTEGER NOT NULL REFERENCES record (id) ON DELETE CASCADE,
            name TEXT NOT NULL,
            UNIQUE (record_id, name)
        ) STRICT",
    )
    .await
}

/// Values for every record, a view, and a table with a trigger that keeps it.
async fn good2(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    add::column(manager, "record", "weight", "INTEGER NULL").await?;
    run(manager, "UPDATE record SET weight = length(notes) WHERE weight IS NULL").await?;
    add::view(manager, "record_due", "SELECT id, title, due_date FROM record WHERE due_date IS NOT NULL").await?;
    add::table(manager, "record_count", "(id INTEGER PRIMARY KEY CHECK (id = 1), number INTEGER NOT NULL) STRICT")
        .await?;
    run(manager, "INSERT OR IGNORE INTO record_count VALUES (1, (SELECT count(*) FROM record))").await?;
    add::trigger(
        manager,
        "record_count_insert",
        "AFTER INSERT ON record BEGIN UPDATE record_count SET number = number + 1; END",
    )
    .await
}

/// All that the helpers have for what is not just added.
async fn helpers(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    add::column(manager, "record", "size", "INTEGER NULL").await?;
    add::back_fill(manager, "record", "size", "length(title) + length(notes)").await?;
    add::rebuild(
        manager,
        "account",
        "(
            id INTEGER PRIMARY KEY AUTOINCREMENT,
            user_id INTEGER NOT NULL REFERENCES user (id),
            provider TEXT NOT NULL,
            provider_id TEXT NOT NULL,
            password_hash TEXT NULL,
            created_at TEXT NOT NULL,
            updated_at TEXT NULL
        ) STRICT",
    )
    .await?;
    add::search(manager, "audit_event", &["who", "subject"]).await?;
    add::renamed(manager, "session", "address", "network_address", "TEXT NOT NULL DEFAULT ''").await
}

/// Does half of its work, then gives up.
async fn fails(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    add::table(manager, "half_done", "(id INTEGER PRIMARY KEY)").await?;
    run(manager, "INSERT INTO half_done SELECT id FROM record").await?;
    run(manager, "UPDATE record SET title = 'half done'").await?;
    Err(DbErr::Migration("half of the work is done and the rest cannot be".to_owned()))
}

/// Rebuilds `record` as SQLite's manual says, but for the indexes and triggers in `forgotten`.
async fn rebuild(manager: &SchemaManager<'_>, forgotten: &str) -> Result<(), DbErr> {
    let kept = format!(
        "SELECT sql FROM sqlite_schema WHERE tbl_name = 'record' AND type IN ('index', 'trigger')
         AND sql IS NOT NULL AND name NOT IN ({forgotten})"
    );
    let rows = manager
        .get_connection()
        .query_all_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, kept))
        .await?;
    let table: String = manager
        .get_connection()
        .query_one_raw(sea_orm::Statement::from_string(
            sea_orm::DbBackend::Sqlite,
            "SELECT sql FROM sqlite_schema WHERE name = 'record'",
        ))
        .await?
        .ok_or_else(|| DbErr::Migration("there is no table record".to_owned()))?
        .try_get_by_index(0)?;
    run(manager, &table.replacen("\"record\"", "\"record_new\"", 1)).await?;
    // Without the columns that SQLite computes.
    let columns = "SELECT group_concat('\"' || name || '\"') FROM pragma_table_xinfo('record') WHERE hidden = 0";
    let columns: String = manager
        .get_connection()
        .query_one_raw(sea_orm::Statement::from_string(sea_orm::DbBackend::Sqlite, columns))
        .await?
        .ok_or_else(|| DbErr::Migration("the table record has no columns".to_owned()))?
        .try_get_by_index(0)?;
    run(manager, &format!("INSERT INTO record_new ({columns}) SELECT {columns} FROM record")).await?;
    run(manager, "DROP TABLE record").await?;
    // Without this the renaming stops at the first view of the table that is not there just now.
    run(manager, "PRAGMA legacy_alter_table = ON").await?;
    run(manager, "ALTER TABLE record_new RENAME TO record").await?;
    run(manager, "PRAGMA legacy_alter_table = OFF").await?;
    for row in rows {
        run(manager, &row.try_get_by_index::<String>(0)?).await?;
    }
    Ok(())
}

/// Leaves a note about a record that there is not.
async fn breaks_foreign_key(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    add::table(manager, "note", "(id INTEGER PRIMARY KEY, record_id INTEGER NOT NULL REFERENCES record (id))").await?;
    run(manager, "INSERT INTO note (record_id) VALUES (-1)").await
}

/// Passes, and makes the app fail.
async fn fault_in_the_app(manager: &SchemaManager<'_>, kind: &str) -> Result<(), DbErr> {
    add::table(manager, "hearth_fault", "(kind TEXT NOT NULL PRIMARY KEY)").await?;
    run(manager, &format!("INSERT OR IGNORE INTO hearth_fault VALUES ('{kind}')")).await
}

/// Writes for two seconds (or `TEST_SLOW_MILLISECONDS`), so that it can be killed in the middle.
async fn slow(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    let milliseconds = from_environment("TEST_SLOW_MILLISECONDS", 2000);
    let since = Instant::now();
    add::table(manager, "slow", "(id INTEGER PRIMARY KEY, filler BLOB)").await?;
    while since.elapsed() < Duration::from_millis(milliseconds) {
        run(
            manager,
            "INSERT INTO slow (filler) WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 50)
             SELECT zeroblob(2000) FROM n;
             UPDATE record SET notes = notes || ' slow' WHERE id % 7 = 0",
        )
        .await?;
        // Let the disk and the other tests breathe: time is what this one wants, not work.
        std::thread::sleep(Duration::from_millis(5));
    }
    run(manager, "UPDATE record SET notes = replace(notes, ' slow', '')").await
}

/// Takes some seconds (or `TEST_STATEMENT_MILLIONS`) for a single statement that writes nothing before it is done.
async fn statement(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    add::column(manager, "record", "slowly", "INTEGER NULL").await?;
    let rows = from_environment("TEST_STATEMENT_MILLIONS", 30) * 1_000_000;
    run(
        manager,
        &format!(
            "UPDATE record SET slowly = (WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT count(*) FROM n)
             WHERE id = 1"
        ),
    )
    .await
}

/// Writes 64 MiB (or `TEST_BIG_MIB`), so that a small disk is full.
async fn big(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
    add::table(manager, "big", "(id INTEGER PRIMARY KEY, filler BLOB)").await?;
    for _ in 0..from_environment("TEST_BIG_MIB", 64) {
        run(manager, "INSERT INTO big (filler) VALUES (randomblob(1048576))").await?;
    }
    Ok(())
}

fn from_environment(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|value| value.parse().ok()).unwrap_or(default)
}
