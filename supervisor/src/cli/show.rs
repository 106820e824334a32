//! What do `status`, `healthcheck`, `config` and `snapshot list` print?

use std::{fmt::Display, io};

use hyper::Method;
use serde_json::{Value, json};

use super::{
    ask,
    backup::age,
    color::{Color, colored},
    how_to_start, look, not_running, say, say_failure, talk, to_json,
};
use crate::{
    config::{self, Flags, Loaded},
    control::client::{another, as_owner},
    data::{
        DataDir,
        size::{Size, counted},
        state::{self, FORMAT, Held},
        view::Live,
    },
    failure::{Cause, Failure},
    operations::start,
    status::{Health, Outcome, Progress, Status, Storage, TimeZone},
};

pub(super) fn status(data: &DataDir, as_json: bool) -> Result<u8, Failure> {
    let Some(status) = ask::<Status>(data, Method::GET, "/v1/status")? else {
        return stopped(data, as_json);
    };
    if as_json {
        say(&to_json(&status)?);
        return Ok(0);
    }
    let table = Table(status.time_zone);
    table.row("phase", format!("{} since {}", status.phase, status.since));
    let color = match status.health {
        Health::Healthy => Color::Green,
        Health::Degraded | Health::Working => Color::Yellow,
        Health::Held => Color::Red,
    };
    table.row("health", colored(health_word(status.health), color, &io::stdout()));
    table.row("version", format!("v{} on {}", status.version, status.open));
    table.row("supervisor", status.supervisor);
    table.row("data", status.data_dir);
    status.live.iter().for_each(|live| table.row("live", format!("generation {live}")));
    if let Some(Progress { done, total, unit }) = status.progress {
        table.row("progress", format!("{done} of {total} {}", to_json(&unit)?.trim_matches('"')));
    }
    if !status.sandbox.is_empty() {
        table.row("sandbox", status.sandbox);
    }
    let restarts = status.app.restarts;
    let has_restarted = restarts > 0;
    let restarts = counted(restarts.into(), "time", "times");
    match (status.app.pid, &status.app.last_exit) {
        (Some(pid), Some(exit)) if has_restarted => {
            table.row("app", format!("process {pid}, started again {restarts}; the last one {exit}"));
        }
        (Some(pid), _) => table.row("app", format!("process {pid}, started again {restarts}")),
        (None, Some(exit)) => table.row("app", format!("not running; it {exit}")),
        (None, None) => {}
    }
    status.app.health_detail.iter().for_each(|detail| table.row("trouble", detail));
    if let Some(fallback) = &status.fallback {
        let shown = fallback.sentence().unwrap_or_else(|| {
            format!("v{} serves while the upgrade to v{} is rehearsed", fallback.version, fallback.upgrade)
        });
        table.row("upgrade", format!("{shown} (since {})", fallback.since));
        let hint = fallback.failure.as_ref().and_then(|failure| failure.hint.as_ref());
        hint.iter().for_each(|hint| table.row("hint", hint));
    }
    if let Some(operation) = status.operation {
        let outcome = match operation.outcome {
            None => format!("{} since {}", operation.phase, operation.since),
            Some(Outcome::Done(done)) => done,
            Some(Outcome::Failed(failure)) => format!("failed: {failure}"),
        };
        table.row("operation", format!("{}: {outcome}", operation.what));
    }
    let backups = &status.backups;
    if backups.last.is_some() || backups.next_at.is_some() {
        let last = backups.last.as_ref();
        let last = last.map_or("none yet".to_owned(), |last| format!("{} ({} ago)", last.id, age(&last.created_at)));
        let next = backups.next_at.as_ref().map(|next| format!(", the next is due at {next}")).unwrap_or_default();
        table.row("backup", format!("{last}{next}"));
    }
    for Storage { name, tried_at, trouble, since, .. } in &backups.storage {
        let tried = match (tried_at, trouble, since) {
            (Some(_), Some(_), Some(since)) => format!("cannot be written to since {since}"),
            (Some(tried_at), ..) => format!("could be written to {} ago", age(tried_at)),
            (None, ..) => "not tried yet".to_owned(),
        };
        table.row("storage", format!("{name}: {tried}"));
    }
    let overdue = backups.overdue_since.as_ref().and_then(|_| backups.warning());
    overdue.iter().chain(&backups.trouble).for_each(|trouble| table.row("trouble", trouble));
    status.update.news().iter().for_each(|news| table.row("update", news));
    if let (Some(trouble), Some(checked)) = (&status.update.trouble, &status.update.checked) {
        table.row("update", format!("the last check, {} ago, could not tell: {trouble}", age(checked)));
    }
    status.notes.iter().for_each(|note| table.row("note", note));
    if let Some(Held { failure, ways_out, .. }) = status.held {
        table.row("held", failure.message);
        failure.hint.iter().for_each(|hint| table.row("hint", hint));
        ways_out.iter().for_each(|way| table.row("way out", format!("{}  ({})", way.command, way.effect)));
    }
    Ok(0)
}

/// What is known, a line each, with times as the clocks of this zone show them.
struct Table(TimeZone);

impl Table {
    fn row(&self, name: &str, value: impl Display) {
        row(name, self.0.localized(&value.to_string()));
    }
}

fn row(name: &str, value: impl Display) {
    let padded = format!("{name:<10}");
    let name = match name {
        "held" => colored(&padded, Color::Red, &io::stdout()),
        "trouble" => colored(&padded, Color::Yellow, &io::stdout()),
        "hint" | "way out" => colored(&padded, Color::Bold, &io::stdout()),
        _ => padded,
    };
    say(&format!("{name} {value}"));
}

/// What can be said of a data directory without a supervisor.
fn stopped(data: &DataDir, as_json: bool) -> Result<u8, Failure> {
    let absent = not_running(data);
    if !data.path().is_dir() || absent.cause == Cause::Permission {
        return Err(absent);
    }
    let view = look(data)?;
    let live = match view.live {
        Live::Generation(live) => Some(live),
        _ => None,
    };
    if as_json {
        say(&json!({"format": FORMAT, "phase": "stopped", "live": live, "data_dir": data.path()}).to_string());
    } else {
        row("phase", format!("stopped: no supervisor is running on {}", data.path().display()));
        live.iter().for_each(|live| row("live", format!("generation {live}")));
        if let Ok(Some(Held { failure, since, .. })) = state::read_held(data) {
            row("held", format!("{} (when it last ran, since {since})", failure.message));
        }
        row("hint", how_to_start());
    }
    Ok(0)
}

pub(super) fn healthcheck(data: &DataDir, as_json: bool) -> Result<u8, Failure> {
    if let Some(another) = another(data) {
        let message =
            format!("the supervisor of this container does not serve {}: {another} does", data.path().display());
        return Err(Failure::new(Cause::Busy, message).hint(
            "two on one data directory would be two writers, so the second one waits: stop one of the containers",
        ));
    }
    let answer: Value = ask(data, Method::GET, "/v1/health")?.ok_or_else(|| not_running(data))?;
    let health = answer["health"].as_str().unwrap_or("unknown");
    // With the token, also what it is doing and how far it is: that it moves.
    let status = ask::<Status>(data, Method::GET, "/v1/status").ok().flatten();
    if as_json {
        let mut document = json!({"format": FORMAT, "health": health});
        if let Some(status) = status {
            document["phase"] = status.phase.into();
            document["progress"] = json!(status.progress);
            document["detail"] = json!(status.held.map(|held| held.failure.message).or(status.app.health_detail));
        }
        say(&document.to_string());
        return Ok(u8::from(health == health_word(Health::Held)));
    }
    let doing = match status {
        Some(Status { held: Some(held), .. }) => format!(": {}", held.failure.message),
        Some(Status { phase, progress: Some(Progress { done, total, .. }), .. }) => {
            format!(": {phase} ({done} of {total})")
        }
        Some(Status { phase, app, .. }) => match app.health_detail {
            Some(detail) => format!(": {phase} ({detail})"),
            None => format!(": {phase}"),
        },
        None => String::new(),
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

pub(super) fn config(flags: &Flags, data: &DataDir, as_json: bool) -> Result<u8, Failure> {
    let place = data.path().display();
    // What the running one was started with is what counts; without one, what a start here would use.
    let running = ask::<Value>(data, Method::GET, "/v1/config");
    let status = u8::from(running.is_err());
    let here = Loaded::load(flags).map_err(|failure| as_owner(data, &data.config(), failure));
    let shown = match (running, &here) {
        (Ok(Some(running)), _) => {
            talk(&format!("what the supervisor on {place} was started with:"));
            Some(("running", running))
        }
        (Ok(None), Ok(here)) => {
            talk(&format!("no supervisor is running on {place}; what one would be started with here:"));
            Some(("start", here.document()))
        }
        (Err(failure), Ok(here)) => {
            say_failure(&failure);
            talk(&format!("so this is not what a supervisor on {place} was started with, but what one would be here:"));
            Some(("start", here.document()))
        }
        (_, Err(_)) => None,
    };
    match shown {
        Some((of, mut document)) if as_json => {
            document["of"] = of.into();
            say(&document.to_string());
        }
        Some((_, document)) => say(config::table(&document).trim_end()),
        None if as_json => {}
        // Whoever mistyped one wants to know what there is.
        None => say(config::known().trim_end()),
    }
    // Said last, below a long table; and also while an earlier start's settings are in force, for the next start will
    // not have them.
    let here = here?;
    here.warnings.into_iter().chain(start::ids_of_process()).for_each(|warning| talk(&format!("warning: {warning}")));
    Ok(status)
}

pub(super) fn snapshots(data: &DataDir, as_json: bool) -> Result<u8, Failure> {
    if !data.path().is_dir() {
        return Err(Failure::new(Cause::Io, format!("there is no data directory {}", data.path().display()))
            .hint("--data-dir or HEARTH_DATA_DIR names it"));
    }
    let view = look(data)?;
    let rows: Vec<Value> = view
        .generations
        .iter()
        .map(|generation| {
            let mut snapshots = view.state.iter().flat_map(|state| &state.snapshots);
            let known = snapshots.find(|known| known.generation == generation.id);
            let description = generation.description.as_ref();
            let state = match (view.live == Live::Generation(generation.id), generation.staging) {
                (true, _) => "live",
                (false, true) => "staging",
                (false, false) => "snapshot",
            };
            json!({
                "generation": generation.id.to_string(),
                "state": state,
                "version": description.map(|description| &description.version),
                "schema": description.map(|description| &description.schema),
                "made_at": description.map(|description| &description.sealed_at),
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
    let header = ["GENERATION", "STATE", "VERSION", "MADE", "LEFT BEHIND", "BY", "SIZE"].map(str::to_owned);
    let lines = rows.iter().map(|row| {
        let text = |key: &str| row[key].as_str().unwrap_or("-").to_owned();
        let size = Size(row["bytes"].as_u64().unwrap_or(0)).to_string();
        let [generation, state, version] = ["generation", "state", "version"].map(text);
        let [made, left, by] = ["made_at", "left_at", "left_by"].map(text);
        [generation, state, version, made, left, by, size]
    });
    say(config::aligned(std::iter::once(header).chain(lines)).trim_end());
    Ok(0)
}
