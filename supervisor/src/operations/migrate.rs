//! How do the pending migrations run on the staged generation?
//!
//! `migrator up --json`, one JSON document a line: docs/contracts/migrator-up.jsonl.

use std::path::Path;

use serde::Deserialize;

use crate::{
    app::lifecycle::{Mode, point},
    data::state::FORMAT,
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{child, same_version},
    process::sandbox::rules::Role,
    process::spawn::Launch,
    status::{Unit, VERSION},
};

/// What the migrator reports while it works.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Checking {
        /// The migrator's; since 0.5.0.
        version: Option<String>,
    },
    Skipping {
        migration: String,
    },
    Applying {
        migration: String,
        number: u64,
        of: u64,
    },
    Applied {
        migration: String,
        number: u64,
        of: u64,
        milliseconds: u64,
    },
    Complete {
        applied: Vec<String>,
    },
}

/// The document that the migrator ends with when it cannot do its work.
#[derive(Debug, Deserialize)]
pub struct MigratorFailure {
    format: u32,
    error: Said,
}

#[derive(Debug, Deserialize)]
struct Said {
    kind: String,
    message: String,
    hint: Option<String>,
}

impl MigratorFailure {
    /// Reads a line of the migrator's output; `None` when it is another document.
    ///
    /// # Errors
    /// When it is a document of another format.
    pub fn read(line: &[u8]) -> Result<Option<Failure>, Failure> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let format: Format = serde_json::from_slice(line).map_err(|error| unreadable(&error))?;
        if format.format != FORMAT {
            return Err(unknown_format(format.format));
        }
        Ok(serde_json::from_slice::<Self>(line).ok().map(Into::into))
    }
}

impl From<MigratorFailure> for Failure {
    fn from(failure: MigratorFailure) -> Self {
        debug_assert_eq!(failure.format, FORMAT);
        let cause = match failure.error.kind.as_str() {
            "missing" => Cause::Live,
            "not-a-database" => Cause::NotADatabase,
            "foreign" => Cause::Foreign,
            "damaged" => Cause::Damaged,
            "newer" => Cause::Newer,
            "drift" => Cause::Drift,
            "no-space" => Cause::NoSpace,
            "permission" => Cause::Permission,
            "busy" => Cause::Busy,
            "io" => Cause::Io,
            // `migration`, `check`, and what a later migrator may add.
            _ => Cause::Migration,
        };
        Self { cause, message: failure.error.message, hint: failure.error.hint }
    }
}

/// Says that the migrator's output could not be read.
pub(super) fn unreadable(error: &serde_json::Error) -> Failure {
    Failure::new(Cause::UnknownFormat, format!("the migrator gave an answer that cannot be read: {error}"))
        .hint("supervisor, migrator and app belong to one version; migrator.command may name another program")
}

/// Says that the migrator speaks another format.
pub(super) fn unknown_format(format: u32) -> Failure {
    Failure::new(
        Cause::UnknownFormat,
        format!("the migrator answers in format {format}, and this supervisor reads format {FORMAT}"),
    )
    .hint("supervisor, migrator and app belong to one version; migrator.command may name another program")
}

/// Says whether the migrator may be used with this supervisor.
///
/// # Errors
/// As [`same_version`].
pub(super) fn is_of_this_version(instance: &Instance, version: Option<&str>) -> Result<(), Failure> {
    match instance.programs.migrator.is_own() {
        true => same_version("migrator", version.unwrap_or("0.4.0 or older"), VERSION),
        false => Ok(()),
    }
}

/// Runs all pending migrations on this database, and returns the name of the last applied one.
///
/// # Errors
/// The migrator's own sentence, or why it gave none.
pub async fn up(instance: &Instance, database: &Path, mode: Mode) -> Result<String, Failure> {
    let mut command = instance.config.migrator.command.clone();
    command.extend(["up".into(), "--json".into()]);
    let mut launch =
        Launch::new(&instance.programs.migrator, command, instance.environment_for(database), instance.locks());
    launch.background = mode == Mode::Drill;
    launch.confinement = instance.confinement(Role::Migrator { database: database.to_owned() });
    point("migrator.launched")?;
    let mut schema = String::new();
    let mut complete = false;
    let exit = child::lines(instance, launch, |line| {
        if let Some(failure) = MigratorFailure::read(line)? {
            return Err(failure);
        }
        match serde_json::from_slice(line).map_err(|error| unreadable(&error))? {
            // Told at planning already, but for a first start's migrator.
            Event::Checking { version } => is_of_this_version(instance, version.as_deref())?,
            Event::Skipping { migration } => schema = migration,
            Event::Applying { migration, number, of } => {
                if mode != Mode::Drill {
                    tracing::info!(target: "Migrate", "Applying: {migration}");
                }
                instance.board.progress(number - 1, of, Unit::Migrations);
            }
            Event::Applied { migration, number, of, milliseconds } => {
                tracing::debug!(migration, milliseconds, "applied");
                instance.board.progress(number, of, Unit::Migrations);
                schema = migration;
            }
            Event::Complete { applied } => {
                complete = true;
                if let Some(last) = applied.last() {
                    schema.clone_from(last);
                }
            }
        }
        Ok(())
    })
    .await?;
    if !complete || exit.status() != 0 {
        return Err(Failure::new(Cause::Interrupted, format!("the migrator {exit} before it was done"))
            .hint("the migrations run in one transaction on a copy, so nothing was changed"));
    }
    if mode != Mode::Drill {
        tracing::info!(target: "Migrate", "All migrations complete!");
    }
    point("migrator.done")?;
    Ok(schema)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_golden_lines_are_read() {
        for line in include_str!("../../../docs/contracts/migrator-up.jsonl").lines() {
            assert!(MigratorFailure::read(line.as_bytes()).unwrap().is_none(), "{line}");
            serde_json::from_str::<Event>(line).unwrap();
        }
        let failure =
            MigratorFailure::read(include_bytes!("../../../docs/contracts/migrator-error.json")).unwrap().unwrap();
        assert_eq!(failure.cause, Cause::Migration);
        assert!(failure.hint.is_some());
    }

    #[test]
    fn another_format_is_refused() {
        let failure = MigratorFailure::read(br#"{"format":2,"event":"complete"}"#).unwrap_err();
        assert_eq!(failure.cause, Cause::UnknownFormat);
        assert!(MigratorFailure::read(b"panicked at").is_err());
    }
}
