//! Which commands are there, and what do they print?
//!
//! Results go to standard output, talk to standard error. Exit status: 0 done, 1 failed, 2 wrong usage; `run` ends
//! with the app's own. With `--json`, a result is one document on standard output, and standard error has a document a line:
//! `{"format":1,"error":…}` for a failure, and `{"format":1,"note":…}` for what a person may want to know besides.

mod backup;
mod color;
mod confirm;
mod env_file;
mod restore;
mod show;
mod update;
mod upgrade;
mod work;

use std::{
    ffi::OsString,
    io::{self, Write},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use clap::{Args, CommandFactory, Parser, Subcommand};
use hyper::{Method, body::Bytes};
use serde_json::{Value, json};

use self::color::{Color, colored};
use crate::{
    config::{self, Flags, Loaded},
    control::client::{another, as_owner, call, call_with},
    data::{
        DataDir, access,
        state::FORMAT,
        view::{self, View},
    },
    failure::{Cause, Failure},
    operations,
    process::signals,
    status::Status,
    status::log,
};

/// Whether what is said is for programs: whether the command line has `--json`.
static FOR_PROGRAMS: AtomicBool = AtomicBool::new(false);

/// How often a command that waits looks again.
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Parser)]
#[command(
    name = "supervisor",
    version,
    about = "Runs Hearth: brings its data to this version or leaves it as it was, and keeps the app serving",
    after_help = "Examples:\n  supervisor                          run, with data in ./data, on http://localhost:3000\n  supervisor status                   what it is doing\n  supervisor snapshot list            what an upgrade or restore left behind\n  supervisor restore 0006             go back to snapshot 0006\n  supervisor backup                   make a backup\n  supervisor restore latest           go back to the newest backup\n  supervisor update check             is there a newer version?"
)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Args)]
struct Options {
    /// The data directory [default: ./data; also HEARTH_DATA_DIR]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    data_dir: Option<std::path::PathBuf>,
    /// The address to listen on [default: 127.0.0.1:3000; also HEARTH_LISTEN]
    #[arg(long, global = true, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Run the supervisor (the default)
    Run,
    /// Show what the supervisor is doing
    Status(Json),
    /// Exit 0 unless the supervisor is held or does not run (for a container's health check)
    Healthcheck(Json),
    /// Show each setting's value and where it came from: the running supervisor's, else what one would start with
    #[command(
        after_help = "Examples:\n  supervisor config\n  supervisor config --env .env      is anything wrong in compose's .env? Nothing is started or read but that"
    )]
    Config(ShowConfig),
    /// Restart the app
    Restart(Json),
    /// Try again what is held, or an upgrade that failed while the last good version serves
    #[command(
        after_help = "Examples:\n  supervisor resume\n  supervisor resume --accept 'table record: column due_date is missing'   upgrade in spite of this finding"
    )]
    Resume(Resume),
    /// Try the upgrade to this version on a copy of the data; nothing is changed
    #[command(
        after_help = "Examples:\n  docker compose run --rm web rehearse     with a new image, while the old one serves\n  supervisor rehearse --json"
    )]
    Rehearse(Json),
    /// Run a command of the app that serves, also where that is the one of an earlier version
    #[command(
        after_help = "Examples:\n  supervisor exec app user list\n  supervisor exec app user reset-password anna@example.org"
    )]
    Exec(Exec),
    /// Look at snapshots: what an upgrade or restore left behind
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Make a backup; list, verify, remove and prune them
    #[command(
        after_help = "Examples:\n  supervisor backup                             make one now\n  supervisor backup --label 'before the move'   and call it something\n  supervisor backup list\n  supervisor backup verify --all\n  supervisor backup verify --drill              boot an app from the newest, in private\n  supervisor backup prune --dry-run             what the policy would remove\n  supervisor backup remove 2026-11-24T03-30-00Z-manual"
    )]
    Backup(backup::Backup),
    /// Go back to a backup or snapshot; the present stays behind as a snapshot itself
    Restore(restore::Restore),
    /// Find out whether there is a newer version
    #[command(subcommand)]
    Update(Update),
}

#[derive(Subcommand)]
enum Snapshot {
    /// List the generations there are
    List(Json),
}

#[derive(Subcommand)]
enum Update {
    /// Ask the registry of the image now, instead of once a day
    Check(Json),
}

#[derive(Args)]
struct ShowConfig {
    /// Check the .env of compose line by line, before anything is started with it (-: standard input)
    #[arg(long, value_name = "FILE")]
    env: Option<std::path::PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Resume {
    /// A finding that stops the upgrade, as it was said; may be given several times
    #[arg(long, value_name = "FINDING")]
    accept: Vec<String>,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

#[derive(Args)]
struct Exec {
    /// The program, which is app, and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "app")]
    words: Vec<OsString>,
}

#[derive(Args)]
struct Json {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Returns the command line there is, for its manual.
pub fn command() -> clap::Command {
    Cli::command()
}

/// Runs a command line, whose first word is the program's name; returns the exit status.
pub fn main(words: Vec<OsString>) -> ExitCode {
    // Before anything else, so that no signal of the first milliseconds is lost. A command that is not `run` lets
    // them through again below.
    let blocked = signals::block();
    FOR_PROGRAMS.store(words.iter().any(|word| word == "--json"), Ordering::Relaxed);
    let cli = match Cli::try_parse_from(words) {
        Ok(cli) => cli,
        Err(error) if error.use_stderr() && for_programs() => {
            let text = error.render().to_string();
            let (message, hint) =
                text.trim_end().split_once("\n\n").unwrap_or((text.trim_end(), "see: supervisor --help"));
            say_failure(&Failure::new(Cause::Configuration, message.trim_start_matches("error: ")).hint(hint));
            return ExitCode::from(2);
        }
        Err(error) => {
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let done = match blocked {
        Ok(()) => execute(cli),
        Err(error) => Err(Failure::io("cannot block signals", &error)),
    };
    match done {
        Ok(status) => ExitCode::from(status),
        Err(failure) => {
            say_failure(&failure);
            ExitCode::from(if failure.cause == Cause::Configuration { 2 } else { 1 })
        }
    }
}

fn execute(cli: Cli) -> Result<u8, Failure> {
    let flags = Flags { data_dir: cli.options.data_dir, listen: cli.options.listen };
    let command = cli.command.unwrap_or(Command::Run);
    if let Command::Run = command {
        let loaded = Loaded::load(&flags).map_err(where_it_stands)?;
        log::init(&loaded.config.log);
        loaded.warn();
        let shown = loaded.document();
        return operations::run(loaded.config, shown).map_err(where_it_stands);
    }
    signals::unblock().map_err(|error| Failure::io("cannot unblock signals", &error))?;
    if let Command::Config(ShowConfig { env: Some(file), json }) = command {
        return env_file::check(&file, json);
    }
    // Nothing but the place: a mistake in any other setting is no reason not to ask a supervisor that runs.
    let data = DataDir::new(config::data_dir(&flags)?);
    if !matches!(command, Command::Healthcheck(_))
        && let Some(another) = another(&data)
    {
        talk(&format!("note: {another} answers, and not the supervisor of this container"));
    }
    match command {
        Command::Run => Ok(0),
        Command::Status(Json { json }) => show::status(&data, json),
        Command::Healthcheck(Json { json }) => show::healthcheck(&data, json),
        Command::Config(ShowConfig { json, .. }) => show::config(&flags, &data, json),
        Command::Restart(Json { json }) => order(&data, "restart", &[], json),
        Command::Resume(asked) => upgrade::resume(&flags, &data, asked),
        Command::Rehearse(Json { json }) => upgrade::rehearse(&flags, &data, json),
        Command::Exec(Exec { words }) => upgrade::exec(&flags, words),
        Command::Snapshot(Snapshot::List(Json { json })) => show::snapshots(&data, json),
        Command::Backup(asked) => backup::backup(&flags, &data, asked),
        Command::Restore(asked) => restore::restore(&flags, &data, &asked),
        Command::Update(Update::Check(Json { json })) => update::check(&flags, &data, json),
    }
}

/// Says where a setting of a container's environment stands, and what finds its line: in the container there is only its name.
fn where_it_stands(failure: Failure) -> Failure {
    let of_the_environment =
        failure.message.contains(" (from HEARTH_") || failure.message.contains(" (in the environment)");
    if failure.cause != Cause::Configuration || !of_the_environment || !access::in_container() {
        return failure;
    }
    let here = "compose takes it from .env or a compose file; what is wrong in .env: docker compose run --rm -T web supervisor \
                config --env - < .env";
    let hint = failure.hint.as_ref().map_or_else(|| here.to_owned(), |hint| format!("{hint}; {here}"));
    failure.hint(hint)
}

fn for_programs() -> bool {
    FOR_PROGRAMS.load(Ordering::Relaxed)
}

/// Says a failure on standard error.
pub(crate) fn say_failure(failure: &Failure) {
    let mut out = io::stderr().lock();
    if for_programs() {
        let _ = writeln!(out, "{}", json!({"format": FORMAT, "error": failure}));
        return;
    }
    let _ = writeln!(out, "{} {}", colored("error:", Color::Red, &out), failure.message);
    if let Some(hint) = &failure.hint {
        let _ = writeln!(out, "{} {hint}", colored("hint:", Color::Bold, &out));
    }
}

/// Says something on standard error, beside the result.
fn talk(line: &str) {
    if for_programs() {
        let _ = writeln!(io::stderr().lock(), "{}", json!({"format": FORMAT, "note": line}));
        return;
    }
    let _ = writeln!(io::stderr().lock(), "{line}");
}

/// Prints a result. A closed standard output is nobody's loss.
fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn not_running(data: &DataDir) -> Failure {
    let place = data.path().display();
    if std::fs::metadata(data.path()).is_err_and(|error| error.kind() == io::ErrorKind::NotFound) {
        return Failure::new(
            Cause::Io,
            format!("there is no data directory {place}, so no supervisor is running on it"),
        )
        .hint("the first start makes it; another data directory is named with --data-dir or HEARTH_DATA_DIR");
    }
    // Beside the supervisor of a container, and not in a container of this command's own, whose first process this one is.
    let first = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
    if access::in_container() && std::process::id() != 1 && first.trim() == "supervisor" {
        // Where it may not write, it cannot make its socket. It goes on by itself once that is mended.
        return match access::check(data) {
            Err(closed) => {
                let message = format!("the supervisor of this container cannot be asked: {}", closed.message);
                Failure { message, ..closed }
            }
            Ok(()) => Failure::new(
                Cause::Permission,
                format!("the supervisor of this container cannot be asked: it has no control socket in {place}"),
            )
            .hint("its log says why (docker compose logs web); it makes one with: docker compose restart web"),
        };
    }
    Failure::new(Cause::Io, format!("Hearth is stopped: no supervisor is running on {place}")).hint(how_to_start())
}

/// Says how a stopped supervisor is started.
fn how_to_start() -> &'static str {
    if access::in_container() {
        "start it with: docker compose up --detach; this command sees the volumes of the container that it runs in"
    } else {
        "start it with: supervisor; another data directory is named with --data-dir or HEARTH_DATA_DIR"
    }
}

/// Looks at the data directory, as whoever runs the command.
fn look(data: &DataDir) -> Result<View, Failure> {
    view::look(data).map_err(|failure| as_owner(data, &data.state(), failure))
}

fn ask<T: serde::de::DeserializeOwned>(data: &DataDir, method: Method, path: &str) -> Result<Option<T>, Failure> {
    operations::on_this_thread(call(data, method, path))
}

/// Gives an order and waits for what comes of it.
fn order(data: &DataDir, what: &str, findings: &[String], as_json: bool) -> Result<u8, Failure> {
    let path = format!("/v1/{what}");
    let body = if findings.is_empty() { String::new() } else { to_json(&findings)? };
    operations::on_this_thread(async {
        let status = async || call::<Status>(data, Method::GET, "/v1/status").await?.ok_or_else(|| not_running(data));
        let before = status().await?;
        let given = call_with::<Value>(data, Method::POST, &path, Bytes::from(body)).await?;
        given.ok_or_else(|| not_running(data))?;
        let mut last = String::new();
        loop {
            let status = status().await?;
            if last != status.phase && !as_json {
                talk(&format!("{}...", status.phase));
                last.clone_from(&status.phase);
            }
            let another = status.app.pid.is_some() && status.app.pid != before.app.pid;
            match (status.phase.as_str(), status.held) {
                ("serving", _) if another => {
                    let live = status.live.map(|live| live.to_string()).unwrap_or_default();
                    match as_json {
                        true => say(&json!({"format": FORMAT, "phase": status.phase, "live": status.live}).to_string()),
                        false => say(&format!("serving generation {live}")),
                    }
                    return Ok(0);
                }
                ("held", Some(held)) if status.boots > before.boots || before.held.as_ref() != Some(&held) => {
                    return Err(held.failure);
                }
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    })
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::new(Cause::Io, format!("cannot write JSON: {error}")))
}
