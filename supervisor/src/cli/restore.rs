//! What does `restore` say before it goes back to a snapshot, and while it does?

use std::io::{self, BufRead, IsTerminal, Write};

use hyper::Method;
use serde_json::Value;

use super::{AGAIN, ask, not_running, say, tell_phase};
use crate::{
    config::Loaded,
    control::client::call,
    data::{
        DataDir, GenerationId,
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    init::signals,
    phase::{Outcome, Status},
    run::{self, desk, offline},
};

pub(super) fn restore(loaded: Loaded, data: &DataDir, snapshot: GenerationId, yes: bool) -> Result<u8, Failure> {
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
