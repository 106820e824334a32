//! How does a command carry out an operation and show its progress?
//!
//! The running supervisor carries it out; without one, the command does so itself, under the lock.

use std::{
    cell::{Cell, RefCell},
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

use hyper::{Method, body::Bytes};
use serde_json::Value;

use super::{AGAIN, not_running};
use crate::{
    config::{Flags, Loaded, LogFormat, LogLevel, LogTimestamps},
    control::{
        client::{call, call_with},
        orders::Operation,
    },
    data::{
        DataDir, access,
        view::{self, Live},
    },
    failure::{Cause, Failure},
    operations::{self, alone},
    process::signals,
    status::log,
    status::{Outcome, Progress, Status},
};

/// How often a line says how far it is where there is no terminal.
const EACH: Duration = Duration::from_secs(10);

/// Runs an operation, and tells how far it is on standard error: each step, and on a terminal a bar.
pub(super) fn run_operation(
    flags: &Flags,
    data: &DataDir,
    operation: Operation,
    quiet: bool,
    restoring: Option<&Restoring<'_>>,
) -> Result<Done, Failure> {
    let teller = Teller::new(quiet);
    let is_there = data.path().is_dir();
    if is_there && super::ask::<Status>(data, Method::GET, "/v1/status")?.is_some() {
        return operations::on_this_thread(by_the_supervisor(data, &operation, &teller, restoring));
    }
    // A restore makes what is missing.
    if !is_there && restoring.is_none() {
        return Err(not_running(data));
    }
    by_itself(flags, data, operation, teller)
}

/// What came of an operation.
pub(super) struct Done {
    /// A sentence, or what went wrong.
    pub(super) outcome: Result<String, Failure>,
    /// The document for programs; some failures have one, too.
    pub(super) result: Option<Value>,
}

/// What a restore begins with, for what came of it to be told from the link.
pub(super) struct Restoring<'a> {
    pub(super) before: &'a Live,
    pub(super) again: &'a str,
}

impl Restoring<'_> {
    /// Says what came of a restore whose supervisor went away before it told: the link is what counts. Pure.
    pub(super) fn outcome(&self, what: &str, now: Result<Live, Failure>) -> Result<String, Failure> {
        match now {
            Ok(now) if now == *self.before => {
                let message = format!("{what} before the restore was done; everything is as it was");
                Err(Failure::new(Cause::Interrupted, message).hint(self.again))
            }
            Ok(Live::Generation(live)) => Ok(format!("generation {live} is live; {what} after the restore was done")),
            _ => Err(Failure::new(Cause::Interrupted, format!("{what}, and which generation is live cannot be told"))
                .hint("supervisor snapshot list shows the generations there are, and supervisor status why")),
        }
    }
}

/// Gives an operation to the running supervisor; returns its number.
async fn give(data: &DataDir, operation: &Operation) -> Result<u64, Failure> {
    let body = serde_json::to_vec(operation).map_err(|error| {
        Failure::new(Cause::Configuration, format!("cannot write down what is to be done: {error}"))
    })?;
    let begun: Value =
        call_with(data, Method::POST, "/v1/operations", Bytes::from(body)).await?.ok_or_else(|| not_running(data))?;
    begun["done"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Failure::new(Cause::UnknownFormat, "the supervisor did not say which operation it has begun"))
}

async fn by_the_supervisor(
    data: &DataDir,
    operation: &Operation,
    teller: &Teller,
    restoring: Option<&Restoring<'_>>,
) -> Result<Done, Failure> {
    let id = give(data, operation).await?;
    let gone = |what: &str| match restoring {
        Some(restoring) => Ok(Done { outcome: restoring.outcome(what, view::live(data)), result: None }),
        None => Err(Failure::new(Cause::Interrupted, format!("{what} before it was done"))
            .hint("what was not finished counts for nothing; try again once it runs (supervisor status)")),
    };
    let mut cut_off = false;
    loop {
        let status = match call::<Status>(data, Method::GET, "/v1/status").await {
            Ok(Some(status)) => status,
            Ok(None) => return gone("the supervisor stopped"),
            // It ended while it answered; the next call finds that out.
            Err(failure) if failure.cause == Cause::Io && !cut_off => {
                cut_off = true;
                tokio::time::sleep(AGAIN).await;
                continue;
            }
            Err(failure) => return Err(failure),
        };
        cut_off = false;
        let Some(operation) = status.operation.clone().filter(|operation| operation.id == id) else {
            return gone("the supervisor was started anew");
        };
        match operation.outcome {
            None => teller.tell(&status),
            // A restore is done once its app serves.
            Some(Outcome::Done(_)) if restoring.is_some() && !matches!(&*status.phase, "serving" | "held") => {
                teller.step(&status.phase);
            }
            Some(outcome) => {
                teller.clear();
                let outcome = match outcome {
                    Outcome::Done(sentence) => Ok(sentence),
                    Outcome::Failed(failure) => Err(failure),
                };
                return Ok(Done { outcome, result: operation.result });
            }
        }
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = tokio::signal::ctrl_c() => {
                teller.clear();
                return Err(Failure::new(Cause::Interrupted, "not waiting any longer; it goes on in the supervisor")
                    .hint("supervisor status shows how far it is"));
            }
        }
    }
}

/// Does it in this process, while no supervisor runs.
fn by_itself(flags: &Flags, data: &DataDir, operation: Operation, mut teller: Teller) -> Result<Done, Failure> {
    let mut loaded = Loaded::load(flags)?;
    if super::for_programs() {
        // What is done is the document, and a failure is one, too.
        loaded.config.log.format = LogFormat::Json;
        loaded.config.log.level = LogLevel::Error;
    } else if let Operation::Restore(_) = operation {
        // The log says each step, and would stand beside a bar.
        (teller.steps, teller.bar) = (false, false);
    } else {
        // What is done and what was removed is the command's own sentence; the log would only say it again, between the bars.
        loaded.config.log.level = loaded.config.log.level.min(LogLevel::Warn);
    }
    let log = &mut loaded.config.log;
    if log.timestamps == LogTimestamps::Auto {
        // The person who gave the command is there.
        log.timestamps = LogTimestamps::Never;
    }
    log::init(log);
    // From here on a Ctrl-C is taken between two steps.
    signals::block().map_err(|error| Failure::io("cannot block signals", &error))?;
    access::become_owner(data)?;
    let (outcome, result) = alone::run(loaded.config, operation, move |status| teller.tell(status));
    Ok(Done { outcome, result })
}

/// Tells how far it is: each step; on a terminal a bar, elsewhere a line each ten seconds.
struct Teller {
    quiet: bool,
    /// Whether it tells each step.
    steps: bool,
    bar: bool,
    last: RefCell<String>,
    /// When a step began, or something was said of it.
    said: Cell<Instant>,
    each: Duration,
}

impl Teller {
    fn new(quiet: bool) -> Self {
        let bar = io::stderr().is_terminal();
        let for_a_test = std::env::var("TEST_TELL_EACH").ok().filter(|_| cfg!(feature = "faults"));
        let each = for_a_test.and_then(|text| humantime::parse_duration(&text).ok()).unwrap_or(EACH);
        Self { quiet, steps: true, bar, last: RefCell::default(), said: Cell::new(Instant::now()), each }
    }

    fn tell(&self, status: &Status) {
        let Some(operation) = status.operation.as_ref().filter(|operation| operation.outcome.is_none()) else { return };
        self.step(&operation.phase);
        if self.quiet {
            return;
        }
        if self.bar {
            if let Some(progress) = status.progress {
                let _ = write!(io::stderr().lock(), "\r\x1b[2K{}", bar(progress));
                let _ = io::stderr().flush();
            }
        } else if self.said.get().elapsed() >= self.each {
            self.said.set(Instant::now());
            let phase = &operation.phase;
            match status.progress {
                Some(progress) => super::talk(&format!("{phase}: {} %, {progress}", progress.percent())),
                None => super::talk(&format!("{phase}...")),
            }
        }
    }

    /// Tells a step, once.
    fn step(&self, name: &str) {
        if self.quiet || *self.last.borrow() == name {
            return;
        }
        self.clear();
        self.last.replace(name.to_owned());
        self.said.set(Instant::now());
        if name != "starting" && self.steps {
            super::talk(&format!("{name}..."));
        }
    }

    /// Takes the bar away, for what is said next.
    fn clear(&self) {
        if self.bar && !self.quiet && !self.last.borrow().is_empty() {
            let _ = write!(io::stderr().lock(), "\r\x1b[2K");
        }
    }
}

/// `[########            ]  41 %  412.0 MiB of 1.0 GiB`
fn bar(progress: Progress) -> String {
    const WIDTH: usize = 24;
    let percent = progress.percent();
    let full = WIDTH * usize::from(percent) / 100;
    format!("[{}{}] {percent:3} %  {progress}", "#".repeat(full), " ".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{data::GenerationId, status::Unit};

    #[test]
    fn a_bar_says_how_far_it_is() {
        let at = |done, total| bar(Progress { done, total, unit: Unit::Bytes });
        assert_eq!(at(512 << 20, 1 << 30), "[############            ]  50 %  512.0 MiB of 1.0 GiB");
        assert_eq!(at(0, 0), "[########################] 100 %  0 bytes of 0 bytes");
        assert!(at(u64::MAX, u64::MAX).starts_with("[########################] 100 %"));
    }

    #[test]
    fn where_it_cannot_be_told_what_is_live_nothing_is_said_of_it() {
        let restoring = Restoring { before: &Live::Generation(GenerationId(7)), again: "" };
        for lost in [Ok(Live::Missing), Err(Failure::new(Cause::Io, "cannot look"))] {
            let failure = restoring.outcome("the supervisor stopped", lost).unwrap_err();
            assert!(failure.message.ends_with("which generation is live cannot be told"), "{failure}");
        }
    }
}
