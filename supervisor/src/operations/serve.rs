//! How is the app kept serving?
//!
//! It is started, watched (its exit, its notifications, its watchdog, its health) and started again when it ends. When it ends too
//! often, the supervisor holds. The operator's orders are carried out meanwhile.

use std::{future::Future, pin::Pin, rc::Rc, time::Instant as Monotonic};

use nix::sys::signal::Signal;
use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::{
    State, clean_up,
    generation::Prepared,
    held::{self, Stuck},
    kept,
    ordered::{Event, Operations},
    start::address_here,
    upgrade,
};
use crate::{
    app::{
        cause,
        health::Verdict,
        lifecycle::{App, Mode, point},
        notify::Messages,
        policy::{Limits, Next, Policy, jitter},
    },
    data::GenerationId,
    failure::{Cause, Failure},
    instance::Instance,
    jobs::door::{Door, SOON},
    process::deadline::Deadline,
    status::{Phase, VERSION},
};

/// How soon a question follows the last one while the app is not ready yet.
const IMPATIENT: Duration = Duration::from_millis(20);
/// A gap that the kernel's queue of connections bridges; a longer one gets the door.
pub(super) const GAP: Duration = Duration::from_secs(2);
/// How many ends of an app that is on trial are a crash loop: an earlier one is there to take its place.
const ON_TRIAL: u32 = 3;

/// Why one run of the app ended.
enum Ended {
    Stopped(u8),
    /// By itself, or because it hung; the sentence says how.
    Failed(String),
    /// It is of another version and was ended, or cannot use its settings.
    Refused(Failure),
    /// The operator asked for it.
    Restart,
    Switch(Prepared),
    /// The upgrade was rehearsed, and may take so long.
    Upgrade(Duration),
}

/// Serves this generation.
pub(super) async fn serve(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    generation: GenerationId,
    operations: &mut Operations,
) -> State {
    let switch = |prepared| State::Switch(prepared, Box::new(State::Serve(generation)));
    let hold = async |failure| {
        let stuck = Stuck::before_a_commit(failure, format!("serving generation {generation}"));
        State::Hold(held::held(instance, stuck).await)
    };
    let restart = &instance.config.restart;
    let attempts = match kept::is_on_trial(instance).await {
        true => restart.attempts.min(ON_TRIAL),
        false => restart.attempts,
    };
    let mut policy = Policy::new(Limits {
        backoff: restart.backoff,
        backoff_max: restart.backoff_max,
        attempts,
        // So many ends must fit into it, however long an app takes to fail each time.
        window: restart.window.max(
            (instance.config.app.start_timeout + instance.config.stop.grace + restart.backoff_max)
                .saturating_mul(attempts),
        ),
    });
    instance.publisher.enter(Phase::Restarting);
    loop {
        door.close().await;
        let run = Run { instance, asked: None, failures: 0, is_ready: false, said_ready: false, watchdog: None };
        let why = match run.watched(generation, operations).await {
            Ended::Stopped(status) => return State::Exit(status),
            Ended::Switch(prepared) => return switch(prepared),
            Ended::Upgrade(limit) => return State::Upgrade(generation, limit),
            Ended::Refused(failure) => return hold(failure).await,
            Ended::Restart => {
                instance.publisher.enter(Phase::Restarting);
                continue;
            }
            Ended::Failed(why) => why,
        };
        instance.publisher.update(|status| status.app.restarts += 1);
        let wait = match policy.ended(Monotonic::now(), jitter()) {
            Next::After(wait) => wait,
            Next::CrashLoop => {
                let failure = Failure::new(
                    Cause::CrashLoop,
                    format!(
                        "the app ended {} times within {}; the last time it {why}",
                        policy.recent(),
                        humantime::format_duration(policy.window())
                    ),
                );
                return tokio::select! {
                    biased;
                    () = instance.stopping() => State::Exit(0),
                    state = async {
                        let failure = cause::passing(instance, failure).await;
                        door.open_after(SOON);
                        match upgrade::after_a_crash_loop(instance, door, generation, &failure).await {
                            Some(state) => state,
                            None => hold(failure).await,
                        }
                    } => state,
                };
            }
        };
        tracing::warn!(target: "Supervisor", "the app {why}; starting it again in {} ms", wait.as_millis());
        instance.publisher.enter(Phase::Restarting);
        door.open_after(GAP);
        if let Some(state) = wait_between(instance, operations, wait, generation, switch).await {
            return state;
        }
    }
}

/// Waits before the next start; a stop or an order ends the wait early.
async fn wait_between(
    instance: &Rc<Instance>,
    operations: &mut Operations,
    wait: Duration,
    generation: GenerationId,
    switch: impl Fn(Prepared) -> State,
) -> Option<State> {
    let until = Instant::now() + wait;
    loop {
        tokio::select! {
            biased;
            () = instance.stopping() => return Some(State::Exit(0)),
            event = operations.next() => match event {
                Event::Prepared(prepared) => return Some(switch(prepared)),
                Event::Upgrade(limit) => return Some(State::Upgrade(generation, limit)),
                Event::Resume(_, reply) => reply.says(Err(nothing_held())),
                Event::Restart(reply) => {
                    reply.done();
                    return None;
                }
            },
            () = sleep_until(until) => return None,
        }
    }
}

type Question = Pin<Box<dyn Future<Output = Result<Verdict, Failure>>>>;

/// One run of the app.
struct Run<'a> {
    instance: &'a Rc<Instance>,
    /// The question under way.
    asked: Option<Question>,
    /// How many questions in a row had no answer.
    failures: u32,
    is_ready: bool,
    said_ready: bool,
    /// When the next sign of life is due; only once there was a first.
    watchdog: Option<Deadline>,
}

impl Run<'_> {
    async fn watched(mut self, generation: GenerationId, operations: &mut Operations) -> Ended {
        let instance = self.instance;
        let program = instance.app();
        tracing::info!(target: "App", "Starting server v{}...", program.version(VERSION));
        let database = instance.data.database(generation);
        let app = tokio::select! {
            biased;
            () = instance.stopping() => return Ended::Stopped(0),
            app = App::start(instance, &program, &database, Mode::Serving) => match app {
                Ok(app) => app,
                Err(failure) => return Ended::Failed(format!("could not be started: {failure}")),
            },
        };
        if let Err(failure) = point("serve.launched") {
            return Ended::Failed(failure.to_string());
        }
        let mut start = Deadline::after(instance.config.app.start_timeout);
        loop {
            let mut asked = self.asked.take().unwrap_or_else(|| self.question(&app));
            let due = if self.is_ready { self.watchdog.as_mut() } else { Some(&mut start) };
            tokio::select! {
                biased;
                exit = app.child.wait() => {
                    // Read before the wait, not across it: a TERM meanwhile would find the channel locked, and this
                    // one thread would wait for itself.
                    let stopping = *instance.stop.borrow() > 0;
                    let (how, words) = app.ended(exit).await;
                    return match app.refusal(exit, &how, &words).filter(|_| !self.said_ready) {
                        _ if stopping => Ended::Stopped(exit.status()),
                        Some(refusal) => Ended::Refused(refusal),
                        None => Ended::Failed(format!("{how}{words}")),
                    };
                }
                () = instance.stopping() => {
                    instance.publisher.enter(Phase::Stopping);
                    let _ = point("stop.begun");
                    return Ended::Stopped(app.stop(instance.stop_signal.get()).await.status());
                }
                () = async { match due { Some(due) => due.passed().await, None => std::future::pending().await } } => {
                    if !self.is_ready {
                        return hang(&app, "did not become ready in time").await;
                    }
                    let messages = app.said_by_now();
                    if !messages.watchdog {
                        return hang(&app, "sent no sign of life for its watchdog").await;
                    }
                    self.heard(&messages);
                }
                event = operations.next() => match event {
                    Event::Prepared(prepared) => {
                        app.stop(Signal::SIGTERM).await;
                        return Ended::Switch(prepared);
                    }
                    Event::Upgrade(limit) => {
                        app.stop(Signal::SIGTERM).await;
                        return Ended::Upgrade(limit);
                    }
                    Event::Resume(_, reply) => reply.says(Err(nothing_held())),
                    Event::Restart(reply) => {
                        reply.done();
                        tracing::info!(target: "Supervisor", "restarting the app, as the operator asked");
                        app.stop(Signal::SIGTERM).await;
                        return Ended::Restart;
                    }
                },
                // After all that has a limit, and after the operator: an app may talk without end.
                said = app.says() => match said {
                    Ok(messages) => {
                        let waited = self.said_ready;
                        self.heard(&messages);
                        if self.said_ready != waited {
                            // Ask at once, whatever question is waiting.
                            continue;
                        }
                    }
                    Err(failure) => instance.publisher.note(failure.to_string()),
                },
                verdict = &mut asked => {
                    match verdict.map(|verdict| self.answered(generation, verdict)) {
                        Ok(None) => {}
                        Ok(Some(hung)) => return hang(&app, &hung).await,
                        Err(failure) => {
                            app.stop(Signal::SIGTERM).await;
                            return Ended::Refused(failure);
                        }
                    }
                    // The next question is a new one.
                    continue;
                }
            }
            self.asked = Some(asked);
        }
    }

    fn question(&self, app: &App) -> Question {
        let wait = match (self.is_ready, self.said_ready) {
            (true, _) => self.instance.config.health.interval,
            // Asked again at once only when the first answer failed.
            (false, true) if self.failures == 0 => Duration::ZERO,
            (false, _) => IMPATIENT,
        };
        let question = app.question();
        // Without a READY=1 there is nothing to ask yet.
        let early = !self.said_ready;
        Box::pin(async move {
            sleep(wait).await;
            if early { Ok(Verdict::Silent(String::new())) } else { question.await }
        })
    }

    fn heard(&mut self, messages: &Messages) {
        self.said_ready |= messages.ready;
        if messages.watchdog {
            self.watchdog = Some(Deadline::after(self.instance.config.watchdog.interval));
        }
    }

    /// Takes an answer; returns why the app is taken for hung, if it is.
    fn answered(&mut self, generation: GenerationId, verdict: Verdict) -> Option<String> {
        let instance = self.instance;
        if !self.is_ready && self.said_ready && !matches!(verdict, Verdict::Silent(_)) {
            self.is_ready = true;
            self.failures = 0;
            instance.publisher.enter(Phase::Serving);
            instance.publisher.update(|status| status.app.ready = true);
            let status = instance.publisher.status();
            let here = address_here(&status.listen);
            let open =
                if status.open == here { String::new() } else { format!(", which people open as {}", status.open) };
            tracing::info!(target: "Supervisor", "serving on {here}{open}");
            let _ = point("serve.ready");
            let instance = Rc::clone(instance);
            drop(tokio::task::spawn_local(async move {
                clean_up::clean_up(Rc::clone(&instance)).await;
                kept::keep(instance, generation).await;
            }));
        }
        if !self.is_ready {
            self.failures += u32::from(self.said_ready);
            return None;
        }
        let (word, detail) = match verdict {
            Verdict::Serving(word, detail) => (word, detail),
            // It is alive, and a restart would not mend a full disk: that is the readiness of its own page.
            Verdict::Unfit { why, .. } => (why, None),
            Verdict::Silent(why) => {
                self.failures += 1;
                tracing::warn!(target: "Supervisor", "the app did not answer a health check: {why}");
                return (self.failures >= instance.config.health.failures)
                    .then(|| format!("did not answer {} health checks in a row", self.failures));
            }
        };
        self.failures = 0;
        if !instance.listeners.borrow().iter().all(|(_, socket)| socket.listens()) {
            return Some("shut down a socket that it was handed".to_owned());
        }
        let before = instance.publisher.status().app;
        if before.health.as_ref() != Some(&word) || before.health_detail != detail {
            if word == "ok" {
                if before.health.is_some() {
                    tracing::info!(target: "Supervisor", "the app is healthy again");
                }
            } else if before.health.as_ref() != Some(&word) || gist(&before.health_detail) != gist(&detail) {
                tracing::warn!(target: "Supervisor", "the app is degraded: {}", detail.as_ref().unwrap_or(&word));
            }
            instance.publisher.update(|status| (status.app.health, status.app.health_detail) = (Some(word), detail));
            instance.publisher.judge();
        }
        None
    }
}

/// What of a complaint is worth a line in the log: not that its numbers changed.
fn gist(detail: &Option<String>) -> String {
    detail.iter().flat_map(|detail| detail.chars()).filter(|letter| !letter.is_ascii_digit()).collect()
}

fn nothing_held() -> Failure {
    Failure::new(Cause::Busy, "nothing is held").hint("supervisor status says what it is doing")
}

/// Ends an app that hangs.
async fn hang(app: &App, why: &str) -> Ended {
    tracing::warn!(target: "Supervisor", "the app {why}; ending it");
    app.stop(Signal::SIGTERM).await;
    Ended::Failed(why.to_owned())
}
