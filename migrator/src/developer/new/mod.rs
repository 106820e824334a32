//! Which migration makes the tables into what the app's entities say, and how is it written?
//!
//! The entities are compared with the schema that all migrations make ([`plan`](plan())). What a migration can do without a loss for
//! anybody becomes steps, each the call of a helper; all else is refused with what to write instead. The steps are tried on the
//! migrated schema, twice, and the entities have to be a true view of it then. Only then is the file written, with a test beside
//! it, and registered.
//!
//! Nothing is guessed and nobody is asked: where a column went and another one came, the command says what it found, and a flag
//! says what it means.

mod command;
mod flags;
mod former;
mod plan;
mod refusal;
mod sql;
mod step;
mod wishes;
mod write;

use std::path::{Path, PathBuf};

use sea_orm::DatabaseConnection;
use sea_orm_migration::SchemaManager;
use serde::Serialize;

pub use command::{Arguments, run};
pub use former::Former;
pub use plan::{Plan, plan};
pub use step::Step;
pub use wishes::Wishes;

use super::entity::{Entity, differences};
use super::releases::{self, root};
use super::tables::{Tables, migrated};
use super::{Problem, blocking};
use crate::Release;
use crate::error::words;

/// What was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The migration's name, with its number.
    pub migration: String,
    /// What it does.
    #[serde(flatten)]
    pub plan: Plan,
    /// The files that were written.
    pub files: Vec<PathBuf>,
}

/// Returns where this repository's migrations are.
pub fn directory() -> PathBuf {
    root().join("migrator/src/migrations")
}

/// Returns the columns that the app of the newest release read.
///
/// # Errors
///
/// If the release's files cannot be read.
pub fn former() -> Result<Former, Problem> {
    let newest = releases::all()?.pop();
    newest.map_or_else(|| Ok(Former::default()), |newest| Ok(Former::of_statements(&newest.statements()?)))
}

/// Writes the next migration into `directory`: what makes the tables that `release` makes into what `entities` say, and what is
/// asked for. None, if there is nothing to do.
///
/// # Errors
///
/// Each change that cannot be made safely, and what to write instead; then nothing was written.
pub fn write(
    release: &Release,
    directory: &Path,
    name: &str,
    entities: &[Entity],
    former: &Former,
    wishes: &Wishes,
) -> Result<Option<Written>, Problem> {
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.len() <= 60
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if !is_name {
        return Err(Problem::new(format!("{name:?} cannot be the name of a migration"))
            .hint("say in a few words what it does, in lower case: cargo migration new colour_of_records"));
    }
    let before = Tables::of_release(release)?;
    let plan = if wishes.empty { Plan::default() } else { plan(entities, &before, former, wishes)? };
    if plan.steps.is_empty() && !wishes.empty {
        return Ok(None);
    }
    try_out(release, &plan.steps, if wishes.empty { &[] } else { entities })?;
    let (migration, files) = write::write(directory, name, &plan, &before)?;
    Ok(Some(Written { migration, plan, files }))
}

/// Carries out the steps on the migrated schema, twice, and compares it with the entities.
///
/// # Errors
///
/// Says which step SQLite does not take, or what would still be different.
pub fn try_out(release: &Release, steps: &[Step], entities: &[Entity]) -> Result<(), Problem> {
    let (once, twice) = blocking(async || {
        let connection = migrated(release).await?;
        execute(&connection, steps).await?;
        let once = Tables::of(&connection).await?;
        execute(&connection, steps).await?;
        Ok::<_, Problem>((once, Tables::of(&connection).await?))
    })??;
    if once != twice {
        return Err(Problem::new("the steps would change something again in a second run; nothing was written"));
    }
    if let Some(difference) = differences(entities, &once).first() {
        return Err(Problem::new(format!("with these steps {difference} still; nothing was written"))
            .hint("write the migration by hand, in the frame that --empty makes"));
    }
    Ok(())
}

async fn execute(connection: &DatabaseConnection, steps: &[Step]) -> Result<(), Problem> {
    for step in steps {
        let failed = |error| {
            Problem::new(format!(
                "SQLite does not take the step that {}: {}; nothing was written",
                step.line(),
                words(&error)
            ))
        };
        step.execute(&SchemaManager::new(connection)).await.map_err(failed)?;
        // Of a table without rows no expression is read.
        if let Step::BackFill { table, column, expression } = step {
            let (table, column) = (sql::plain(table), sql::plain(column));
            let explained = format!("EXPLAIN UPDATE {table} SET {column} = ({expression})");
            sea_orm::ConnectionTrait::execute_unprepared(connection, &explained).await.map_err(failed)?;
        }
    }
    Ok(())
}
