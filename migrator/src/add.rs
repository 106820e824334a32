//! How is a migration written so that running it twice changes nothing?
//!
//! With these: each adds one thing if it is not there. They take SQL text and not a builder,
//! because a released migration must mean the same for ever, whatever a later library makes of
//! the same calls.
//!
//! ```
//! # use migrator::{add, sea_orm_migration::prelude::*};
//! # async fn up(manager: &SchemaManager<'_>) -> Result<(), DbErr> {
//! add::column(manager, "record", "colour", "TEXT NOT NULL DEFAULT ''").await?;
//! add::index(manager, "record_colour", "record (colour, id)").await?;
//! # Ok(())
//! # }
//! ```

mod back_fill;
mod rebuild;
mod renamed;
mod search;

pub use back_fill::back_fill;
pub use rebuild::rebuild;
pub use renamed::renamed;
pub use search::search;

use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::SchemaManager;

use crate::database::rows;
use crate::schema::quoted;

/// Adds a table. `body` is what stands in the parentheses and after them:
/// `(id INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT`.
///
/// # Errors
///
/// SQLite's, such as a mistake in `body`.
pub async fn table(manager: &SchemaManager<'_>, name: &str, body: &str) -> Result<(), DbErr> {
    execute(manager, &format!("CREATE TABLE IF NOT EXISTS {} {body}", quoted(name))).await
}

/// Adds a virtual table. `definition` is what follows `USING`: `fts5(title, notes)`.
///
/// # Errors
///
/// SQLite's, such as a module that is not compiled in.
pub async fn virtual_table(manager: &SchemaManager<'_>, name: &str, definition: &str) -> Result<(), DbErr> {
    let name = quoted(name);
    execute(manager, &format!("CREATE VIRTUAL TABLE IF NOT EXISTS {name} USING {definition}")).await
}

/// Adds a column. `definition` is its type and constraints. A column that may not be null needs
/// a default, for the rows that are there and for the inserts of the release before.
///
/// # Errors
///
/// SQLite's, such as `NOT NULL` without a default.
pub async fn column(manager: &SchemaManager<'_>, table: &str, name: &str, definition: &str) -> Result<(), DbErr> {
    let connection = manager.get_connection();
    let found = rows(
        connection,
        "SELECT 1 FROM pragma_table_xinfo(?) WHERE name = ? COLLATE NOCASE",
        [table.into(), name.into()],
    )
    .await?;
    if !found.is_empty() {
        return Ok(());
    }
    let (table, name) = (quoted(table), quoted(name));
    execute(manager, &format!("ALTER TABLE {table} ADD COLUMN {name} {definition}")).await
}

/// Adds an index. `on` is the table and what of it: `record (due_date, id)`, with a `WHERE` for
/// a partial one.
///
/// # Errors
///
/// SQLite's, such as a column that is not there.
pub async fn index(manager: &SchemaManager<'_>, name: &str, on: &str) -> Result<(), DbErr> {
    execute(manager, &format!("CREATE INDEX IF NOT EXISTS {} ON {on}", quoted(name))).await
}

/// Adds a unique index. `on` is as for [`index`](fn@index).
///
/// # Errors
///
/// SQLite's, such as rows that are not unique.
pub async fn unique_index(manager: &SchemaManager<'_>, name: &str, on: &str) -> Result<(), DbErr> {
    execute(manager, &format!("CREATE UNIQUE INDEX IF NOT EXISTS {} ON {on}", quoted(name))).await
}

/// Adds a trigger. `definition` is what follows the name: `AFTER DELETE ON record BEGIN … END`.
///
/// # Errors
///
/// SQLite's, such as a mistake in `definition`.
pub async fn trigger(manager: &SchemaManager<'_>, name: &str, definition: &str) -> Result<(), DbErr> {
    execute(manager, &format!("CREATE TRIGGER IF NOT EXISTS {} {definition}", quoted(name))).await
}

/// Puts a trigger in the place of the one that has its name, if one has. `definition` is as for [`trigger`].
///
/// # Errors
///
/// SQLite's, such as a mistake in `definition`.
pub async fn replaced_trigger(manager: &SchemaManager<'_>, name: &str, definition: &str) -> Result<(), DbErr> {
    let name = quoted(name);
    execute(manager, &format!("DROP TRIGGER IF EXISTS {name}; CREATE TRIGGER {name} {definition}")).await
}

/// Adds a view. `select` is the query it stands for.
///
/// # Errors
///
/// SQLite's, such as a mistake in `select`.
pub async fn view(manager: &SchemaManager<'_>, name: &str, select: &str) -> Result<(), DbErr> {
    execute(manager, &format!("CREATE VIEW IF NOT EXISTS {} AS {select}", quoted(name))).await
}

async fn execute(manager: &SchemaManager<'_>, sql: &str) -> Result<(), DbErr> {
    manager.get_connection().execute_unprepared(sql).await.map(|_| ())
}
