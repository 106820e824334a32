//! How does a household come to a new version without an hour of maintenance, and back if it fails?
//!
//! The last good app serves while the upgrade is rehearsed; only then it stops for the four steps. Whatever fails, it serves on, people are
//! told, and the image is remembered as tried. An app that fails soon after it took over is replaced in the same way.

use std::{rc::Rc, time::Duration};

use tokio::time::{sleep, timeout};

use super::{
    State,
    fallback::{self, Action, Class, Event, Remember},
    generation::{self, How},
    held::{self, Stuck},
    kept, plan,
    prove::Comparison,
    rehearse::{self, Rehearsed},
};
use crate::{
    control::orders::{Operation, Order, Orders},
    data::{
        GenerationId, programs,
        state::{Reason, Step},
        tries::{self, Tries, Try},
        view::{self, Live},
    },
    failure::{Cause, Failure},
    fault,
    instance::Instance,
    jobs::{Checkpointed, Document, Job, Source, child, door::Door},
    process::programs::AppProgram,
    status::{Fallback, Phase, Status, VERSION, now},
};

/// How often an upgrade is tried again that failed for a cause that passes, and how often the log reminds of one that failed.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon an order that could not be taken is given again.
const BUSY: Duration = Duration::from_secs(if cfg!(feature = "faults") { 1 } else { 60 });
/// The four steps may take this many times what the rehearsal took, and no less than [`LEAST`].
const TIMES: u32 = 5;
const LEAST: Duration = Duration::from_secs(120);

/// Has upgrades rehearsed while an earlier version serves: at once, and daily where the cause of a failure may have passed.
pub async fn keep(instance: Rc<Instance>, orders: Orders) {
    loop {
        until(&instance, |status| status.phase == Phase::Serving.name() && status.fallback.is_some()).await;
        let Some(fallback) = instance.publisher.status().fallback else { continue };
        let Some(failure) = &fallback.failure else {
            let order = |reply| Order::Begin(Operation::Rehearse { accept: Vec::new() }, reply);
            // Else a backup is under way.
            if orders.give(order).await.is_ok() {
                until(&instance, |status| {
                    status.operation.as_ref().is_none_or(|operation| operation.outcome.is_some())
                })
                .await;
            }
            sleep(BUSY).await;
            continue;
        };
        let has_changed = until(&instance, |status| status.fallback.as_ref() != Some(&fallback));
        if timeout(fault::time("TEST_DAY", DAY), has_changed).await.is_ok() {
            continue;
        }
        if fallback::class(failure.cause) == Class::Passing {
            instance.publisher.update(|status| {
                status.fallback.iter_mut().for_each(|fallback| fallback.failure = None);
            });
        } else if let Some(sentence) = fallback.sentence() {
            tracing::warn!(target: "Supervisor", hint = "try it again with: supervisor resume; or start another image", "{sentence}");
        }
    }
}

/// Waits until the status is like this.
async fn until(instance: &Instance, holds: impl Fn(&Status) -> bool) {
    let mut changes = instance.publisher.watch();
    while !holds(&instance.publisher.status()) {
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

/// Rehearses the upgrade, as `Operation::Rehearse`. Returns how long the four steps may take, once it is to go on with them.
///
/// # Errors
/// Why the upgrade would fail; it is written down, and people are told.
pub async fn rehearse(instance: &Rc<Instance>, accept: Vec<String>) -> Result<(Option<Duration>, String), Failure> {
    if !accept.is_empty() {
        self::accept(instance, accept).await?;
    }
    let app = instance.app();
    let serving = app.kept().is_some().then_some(&app);
    match rehearse::rehearse(instance, serving).await {
        Ok(Rehearsed::NoRoom(failure)) => {
            instance.publisher.note(format!("{failure}, so it is made without"));
            Ok((serving.map(|_| LEAST), failure.message))
        }
        Ok(rehearsed) => {
            let limit = match rehearsed {
                Rehearsed::Well { took, .. } => serving.map(|_| (took * TIMES).max(LEAST)),
                _ => None,
            };
            Ok((limit, rehearsed.sentence()))
        }
        // One of another container's, perhaps: it is tried again soon.
        Err(failure) if failure.cause == Cause::Busy || *instance.stop.borrow() > 0 => Err(failure),
        Err(failure) => {
            if serving.is_some() {
                failed(instance, &failure, Step::Migrating).await;
            }
            Err(failure)
        }
    }
}

/// Writes down what the operator accepts.
pub async fn accept(instance: &Instance, findings: Vec<String>) -> Result<(), Failure> {
    let mut tries = kept::readable(instance, tries::read(&instance.data))?;
    tries.accepted.extend(findings);
    tries.accepted.sort();
    tries.accepted.dedup();
    child::run(instance, Job::Save(Document::Tries(tries))).await
}

/// Writes down that the upgrade failed, and tells people that an earlier version serves on.
async fn failed(instance: &Instance, failure: &Failure, step: Step) {
    let (_, remember) = fallback::decide(Event::AttemptFailed(fallback::class(failure.cause)), true);
    self::remember(instance, failure, step, remember).await;
    tell(instance, Some(failure.clone()));
}

/// Publishes which version serves in place of this one, and why.
fn tell(instance: &Instance, failure: Option<Failure>) {
    let app = instance.app();
    let fallback =
        Fallback { version: app.version(VERSION).to_owned(), upgrade: VERSION.to_owned(), failure, since: now() };
    if let Some(sentence) = fallback.sentence() {
        let hint = fallback.failure.as_ref().and_then(|failure| failure.hint.clone());
        tracing::error!(target: "Supervisor", hint, "{sentence} The data is as it was; people are told. Try again with: supervisor resume");
    }
    instance.publisher.update(|status| status.fallback = Some(fallback));
    instance.publisher.judge();
}

/// Writes down what came of an upgrade that no kept app stood beside: the next start may find one that can serve.
pub(super) async fn remember_attempt(instance: &Instance, stuck: Option<&Stuck>) {
    let Some(stuck) = stuck else { return forget(instance).await };
    // What is looked at again each minute is not remembered.
    if kept::is_on(instance) && !stuck.commit_unknown && !stuck.failure.cause.passes() {
        let event = Event::AttemptFailed(fallback::class(stuck.failure.cause));
        let (_, remembered) = fallback::decide(event, false);
        remember(instance, &stuck.failure, instance.publisher.step(), remembered).await;
    }
}

/// Writes down that this image was tried.
async fn remember(instance: &Instance, failure: &Failure, step: Step, remember: Remember) {
    if remember == Remember::Nothing {
        return;
    }
    let written = async {
        let identity = held::identity(instance).await?;
        let mut tries = kept::readable(instance, tries::read(&instance.data))?;
        tries.add(Try {
            image: identity.image,
            settings: identity.settings,
            version: VERSION.to_owned(),
            step,
            failure: failure.clone(),
            passes: remember == Remember::Passing,
            at: now(),
        });
        child::run::<()>(instance, Job::Save(Document::Tries(tries))).await
    };
    if let Err(trouble) = written.await {
        instance.publisher.note(format!(
            "supervisor/tries.json could not be written, so the next start tries the upgrade again: {trouble}"
        ));
    }
}

/// Forgets what was tried and accepted: a new version has come through.
async fn forget(instance: &Instance) {
    if instance.data.tries().exists()
        && let Err(failure) = child::run::<()>(instance, Job::Save(Document::Tries(Tries::default()))).await
    {
        instance.publisher.note(failure.message);
    }
}

/// Returns the last try of this image with these settings.
pub(super) async fn earlier_try(instance: &Instance) -> Result<Option<Try>, Failure> {
    let tries = tries::read(&instance.data).unwrap_or_default();
    if tries.tries.is_empty() {
        return Ok(None);
    }
    let identity = held::identity(instance).await?;
    Ok(tries.of(&identity.image, identity.settings.as_deref()).cloned())
}

/// Serves with the kept app: as it is where it served last, else once it has proved itself on a clone, so that no program serves what
/// another one left without having been tried on it. Damaged indexes are built anew on a clone, too.
pub(super) async fn serve_kept(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    live: GenerationId,
    app: &Rc<AppProgram>,
    is_damaged: bool,
    failure: Option<Failure>,
) -> Result<GenerationId, Stuck> {
    let served = programs::read(&instance.data).ok().and_then(|programs| programs.served);
    // Of this very generation: what another app has made, it has to prove itself on.
    let served_last = served
        .is_some_and(|served| served.generation == live && Some(&served.blake3) == app.kept().map(|kept| &kept.blake3));
    let generation = match served_last && !is_damaged {
        true => live,
        false => {
            let doing = format!("going back to v{} on the present data", app.version(VERSION));
            let how = How::unmigrated(app, Reason::Restore);
            generation::make(instance, door, how, Some((live, Source::Generation(live))), doing).await?
        }
    };
    instance.serve_with(app);
    tell(instance, failure);
    Ok(generation)
}

/// Makes the next generation by the image's programs, now that it was rehearsed; the kept app has stopped. If that fails, it serves on.
pub(super) async fn switch(instance: &Rc<Instance>, door: &Rc<Door>, live: GenerationId, limit: Duration) -> State {
    let _data = instance.data_mutex.lock().await;
    let kept = instance.app();
    let doing = format!("upgrading generation {live} to v{VERSION}");
    let made = async {
        let stuck = |failure| Stuck::before_a_commit(failure, doing.clone());
        let status = plan::ask(instance, live, false).await.map_err(stuck)?;
        let mut how = How::by_the_image(instance, Reason::Upgrade);
        how.accepted = kept::readable(instance, tries::read(&instance.data)).map_err(stuck)?.accepted;
        how.compared_with = Some(Comparison::new(&kept, &status.differences, &how.accepted));
        how.migrate = status.unknown.is_empty();
        how.limit = Some(limit);
        generation::make(instance, door, how, Some((live, Source::Generation(live))), doing.clone()).await
    };
    match made.await {
        Ok(generation) => {
            instance.serve_with(&instance.programs.app);
            instance.publisher.update(|status| {
                status.fallback = None;
                status.live = Some(generation);
            });
            forget(instance).await;
            State::Serve(generation)
        }
        Err(stuck) => {
            let event = match stuck.commit_unknown {
                true => Event::CommitUnknown,
                false => Event::AttemptFailed(fallback::class(stuck.failure.cause)),
            };
            match fallback::decide(event, true).0 {
                Action::ServeKept => {
                    let step = instance.publisher.step();
                    failed(instance, &stuck.failure, step).await;
                    State::Serve(live)
                }
                _ => State::Hold(held::held(instance, stuck).await),
            }
        }
    }
}

/// Returns what follows where the app crash-loops and the kept one may take its place: it serves what is there, or what was there before if
/// nothing was written since. Else `None`: it is held.
pub(super) async fn after_a_crash_loop(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    generation: GenerationId,
    failure: &Failure,
) -> Option<State> {
    let is_kept = instance.app().kept().is_some();
    let event = match failure.cause {
        Cause::CrashLoop if is_kept => Event::KeptFailed,
        Cause::CrashLoop if !kept::is_on_trial(instance).await => Event::GoodFailed,
        Cause::CrashLoop => return trial_failed(instance, door, generation, failure).await,
        _ => Event::Environment,
    };
    let (action, _) = fallback::decide(event, is_kept);
    debug_assert_eq!(action, Action::Hold);
    None
}

/// The image's app has failed within the hour after it took over.
async fn trial_failed(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    generation: GenerationId,
    failure: &Failure,
) -> Option<State> {
    let _data = instance.data_mutex.lock().await;
    let floor = plan::ask(instance, generation, false).await.ok()?.floor;
    let for_now = kept::last_good(instance, floor.as_deref()).await;
    let before = match for_now {
        Some(_) => None,
        None => unwritten(instance, generation).await,
    };
    let kept = match (&for_now, &before) {
        (Some(kept), _) => Some(Rc::clone(kept)),
        (None, Some((_, floor))) => kept::last_good(instance, floor.as_deref()).await,
        (None, None) => None,
    };
    let event = Event::TrialFailed { may_serve_now: for_now.is_some(), may_go_back: before.is_some() };
    let (action, remembered) = fallback::decide(event, kept.is_some());
    self::remember(instance, failure, Step::Serving, remembered).await;
    let kept = kept?;
    let version = kept.version(VERSION).to_owned();
    let made = match (action, before) {
        (Action::KeptOnPresent, _) => {
            tracing::warn!(target: "Supervisor", "{failure}: going back to v{version}, with everything that was written");
            serve_kept(instance, door, generation, &kept, false, Some(failure.clone())).await
        }
        (Action::KeptOnBefore, Some((source, _))) => {
            tracing::warn!(target: "Supervisor", "{failure}: going back to v{version} and generation {source}; nothing was written since");
            let doing = format!("going back to generation {source} with v{version}");
            let how = How::unmigrated(&kept, Reason::Restore);
            let made =
                generation::make(instance, door, how, Some((generation, Source::Generation(source))), doing).await;
            if made.is_ok() {
                instance.serve_with(&kept);
                tell(instance, Some(failure.clone()));
            }
            made
        }
        _ => return None,
    };
    Some(match made {
        Ok(generation) => {
            instance.publisher.update(|status| status.live = Some(generation));
            State::Serve(generation)
        }
        Err(stuck) => State::Hold(held::held(instance, stuck).await),
    })
}

/// Returns the generation that this one was cloned from, and its floor, if nothing was written since the commit.
async fn unwritten(instance: &Instance, generation: GenerationId) -> Option<(GenerationId, Option<String>)> {
    let view = view::look(&instance.data).ok().filter(|view| view.live == Live::Generation(generation))?;
    let description = view.generations.iter().find(|here| here.id == generation)?.description.clone()?;
    let before = description.source.filter(|_| description.reason == Reason::Upgrade)?;
    view.snapshots().find(|snapshot| snapshot.id == before)?;
    let job = Job::Checkpoint { generation, check: false, hash: true };
    let checkpointed: Checkpointed = child::run(instance, job).await.ok()?;
    let is_unwritten = checkpointed.blake3.as_ref() == Some(&description.blake3);
    let floor = plan::ask(instance, before, false).await.ok().filter(|_| is_unwritten)?.floor;
    Some((before, floor))
}
