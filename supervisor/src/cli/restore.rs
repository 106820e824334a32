//! What does `restore` say before it goes back to a snapshot, and while it does?

use std::io::{self, BufRead, IsTerminal, Write};

use hyper::Method;
use serde_json::Value;

use super::{AGAIN, ask, look, not_running, say, say_failure, talk, tell_phase};
use crate::{
    config::{Flags, Loaded},
    control::client::call,
    data::{
        DataDir, GenerationId,
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    init::signals,
    log,
    phase::{Outcome, Status},
    run::{self, desk, offline},
};

pub(super) fn restore(flags: &Flags, data: &DataDir, snapshot: GenerationId, yes: bool) -> Result<u8, Failure> {
    if !data.path().is_dir() {
        return Err(not_running(data));
    }
    let view = look(data)?;
    desk::restorable(&view, snapshot)?;
    let lines = proposal(&view, snapshot);
    if !yes {
        confirm(&lines)?;
    }
    let restored = if ask::<Status>(data, Method::GET, "/v1/status")?.is_some() {
        run::on_this_thread(by_the_supervisor(data, &view.live, snapshot))
    } else {
        by_itself(flags, snapshot)
    };
    match restored {
        Ok(done) => {
            say(&done);
            Ok(0)
        }
        Err(failure) if may_pass(failure.cause) && view::live(data).is_ok_and(|now| now == view.live) => {
            say_failure(&failure);
            talk(&format!("hint: {}", again(snapshot)));
            Ok(1)
        }
        Err(failure) => Err(failure),
    }
}

/// Whether the same restore may succeed another time. What was refused will be refused again, and what was interrupted
/// says itself what came of it.
fn may_pass(cause: Cause) -> bool {
    !matches!(cause, Cause::Configuration | Cause::UnknownFormat | Cause::Newer | Cause::Interrupted)
}

fn again(snapshot: GenerationId) -> String {
    format!("try again with: supervisor restore {snapshot}")
}

/// Restores in this process, while no supervisor runs.
fn by_itself(flags: &Flags, snapshot: GenerationId) -> Result<String, Failure> {
    let loaded = Loaded::load(flags)?;
    log::init(&loaded.config.log);
    // From here on a Ctrl-C is taken between two steps.
    signals::block().map_err(|error| Failure::io("cannot block signals", &error))?;
    let live = offline::restore(loaded.config, snapshot)?;
    Ok(format!("generation {live} is live; start the supervisor to serve it"))
}

/// Has the running supervisor restore, and tells how far it is.
async fn by_the_supervisor(data: &DataDir, before: &Live, snapshot: GenerationId) -> Result<String, Failure> {
    let begun: Value =
        call(data, Method::POST, &format!("/v1/restore/{snapshot}")).await?.ok_or_else(|| not_running(data))?;
    let id = begun["done"].as_str().and_then(|id| id.parse::<u64>().ok());
    let mut last = String::new();
    let mut cut_off = false;
    loop {
        let status = match call::<Status>(data, Method::GET, "/v1/status").await {
            // It ended while it answered; the next call finds that out.
            Err(failure) if failure.cause == Cause::Io && !cut_off => {
                cut_off = true;
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            answered => answered?,
        };
        cut_off = false;
        let Some(status) = status else {
            return came_to("the supervisor stopped", view::live(data), before, snapshot);
        };
        let Some(operation) = status.operation.filter(|operation| Some(operation.id) == id) else {
            return came_to("the supervisor was started anew", view::live(data), before, snapshot);
        };
        match (operation.outcome, status.phase.as_str()) {
            (Some(Outcome::Failed(failure)), _) => return Err(failure),
            (Some(Outcome::Done(done)), "serving" | "held") => return Ok(done),
            (Some(Outcome::Done(_)), phase) => tell_phase(phase, &mut last),
            (None, phase @ ("proving" | "committing")) => tell_phase(phase, &mut last),
            (None, _) => tell_phase(&operation.phase, &mut last),
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// Says what came of a restore whose supervisor went away before it told: the link is what counts. Pure.
fn came_to(what: &str, now: Result<Live, Failure>, before: &Live, snapshot: GenerationId) -> Result<String, Failure> {
    match now {
        Ok(now) if now == *before => Err(Failure::new(
            Cause::Interrupted,
            format!("{what} before the restore was done; everything is as it was"),
        )
        .hint(again(snapshot))),
        Ok(Live::Generation(live)) => Ok(format!("generation {live} is live; {what} after the restore was done")),
        _ => Err(Failure::new(Cause::Interrupted, format!("{what}, and which generation is live cannot be told"))
            .hint("supervisor snapshot list shows the generations there are, and supervisor status why")),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_restore_whose_supervisor_went_away_is_read_from_the_link() {
        let (six, seven, eight) = (GenerationId(6), GenerationId(7), GenerationId(8));
        let before = Live::Generation(seven);
        let came_to = |now| super::came_to("the supervisor stopped", now, &before, six);
        let failure = came_to(Ok(Live::Generation(seven))).unwrap_err();
        assert_eq!(failure.message, "the supervisor stopped before the restore was done; everything is as it was");
        assert_eq!(failure.hint.unwrap(), "try again with: supervisor restore 0006");
        assert_eq!(
            came_to(Ok(Live::Generation(eight))).unwrap(),
            "generation 0008 is live; the supervisor stopped after the restore was done"
        );
        for lost in [Ok(Live::Missing), Err(Failure::new(Cause::Io, "cannot look"))] {
            assert!(came_to(lost).unwrap_err().message.ends_with("which generation is live cannot be told"));
        }
    }
}
