//! How does a command have an operation done, and tell how far it is?
//!
//! By the running supervisor, or, without one, under the lock by the command itself.

use std::{
    cell::RefCell,
    io::{self, IsTerminal, Write},
};

use hyper::{Method, body::Bytes};
use serde_json::Value;

use super::{AGAIN, not_running};
use crate::{
    config::{Flags, Loaded, LogLevel},
    control::{
        client::{call, call_with},
        orders::Work,
    },
    data::{DataDir, access, size::Size},
    failure::{Cause, Failure},
    operations::{self, alone},
    process::signals,
    status::log,
    status::{Outcome, Progress, Status, Unit},
};

/// Has it done, and tells how far it is on standard error: each step, and on a terminal a bar.
pub(super) fn have_done(flags: &Flags, data: &DataDir, work: Work, quiet: bool) -> Done {
    let teller = Teller { quiet, bar: io::stderr().is_terminal(), last: RefCell::default() };
    let running = operations::on_this_thread(call::<Status>(data, Method::GET, "/v1/status"));
    match running {
        Err(failure) => Done::failed(failure),
        Ok(Some(_)) => operations::on_this_thread(async { Ok(by_the_supervisor(data, &work, &teller).await) })
            .unwrap_or_else(Done::failed),
        Ok(None) if !data.path().is_dir() => Done::failed(not_running(data)),
        Ok(None) => by_itself(flags, data, work, teller).unwrap_or_else(Done::failed),
    }
}

/// What came of an operation.
pub(super) struct Done {
    /// A sentence, or what went wrong.
    pub(super) outcome: Result<String, Failure>,
    /// The document for programs; some failures have one, too.
    pub(super) result: Option<Value>,
}

impl Done {
    fn failed(failure: Failure) -> Self {
        Self { outcome: Err(failure), result: None }
    }
}

/// Gives an operation to the running supervisor; returns its number.
pub(super) async fn give(data: &DataDir, work: &Work) -> Result<u64, Failure> {
    let body = serde_json::to_vec(work).map_err(|error| {
        Failure::new(Cause::Configuration, format!("cannot write down what is to be done: {error}"))
    })?;
    let begun: Value =
        call_with(data, Method::POST, "/v1/operations", Bytes::from(body)).await?.ok_or_else(|| not_running(data))?;
    begun["done"]
        .as_str()
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| Failure::new(Cause::UnknownFormat, "the supervisor did not say which operation it has begun"))
}

async fn by_the_supervisor(data: &DataDir, work: &Work, teller: &Teller) -> Done {
    let id = match give(data, work).await {
        Ok(id) => id,
        Err(failure) => return Done::failed(failure),
    };
    let gone = || {
        Failure::new(Cause::Interrupted, "the supervisor stopped, or was started anew, before it was done")
            .hint("what was not finished counts for nothing; try again once it runs (supervisor status)")
    };
    loop {
        let status = match call::<Status>(data, Method::GET, "/v1/status").await {
            Ok(Some(status)) => status,
            Ok(None) => return Done::failed(gone()),
            Err(failure) => return Done::failed(failure),
        };
        let Some(operation) = status.operation.clone().filter(|operation| operation.id == id) else {
            return Done::failed(gone());
        };
        if let Some(outcome) = operation.outcome {
            teller.clear();
            let outcome = match outcome {
                Outcome::Done(sentence) => Ok(sentence),
                Outcome::Failed(failure) => Err(failure),
            };
            return Done { outcome, result: operation.result };
        }
        teller.tell(&status);
        tokio::select! {
            () = tokio::time::sleep(AGAIN) => {}
            _ = tokio::signal::ctrl_c() => {
                teller.clear();
                return Done::failed(
                    Failure::new(Cause::Interrupted, "not waiting any longer; it goes on in the supervisor")
                        .hint("supervisor status shows how far it is"),
                );
            }
        }
    }
}

/// Does it in this process, while no supervisor runs.
fn by_itself(flags: &Flags, data: &DataDir, work: Work, teller: Teller) -> Result<Done, Failure> {
    let mut loaded = Loaded::load(flags)?;
    // What is done and what was removed is the command's own sentence; the log would only say it again, between the bars.
    loaded.config.log.level = loaded.config.log.level.min(LogLevel::Warn);
    log::init(&loaded.config.log);
    loaded.warn();
    // From here on a Ctrl-C is taken between two steps.
    signals::block().map_err(|error| Failure::io("cannot block signals", &error))?;
    access::become_owner(data)?;
    let (outcome, result) = alone::work(loaded.config, work, move |status| teller.tell(status));
    Ok(Done { outcome, result })
}

/// Tells how far it is.
struct Teller {
    quiet: bool,
    bar: bool,
    last: RefCell<String>,
}

impl Teller {
    fn tell(&self, status: &Status) {
        let Some(operation) = status.operation.as_ref().filter(|operation| operation.outcome.is_none()) else { return };
        if self.quiet {
            return;
        }
        if *self.last.borrow() != operation.phase {
            self.clear();
            self.last.replace(operation.phase.clone());
            if operation.phase != "starting" {
                super::talk(&format!("{}...", operation.phase));
            }
        }
        if let (true, Some(progress)) = (self.bar, status.progress) {
            let _ = write!(io::stderr().lock(), "\r\x1b[2K{}", bar(progress));
            let _ = io::stderr().flush();
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
fn bar(Progress { done, total, unit }: Progress) -> String {
    const WIDTH: u64 = 24;
    let part = |of: u64| {
        if total == 0 { of } else { (u128::from(of) * u128::from(done.min(total)) / u128::from(total)) as u64 }
    };
    let full = part(WIDTH) as usize;
    let amount = match unit {
        Unit::Bytes => format!("{} of {}", Size(done), Size(total)),
        Unit::Migrations => format!("{done} of {total} migrations"),
    };
    format!("[{}{}] {:3} %  {amount}", "#".repeat(full), " ".repeat(WIDTH as usize - full), part(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_says_how_far_it_is() {
        let at = |done, total| bar(Progress { done, total, unit: Unit::Bytes });
        assert_eq!(at(512 << 20, 1 << 30), "[############            ]  50 %  512.0 MiB of 1.0 GiB");
        assert_eq!(at(0, 0), "[########################] 100 %  0 bytes of 0 bytes");
        assert!(at(u64::MAX, u64::MAX).starts_with("[########################] 100 %"));
    }
}
