//! How do the pending migrations run on the staged generation?
//!
//! `migrator up --json`, one JSON document a line: docs/contracts/migrator-up.jsonl.

use std::{cell::Cell, path::Path, time::Duration};

use serde::{Deserialize, de::DeserializeOwned};
use tokio::time::{Instant, sleep_until};

use crate::{
    app::lifecycle::{Mode, point},
    data::state::FORMAT,
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{child, same_version},
    process::{reaper::Exit, sandbox::rules::Role, spawn::Launch},
    status::{Unit, VERSION},
};

/// What the migrator reports while it works; its version since 0.5.0.
#[derive(Debug, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Event {
    Checking {
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
    Progress {
        migration: String,
        table: String,
        done: u64,
        of: u64,
    },
    Applied {
        migration: String,
        number: u64,
        of: u64,
        milliseconds: u64,
    },
    Accepted {
        finding: String,
    },
    Complete {
        applied: Vec<String>,
    },
    /// That it still works, and what a later migrator may add.
    #[serde(other)]
    Other,
}

/// What every document of the migrator's has, and the one that it ends with when it cannot do its work.
#[derive(Debug, Deserialize)]
struct Document {
    format: u32,
    error: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Said {
    kind: String,
    message: String,
    hint: Option<String>,
}

/// Reads a line of the migrator's output for what it says it failed for; `None` when it is another document.
///
/// # Errors
/// When it is a document of another format.
fn failure(line: &[u8]) -> Result<Option<Failure>, Failure> {
    let Document { format, error } = read(line)?;
    if format != FORMAT {
        return Err(unknown(format!(
            "the migrator answers in format {format}, and this supervisor reads format {FORMAT}"
        )));
    }
    let said = error.and_then(|error| serde_json::from_value::<Said>(error).ok());
    Ok(said.map(|Said { kind, message, hint }| {
        let cause = match kind.as_str() {
            "missing" => Cause::Live,
            "not-a-database" => Cause::NotADatabase,
            "foreign" => Cause::Foreign,
            "damaged" => Cause::Damaged,
            "newer" => Cause::Newer,
            "drift" | "finding" | "stop" => Cause::Drift,
            "no-space" => Cause::NoSpace,
            "permission" => Cause::Permission,
            "busy" => Cause::Busy,
            "io" => Cause::Io,
            // `migration`, `check`, and what a later migrator may add.
            _ => Cause::Migration,
        };
        Failure { cause, message, hint }
    }))
}

/// Reads a document.
///
/// # Errors
/// Says that it could not be read.
pub(super) fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(line)
        .map_err(|error| unknown(format!("the migrator gave an answer that cannot be read: {error}")))
}

fn unknown(message: String) -> Failure {
    Failure::new(Cause::UnknownFormat, message)
        .hint("supervisor, migrator and app belong to one version; migrator.command may name another program")
}

/// Runs the migrator on this database, and gives each document that it prints to `each`; returns its exit.
///
/// # Errors
/// The migrator's own sentence; the first error of `each`.
pub(super) async fn run(
    instance: &Instance,
    database: &Path,
    words: &[&str],
    background: bool,
    mut each: impl FnMut(&[u8]) -> Result<(), Failure>,
) -> Result<Exit, Failure> {
    let mut command = instance.config.migrator.command.clone();
    command.extend(words.iter().map(|word| (*word).to_owned()));
    let mut launch =
        Launch::new(&instance.programs.migrator, command, instance.environment_for(database), instance.locks());
    launch.background = background;
    launch.confinement = instance.confinement(Role::Migrator { database: database.to_owned() });
    child::lines(instance, launch, |line| failure(line)?.map_or_else(|| each(line), Err)).await
}

/// Says whether the migrator may be used with this supervisor.
pub(super) fn is_of_this_version(instance: &Instance, version: Option<&str>) -> Result<(), Failure> {
    match instance.programs.migrator.is_own() {
        true => same_version("migrator", version.unwrap_or("0.4.0 or older"), VERSION),
        false => Ok(()),
    }
}

/// How long a migrator of Hearth's own may show no sign of life: it shows one each second.
const STUCK: Duration = Duration::from_secs(10 * 60);

/// Runs all pending migrations on this database, in spite of the findings that the operator has accepted, and returns the name of the
/// last applied one.
///
/// # Errors
/// The migrator's own sentence, or why it gave none; that it shows no sign of life any more.
pub async fn up(instance: &Instance, database: &Path, mode: Mode, accepted: &[String]) -> Result<String, Failure> {
    let heard = Cell::new(Instant::now());
    let stuck = async {
        while instance.programs.migrator.is_own() && heard.get().elapsed() < STUCK {
            sleep_until(heard.get() + STUCK).await;
        }
        if !instance.programs.migrator.is_own() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        done = to_the_end(instance, database, mode, accepted, &heard) => done,
        () = stuck => {
            let limit = humantime::format_duration(STUCK);
            Err(Failure::new(Cause::Migration, format!("the migrator has shown no sign of life for {limit}"))
                .hint("the migrations run in one transaction on a copy, so nothing was changed"))
        }
    }
}

async fn to_the_end(
    instance: &Instance,
    database: &Path,
    mode: Mode,
    accepted: &[String],
    heard: &Cell<Instant>,
) -> Result<String, Failure> {
    point("migrator.launched")?;
    let mut schema = String::new();
    let mut complete = false;
    let mut last = String::new();
    let mut words = vec!["up", "--json"];
    words.extend(accepted.iter().flat_map(|finding| ["--accept", finding]));
    let exit = run(instance, database, &words, mode.is_beside(), |line| {
        heard.set(Instant::now());
        match read(line)? {
            // Told at planning already, but for a first start's migrator.
            Event::Checking { version } => is_of_this_version(instance, version.as_deref())?,
            Event::Skipping { migration } => schema = migration,
            Event::Applying { migration, number, of } => {
                if !mode.is_beside() {
                    tracing::info!(target: "Migrate", "Applying: {migration}");
                }
                instance.publisher.progress(number - 1, of, Unit::Migrations);
            }
            Event::Progress { migration, table, done, of } => {
                let said = format!("{migration}: {done} of {of} rows of {table}");
                // It is repeated as a sign of life.
                if !mode.is_beside() && said != last {
                    tracing::info!(target: "Migrate", "{said}");
                    last = said;
                }
                instance.publisher.progress(done, of, Unit::Rows);
            }
            Event::Applied { migration, number, of, milliseconds } => {
                tracing::debug!(migration, milliseconds, "applied");
                instance.publisher.progress(number, of, Unit::Migrations);
                schema = migration;
            }
            Event::Accepted { finding } => {
                tracing::warn!(target: "Migrate", "in spite of what was accepted: {finding}")
            }
            Event::Other => {}
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
    if !mode.is_beside() {
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
            assert!(failure(line.as_bytes()).unwrap().is_none(), "{line}");
            serde_json::from_str::<Event>(line).unwrap();
        }
        let failure = failure(include_bytes!("../../../docs/contracts/migrator-error.json")).unwrap().unwrap();
        assert_eq!(failure.cause, Cause::Migration);
        assert!(failure.hint.is_some());
    }

    #[test]
    fn another_format_is_refused() {
        let other = failure(br#"{"format":2,"event":"complete"}"#).unwrap_err();
        assert_eq!(other.cause, Cause::UnknownFormat);
        assert!(failure(b"panicked at").is_err());
    }
}
