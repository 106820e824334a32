//! Which commands are there, and what do they print?
//!
//! Results go to standard output, talk to standard error. Exit status: 0 done, 1 failed, 2 wrong usage; `run` ends
//! with the app's own.

use std::{
    io::{self, BufRead, IsTerminal, Write},
    process::ExitCode,
    time::Duration,
};

use clap::{Args, Parser, Subcommand};
use hyper::Method;
use serde_json::{Value, json};

use crate::{
    config::{Flags, Loaded},
    control::client::call,
    data::{
        DataDir, GenerationId,
        size::Size,
        state::FORMAT,
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    init::signals,
    log,
    phase::{Health, Outcome, Status},
    run::{self, desk, offline},
};

/// How often a command that waits looks again.
const AGAIN: Duration = Duration::from_millis(100);

#[derive(Parser)]
#[command(
    name = "supervisor",
    version,
    about = "Runs Hearth: brings its data to this version or leaves it as it was, and keeps the app serving",
    after_help = "Examples:\n  supervisor                          run, with data in ./data, on http://localhost:3000\n  supervisor status                   what it is doing\n  supervisor snapshot list            what an upgrade or restore left behind\n  supervisor restore 0006             go back to snapshot 0006"
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
    Healthcheck,
    /// Show each setting's effective value and where it came from
    Config(Json),
    /// Restart the app
    Restart,
    /// Try again what is held
    Resume,
    /// Look at snapshots: what an upgrade or restore left behind
    #[command(subcommand)]
    Snapshot(Snapshot),
    /// Go back to a snapshot; the present stays behind as a snapshot itself
    #[command(after_help = "Examples:\n  supervisor restore 0006\n  supervisor restore 6 --yes")]
    Restore {
        /// The snapshot's number (see: supervisor snapshot list)
        snapshot: GenerationId,
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Subcommand)]
enum Snapshot {
    /// List the generations there are
    List(Json),
}

#[derive(Args)]
struct Json {
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command line; returns the exit status.
#[must_use]
pub fn main() -> ExitCode {
    // Before anything else, so that no signal of the first milliseconds is lost. A command that is not `run` lets
    // them through again below.
    let blocked = signals::block();
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
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
    let loaded = Loaded::load(&flags)?;
    log::init(&loaded.config.log);
    let data = DataDir::new(loaded.config.data_dir.clone());
    match cli.command.unwrap_or(Command::Run) {
        Command::Run => {
            let shown = loaded.document();
            run::run(loaded.config, shown)
        }
        Command::Restore { snapshot, yes } => restore(loaded, &data, snapshot, yes),
        command => {
            signals::unblock().map_err(|error| Failure::io("cannot unblock signals", &error))?;
            match command {
                Command::Status(Json { json }) => status(&data, json),
                Command::Healthcheck => healthcheck(&data),
                Command::Config(Json { json }) => config(&loaded, &data, json),
                Command::Restart => order(&data, "restart"),
                Command::Resume => order(&data, "resume"),
                Command::Snapshot(Snapshot::List(Json { json })) => snapshots(&data, json),
                Command::Run | Command::Restore { .. } => Ok(0),
            }
        }
    }
}

fn say_failure(failure: &Failure) {
    let mut out = io::stderr().lock();
    let _ = writeln!(out, "error: {}", failure.message);
    if let Some(hint) = &failure.hint {
        let _ = writeln!(out, "hint: {hint}");
    }
}

/// Prints a result. A closed standard output is nobody's loss.
fn say(line: &str) {
    let _ = writeln!(io::stdout().lock(), "{line}");
}

fn not_running(data: &DataDir) -> Failure {
    Failure::new(Cause::Io, format!("no supervisor is running on {}", data.path().display()))
        .hint("start it with: supervisor; another data directory is named with --data-dir or HEARTH_DATA_DIR")
}

fn ask<T: serde::de::DeserializeOwned>(data: &DataDir, method: Method, path: &str) -> Result<Option<T>, Failure> {
    run::on_this_thread(call(data, method, path))
}

fn status(data: &DataDir, as_json: bool) -> Result<u8, Failure> {
    let Some(status) = ask::<Status>(data, Method::GET, "/v1/status")? else {
        return stopped(data, as_json);
    };
    if as_json {
        say(&to_json(&status)?);
        return Ok(0);
    }
    say(&format!("{:<10} {} since {}", "phase", status.phase, status.since));
    say(&format!("{:<10} {}", "health", health_word(status.health)));
    say(&format!("{:<10} v{} on http://{}", "version", status.version, status.listen));
    say(&format!("{:<10} {}", "data", status.data_dir));
    if let Some(live) = status.live {
        say(&format!("{:<10} generation {live}", "live"));
    }
    if let Some(progress) = status.progress {
        say(&format!(
            "{:<10} {} of {} {}",
            "progress",
            progress.done,
            progress.total,
            to_json(&progress.unit)?.trim_matches('"')
        ));
    }
    let restarts = status.app.restarts;
    match (status.app.pid, &status.app.last_exit) {
        (Some(pid), _) => say(&format!("{:<10} process {pid}, started again {restarts} times", "app")),
        (None, Some(exit)) => say(&format!("{:<10} not running; it {exit}", "app")),
        (None, None) => {}
    }
    if let Some(operation) = &status.operation {
        let outcome = match &operation.outcome {
            None => format!("{} since {}", operation.phase, operation.since),
            Some(Outcome::Done(done)) => done.clone(),
            Some(Outcome::Failed(failure)) => format!("failed: {failure}"),
        };
        say(&format!("{:<10} {}: {outcome}", "operation", operation.what));
    }
    for note in &status.notes {
        say(&format!("{:<10} {note}", "note"));
    }
    if let Some(held) = &status.held {
        say(&format!("{:<10} {}", "held", held.failure.message));
        if let Some(hint) = &held.failure.hint {
            say(&format!("{:<10} {hint}", "hint"));
        }
        for way in &held.ways_out {
            say(&format!("{:<10} {}  ({})", "way out", way.command, way.effect));
        }
    }
    Ok(0)
}

/// What can be said of a data directory without a supervisor.
fn stopped(data: &DataDir, as_json: bool) -> Result<u8, Failure> {
    if !data.path().is_dir() {
        return Err(not_running(data));
    }
    let view = view::look(data)?;
    let live = match view.live {
        Live::Generation(live) => Some(live),
        _ => None,
    };
    if as_json {
        say(&json!({"format": FORMAT, "phase": "stopped", "live": live, "data_dir": data.path()}).to_string());
    } else {
        say(&format!("{:<10} stopped: no supervisor is running on {}", "phase", data.path().display()));
        if let Some(live) = live {
            say(&format!("{:<10} generation {live}", "live"));
        }
    }
    Ok(0)
}

fn healthcheck(data: &DataDir) -> Result<u8, Failure> {
    let answer: Value = ask(data, Method::GET, "/v1/health")?.ok_or_else(|| not_running(data))?;
    let health = answer["health"].as_str().unwrap_or("unknown");
    // With the token, also what it is doing and how far it is: that it moves.
    let doing = match ask::<Status>(data, Method::GET, "/v1/status") {
        Ok(Some(status)) => match (status.progress, status.held) {
            (_, Some(held)) => format!(": {}", held.failure.message),
            (Some(progress), None) => format!(": {} ({} of {})", status.phase, progress.done, progress.total),
            (None, None) => format!(": {}", status.phase),
        },
        _ => String::new(),
    };
    say(&format!("{health}{doing}"));
    Ok(u8::from(health == health_word(Health::Held)))
}

fn health_word(health: Health) -> &'static str {
    match health {
        Health::Healthy => "healthy",
        Health::Degraded => "degraded",
        Health::Working => "working",
        Health::Held => "held",
    }
}

fn config(loaded: &Loaded, data: &DataDir, as_json: bool) -> Result<u8, Failure> {
    // What the running one was started with is what counts; without one, what a start here would use.
    let document = ask::<Value>(data, Method::GET, "/v1/config").ok().flatten();
    if as_json {
        say(&document.unwrap_or_else(|| loaded.document()).to_string());
    } else {
        say(crate::config::table(&document.unwrap_or_else(|| loaded.document())).trim_end());
    }
    Ok(0)
}

fn snapshots(data: &DataDir, as_json: bool) -> Result<u8, Failure> {
    if !data.path().is_dir() {
        return Err(Failure::new(Cause::Io, format!("there is no data directory {}", data.path().display()))
            .hint("--data-dir or HEARTH_DATA_DIR names it"));
    }
    let view = view::look(data)?;
    let rows: Vec<Value> = view
        .generations
        .iter()
        .map(|generation| {
            let known = view
                .state
                .as_ref()
                .and_then(|state| state.snapshots.iter().find(|known| known.generation == generation.id));
            let state = match (view.live == Live::Generation(generation.id), generation.staging) {
                (true, _) => "live",
                (false, true) => "staging",
                (false, false) => "snapshot",
            };
            json!({
                "generation": generation.id.to_string(),
                "state": state,
                "version": generation.description.as_ref().map(|description| &description.version),
                "schema": generation.description.as_ref().map(|description| &description.schema),
                "made_at": generation.description.as_ref().map(|description| &description.sealed_at),
                "left_at": known.map(|known| &known.left_at),
                "left_by": known.map(|known| known.reason),
                "written_at": known.and_then(|known| known.written_at.as_ref()),
                "bytes": generation.bytes,
            })
        })
        .collect();
    if as_json {
        say(&json!({"format": FORMAT, "generations": rows}).to_string());
        return Ok(0);
    }
    if rows.is_empty() {
        say(&format!("no generations in {}", data.path().display()));
        return Ok(0);
    }
    say("GENERATION  STATE     VERSION   MADE                  LEFT BEHIND           BY       SIZE");
    for row in &rows {
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        let line = format!(
            "{:<10}  {:<8}  {:<8}  {:<20}  {:<20}  {:<7}  {}",
            text("generation"),
            text("state"),
            text("version"),
            text("made_at"),
            text("left_at"),
            text("left_by"),
            Size(row["bytes"].as_u64().unwrap_or(0)),
        );
        say(line.trim_end());
    }
    Ok(0)
}

/// Gives an order and waits for what comes of it.
fn order(data: &DataDir, what: &str) -> Result<u8, Failure> {
    let path = format!("/v1/{what}");
    run::on_this_thread(async {
        let before = call::<Status>(data, Method::GET, "/v1/status").await?.ok_or_else(|| not_running(data))?;
        call::<Value>(data, Method::POST, &path).await?.ok_or_else(|| not_running(data))?;
        let mut last = String::new();
        loop {
            let status = call::<Status>(data, Method::GET, "/v1/status").await?.ok_or_else(|| not_running(data))?;
            tell_phase(&status.phase, &mut last);
            let another = status.app.pid.is_some() && status.app.pid != before.app.pid;
            match (status.phase.as_str(), status.held) {
                ("serving", _) if another => {
                    say(&format!(
                        "serving generation {}",
                        status.live.map(|live| live.to_string()).unwrap_or_default()
                    ));
                    return Ok(0);
                }
                ("held", Some(held)) if before.held.as_ref() != Some(&held) => return Err(held.failure),
                _ => tokio::time::sleep(AGAIN).await,
            }
        }
    })
}

fn tell_phase(phase: &str, last: &mut String) {
    if last != phase {
        let _ = writeln!(io::stderr().lock(), "{phase}...");
        phase.clone_into(last);
    }
}

fn restore(loaded: Loaded, data: &DataDir, snapshot: GenerationId, yes: bool) -> Result<u8, Failure> {
    if !data.path().is_dir() {
        return Err(not_running(data));
    }
    let view = view::look(data)?;
    desk::restorable(&view, snapshot)?;
    let lines = proposal(&view, snapshot);
    if !yes {
        confirm(&lines)?;
    }
    if ask::<Status>(data, Method::GET, "/v1/status")?.is_none() {
        let live = offline::restore(loaded.config, snapshot)?;
        say(&format!("generation {live} is live; start the supervisor to serve it"));
        return Ok(0);
    }
    signals::unblock().map_err(|error| Failure::io("cannot unblock signals", &error))?;
    run::on_this_thread(async {
        let begun: Value =
            call(data, Method::POST, &format!("/v1/restore/{snapshot}")).await?.ok_or_else(|| not_running(data))?;
        let id = begun["done"].as_str().and_then(|id| id.parse::<u64>().ok());
        let mut last = String::new();
        loop {
            let status = call::<Status>(data, Method::GET, "/v1/status").await?.ok_or_else(|| {
                Failure::new(Cause::Interrupted, "the supervisor stopped before the restore was done")
                    .hint("everything is as it was; start it and restore again")
            })?;
            let Some(operation) = status.operation.filter(|operation| Some(operation.id) == id) else {
                return Err(Failure::new(
                    Cause::Interrupted,
                    "the supervisor was started anew before the restore was done",
                )
                .hint("supervisor snapshot list shows which generation is live"));
            };
            match (operation.outcome, status.phase.as_str()) {
                (Some(Outcome::Failed(failure)), _) => return Err(failure),
                (Some(Outcome::Done(done)), "serving" | "held") => {
                    say(&done);
                    return Ok(0);
                }
                (Some(Outcome::Done(_)), phase) => tell_phase(phase, &mut last),
                (None, phase @ ("proving" | "committing")) => tell_phase(phase, &mut last),
                (None, _) => tell_phase(&operation.phase, &mut last),
            }
            tokio::time::sleep(AGAIN).await;
        }
    })
}

/// Says what a restore will do.
fn proposal(view: &View, snapshot: GenerationId) -> Vec<String> {
    let describe = |id: GenerationId| {
        let generation = view.generations.iter().find(|generation| generation.id == id);
        match generation.and_then(|generation| generation.description.as_ref()) {
            Some(description) => format!("{id} (made on {} by v{})", description.sealed_at, description.version),
            None => id.to_string(),
        }
    };
    let mut lines =
        vec![format!("This makes a new generation from snapshot {} and goes over to it.", describe(snapshot))];
    if let Live::Generation(live) = view.live {
        lines.push(format!("What is live now, generation {}, stays behind as a snapshot: this can be taken back with: supervisor restore {live}", describe(live)));
    }
    lines
}

fn confirm(lines: &[String]) -> Result<(), Failure> {
    let mut err = io::stderr().lock();
    for line in lines {
        let _ = writeln!(err, "{line}");
    }
    if !io::stdin().is_terminal() {
        return Err(Failure::new(
            Cause::Configuration,
            "not restoring without being asked to: there is no terminal to confirm it on",
        )
        .hint("add --yes"));
    }
    let _ = write!(err, "Go on? [y/N] ");
    let _ = err.flush();
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(|error| Failure::io("cannot read the answer", &error))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Failure::new(Cause::Interrupted, "not restored; nothing was changed"))
}

fn to_json(value: &impl serde::Serialize) -> Result<String, Failure> {
    serde_json::to_string(value).map_err(|error| Failure::new(Cause::Io, format!("cannot write JSON: {error}")))
}
