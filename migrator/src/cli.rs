//! Which commands does the migrator have, and what do they print?

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use serde::Serialize;

use crate::config::{Config, Format};
use crate::error::counted;
use crate::finding::unaccepted;
use crate::plan::Applied;
use crate::status::Status;
use crate::{Difference, Error, Event, Release, database, log, threads};

/// Brings a Hearth database to this release, in one transaction.
#[derive(Debug, Parser)]
#[command(
    name = "migrator",
    disable_version_flag = true,
    after_help = "Examples:
  migrator status --database data/live/app.db
  migrator status --json --quick-check
  migrator up --database copy-of-app.db
  migrator schema --database data/live/app.db > schema.sql

Environment:
  HEARTH_DATABASE     the database, where --database does not name one
  HEARTH_DATA_DIR     status and schema look at the live database in it, where neither names one [default: ./data]
  HEARTH_LOG__FORMAT  text or json
  HEARTH_LOG__LEVEL   error, warn, info, debug or trace
  HEARTH_LOG__TIMESTAMPS  always: each line begins with the time

Exit status: 0 done, 1 failed (nothing was changed), 2 wrong usage."
)]
struct Arguments {
    /// The database file; it is never created, but an empty file is a new database
    #[arg(long, value_name = "PATH", global = true)]
    database: Option<PathBuf>,
    /// Print the version
    #[arg(long, short = 'V')]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say what is applied, pending and unknown, without changing anything
    Status {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
        /// Have SQLite read through all of the database too
        #[arg(long)]
        quick_check: bool,
    },
    /// Apply all pending migrations, or none
    Up {
        /// Print a JSON document a line as things happen
        #[arg(long)]
        json: bool,
        /// Upgrade in spite of this finding, a sentence that status prints; may be repeated
        #[arg(long, value_name = "FINDING")]
        accept: Vec<String>,
    },
    /// Print the database's schema as SQL, and its fingerprint
    Schema {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

/// Returns the command line there is, for its manual.
pub fn command() -> clap::Command {
    Arguments::command().version(env!("CARGO_PKG_VERSION"))
}

/// Runs the migrator of `release` with the arguments of this process.
pub fn main(release: Release) -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.version {
        return printed(&format!("migrator {}\n", release.version));
    }
    let Some(command) = arguments.command else {
        return misused("no command is given", "migrator status, migrator up or migrator schema; see migrator --help");
    };
    let config = match Config::read(arguments.database) {
        Ok(config) => config,
        Err(problem) => return misused(&problem, "see migrator --help"),
    };
    let live = match command {
        Command::Status { .. } | Command::Schema { .. } => Some(Config::live()),
        Command::Up { .. } => None,
    };
    let Some(path) = &config.database.or(live) else {
        return misused(
            "no database is named",
            "pass --database PATH or set HEARTH_DATABASE; nothing but the app changes a live database",
        );
    };
    let json = match &command {
        Command::Status { json, .. } | Command::Up { json, .. } | Command::Schema { json } => *json,
    };
    log::start(config.log, json);
    threads::make_possible();
    // One thread and its timer is all that one connection needs; SQLite has a thread of its own.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let error = Error::from_io(&error, path, "starting the runtime");
            return failed(&error, json, config.log.format);
        }
    };
    let result = runtime.block_on(async {
        match command {
            Command::Status { quick_check, .. } => status(path, &release, quick_check, json).await,
            Command::Up { accept, .. } => up(path, &release, &accept, json).await,
            Command::Schema { .. } => schema(path, json).await,
        }
    });
    match result {
        Ok(code) => code,
        Err(error) => failed(&error, json, config.log.format),
    }
}

async fn status(path: &Path, release: &Release, quick_check: bool, json: bool) -> Result<ExitCode, Error> {
    let status = crate::status(path, release, quick_check).await?;
    if !json {
        return Ok(printed(&describe(path, release, &status)));
    }
    #[derive(Serialize)]
    struct Document<'a> {
        version: &'a str,
        applied: &'a [Applied],
        pending: &'a [String],
        unknown: &'a [Applied],
        floor: Option<&'a str>,
        oldest: Option<&'a str>,
        stop: Option<String>,
        drift: &'a [String],
        findings: &'a [String],
        differences: &'a [Difference],
        schema: String,
    }
    Ok(documented(&Document {
        version: &release.version,
        applied: &status.plan.applied,
        pending: &status.plan.pending,
        unknown: &status.plan.unknown,
        floor: status.floor.as_deref(),
        oldest: release.oldest.as_deref(),
        stop: status.stop(release)?.map(|stop| stop.to_string()),
        drift: &status.drift,
        findings: &status.findings,
        differences: &release.differences,
        schema: status.schema.fingerprint(),
    }))
}

async fn up(path: &Path, release: &Release, accepted: &[String], json: bool) -> Result<ExitCode, Error> {
    let mut report = |event: Event| {
        if json {
            // An upgrade under way is not given up because nobody listens any more.
            log::print(&event).ok();
        } else {
            event.tell();
        }
    };
    crate::up_in_spite_of(path, release, accepted, &mut report).await?;
    Ok(ExitCode::SUCCESS)
}

async fn schema(path: &Path, json: bool) -> Result<ExitCode, Error> {
    let (sql, listing) = database::read(path, async |connection| {
        let failed = |error| Error::from_database(&error, path, "reading the schema");
        let listing = crate::schema::Listing::read(connection).await.map_err(failed)?;
        let sql = crate::schema::statements(connection).await.map_err(failed)?;
        Ok((sql, listing))
    })
    .await?;
    let schema = listing.fingerprint();
    if !json {
        return Ok(printed(&format!("-- schema {schema}\n{sql}")));
    }
    #[derive(Serialize)]
    struct Document {
        schema: String,
        sql: String,
    }
    Ok(documented(&Document { schema, sql }))
}

/// Describes the state of a database to people.
fn describe(path: &Path, release: &Release, status: &Status) -> String {
    let mut lines = vec![
        format!("database  {}", path.display()),
        format!("migrator  v{}", release.version),
        format!("schema    {}", status.schema.fingerprint()),
        match &status.floor {
            Some(floor) => format!("floor     v{floor}"),
            None => "floor     none".to_owned(),
        },
    ];
    let names = status.plan.applied.iter().chain(&status.plan.unknown).map(|one| one.name.len());
    let width = names.max().unwrap_or(0);
    let mut applied = |word: &str, list: &[Applied]| {
        for Applied { name, version, applied_at } in list {
            lines.push(format!("{word}  {name:width$}  by v{version}, {applied_at}"));
        }
    };
    applied("applied ", &status.plan.applied);
    applied("unknown ", &status.plan.unknown);
    lines.extend(status.plan.pending.iter().map(|name| format!("pending   {name}")));
    if let Ok(Some(stop)) = status.stop(release) {
        lines.push(format!("stop      {stop}"));
    }
    lines.extend(status.drift.iter().map(|phrase| format!("drift     {phrase}")));
    lines.extend(unaccepted(&status.findings, &status.drift).iter().map(|sentence| format!("finding   {sentence}")));
    lines.push(match (status.plan.pending.len(), status.plan.unknown.len()) {
        (0, 0) => "Nothing is pending.".to_owned(),
        (pending, 0) => format!("{} pending.", counted(pending, "migration is", "migrations are")),
        (_, unknown) => format!(
            "The database is newer than this migrator: {} unknown to it.",
            counted(unknown, "migration is", "migrations are")
        ),
    });
    lines.join("\n") + "\n"
}

fn printed(text: &str) -> ExitCode {
    let mut stdout = io::stdout().lock();
    exit(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
}

fn documented(document: &impl Serialize) -> ExitCode {
    exit(log::print(document))
}

fn exit(result: io::Result<()>) -> ExitCode {
    if result.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn misused(problem: &str, hint: &str) -> ExitCode {
    complain(problem, Some(hint));
    ExitCode::from(2)
}

fn failed(error: &Error, json: bool, format: Format) -> ExitCode {
    #[derive(Serialize)]
    struct Document {
        event: &'static str,
        error: Problem,
    }
    #[derive(Serialize)]
    struct Problem {
        kind: &'static str,
        message: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        hint: Option<String>,
    }
    let (kind, message, hint) = (error.kind(), error.to_string(), error.hint());
    if json {
        log::print(&Document { event: "error", error: Problem { kind, message, hint } }).ok();
    } else if format == Format::Json {
        tracing::error!(kind, hint, "{message}");
    } else {
        complain(&message, hint.as_deref());
    }
    ExitCode::FAILURE
}

/// Says to people what is wrong and what helps. That nobody listens is not a second problem.
fn complain(problem: &str, hint: Option<&str>) {
    let mut words = format!("error: {problem}\n");
    if let Some(hint) = hint {
        words.push_str(&format!("hint: {hint}\n"));
    }
    io::stderr().lock().write_all(words.as_bytes()).ok();
}
