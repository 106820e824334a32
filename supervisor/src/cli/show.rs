//! What do `status`, `healthcheck`, `config` and `snapshot list` print?

use hyper::Method;
use serde_json::{Value, json};

use super::{ask, backup::age, look, not_running, say, say_failure, talk, to_json};
use crate::{
    config::{self, Flags, Loaded},
    control::client::{another, as_owner},
    data::{DataDir, size::Size, state::FORMAT, view::Live},
    failure::{Cause, Failure},
    status::{Health, Outcome, Status},
};

pub(super) fn status(data: &DataDir, as_json: bool) -> Result<u8, Failure> {
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
    say(&format!("{:<10} {}", "supervisor", status.supervisor));
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
    if !status.sandbox.is_empty() {
        say(&format!("{:<10} {}", "sandbox", status.sandbox));
    }
    let restarts = status.app.restarts;
    match (status.app.pid, &status.app.last_exit) {
        (Some(pid), Some(exit)) if restarts > 0 => {
            say(&format!("{:<10} process {pid}, started again {restarts} times; the last one {exit}", "app"));
        }
        (Some(pid), _) => say(&format!("{:<10} process {pid}, started again {restarts} times", "app")),
        (None, Some(exit)) => say(&format!("{:<10} not running; it {exit}", "app")),
        (None, None) => {}
    }
    if let Some(detail) = &status.app.health_detail {
        say(&format!("{:<10} {detail}", "trouble"));
    }
    if let Some(operation) = &status.operation {
        let outcome = match &operation.outcome {
            None => format!("{} since {}", operation.phase, operation.since),
            Some(Outcome::Done(done)) => done.clone(),
            Some(Outcome::Failed(failure)) => format!("failed: {failure}"),
        };
        say(&format!("{:<10} {}: {outcome}", "operation", operation.what));
    }
    let backups = &status.backups;
    match (&backups.last, &backups.next_at) {
        (None, None) => {}
        (last, next) => {
            let last = last
                .as_ref()
                .map_or("none yet".to_owned(), |last| format!("{} ({} ago)", last.id, age(&last.created_at)));
            let next = next.as_ref().map(|next| format!(", the next is due at {next}")).unwrap_or_default();
            say(&format!("{:<10} {last}{next}", "backup"));
        }
    }
    if let (Some(_), Some(warning)) = (&backups.overdue_since, backups.warning()) {
        say(&format!("{:<10} {warning}", "trouble"));
    }
    for trouble in &backups.trouble {
        say(&format!("{:<10} {trouble}", "trouble"));
    }
    if let Some(news) = status.update.news() {
        say(&format!("{:<10} {news}", "update"));
    }
    if let (Some(trouble), Some(checked)) = (&status.update.trouble, &status.update.checked) {
        say(&format!("{:<10} the last check, {} ago, could not tell: {trouble}", "update", age(checked)));
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
        say(&format!("{:<10} stopped: no supervisor is running on {}", "phase", data.path().display()));
        if let Some(live) = live {
            say(&format!("{:<10} generation {live}", "live"));
        }
    }
    Ok(0)
}

pub(super) fn healthcheck(data: &DataDir) -> Result<u8, Failure> {
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
    let doing = match ask::<Status>(data, Method::GET, "/v1/status") {
        Ok(Some(status)) => match (status.progress, status.held, status.app.health_detail) {
            (_, Some(held), _) => format!(": {}", held.failure.message),
            (Some(progress), None, _) => format!(": {} ({} of {})", status.phase, progress.done, progress.total),
            (None, None, Some(detail)) => format!(": {} ({detail})", status.phase),
            (None, None, None) => format!(": {}", status.phase),
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
    here.warnings.iter().for_each(|warning| talk(&format!("warning: {warning}")));
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
