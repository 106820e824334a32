//! How does a restore go over to a backup or snapshot?
//!
//! The new generation is staged and migrated while the app serves. Then the app stops, and the generation is proven and committed.
//! If that fails, the generation that served before serves on.

use std::rc::Rc;

use super::{
    State, decide,
    fallback::{self, Action, Event},
    generation::{self, How, Incomplete, Prepared},
    held::{self, Stuck},
    plan,
};
use crate::{
    control::orders::From,
    data::{
        GenerationId,
        state::Reason,
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Source, door::Door},
    status::VERSION,
};

/// Says whether this can be restored.
pub fn check(instance: &Instance, from: &From) -> Result<(), Failure> {
    let view = view::look(&instance.data)?;
    decide::next(&view)?;
    match from {
        From::Snapshot(snapshot) => is_restorable(&view, *snapshot),
        From::Archive(_) => Ok(()),
    }
}

/// Says whether this generation can be restored.
pub fn is_restorable(view: &View, snapshot: GenerationId) -> Result<(), Failure> {
    let refuse = |message: String| {
        Err(Failure::new(Cause::Configuration, message).hint("supervisor snapshot list shows the snapshots there are"))
    };
    if view.live == Live::Generation(snapshot) {
        return refuse(format!("generation {snapshot} is the live one; there is nothing to restore"));
    }
    match view.generations.iter().find(|generation| generation.id == snapshot) {
        Some(generation) if !generation.staging && generation.database => Ok(()),
        Some(_) => refuse(format!("generation {snapshot} is not complete")),
        None => refuse(format!("there is no snapshot {snapshot}")),
    }
}

/// Stages and migrates what is to be restored.
///
/// # Errors
/// What went wrong; nothing was changed then, and what was staged is gone.
pub async fn prepare(instance: &Rc<Instance>, from: &From) -> Result<Prepared, Failure> {
    let prepared = async {
        let target = decide::next(&view::look(&instance.data)?)?;
        let (what, source) = match from {
            From::Snapshot(snapshot) => (format!("snapshot {snapshot}"), Source::Generation(*snapshot)),
            From::Archive(archive) => {
                let settings = Box::new(instance.config.backup.clone());
                (format!("the backup {}", archive.place), Source::Archive { archive: archive.clone(), settings })
            }
        };
        tracing::info!(target: "Supervisor", "restoring {what} as generation {target}, as the operator asked");
        let app = instance.app();
        let how = match app.kept() {
            None => How::by_the_image(instance, Reason::Restore),
            Some(_) => How::unmigrated(&app, Reason::Restore),
        };
        let prepared = generation::prepare(instance, how, source, target).await?;
        if app.kept().is_some() {
            is_servable(instance, &prepared).await?;
        }
        Ok::<_, Failure>(prepared)
    };
    match prepared.await {
        Ok(prepared) => Ok(prepared),
        Err(failure) => Err(in_words(from, generation::clean_up(instance, failure.into()).await)),
    }
}

/// Says whether what is restored while an earlier version serves has the migrations of what is live: no other can be served by it, and
/// the image's own migrator and app are those that failed.
async fn is_servable(instance: &Instance, prepared: &Prepared) -> Result<(), Failure> {
    let Live::Generation(live) = view::live(&instance.data)? else { return Ok(()) };
    let restored = plan::ask(instance, prepared.target, false).await?;
    let serving = plan::ask(instance, live, false).await?;
    let event = Event::Restore { has_equal_migrations: restored.all_applied() == serving.all_applied() };
    if fallback::decide(event, true).0 == Action::ProveKept {
        return Ok(());
    }
    let version = prepared.app.version(VERSION);
    let message = format!(
        "v{version} serves, since the upgrade failed, and it cannot serve this: it has other migrations than generation {live}"
    );
    Err(Failure::new(Cause::Newer, message)
        .hint("start the image that fits it, or try the upgrade again (supervisor resume); nothing was changed"))
}

/// Says of a backup that is too new that it is, and not the database in use.
fn in_words(from: &From, failure: Failure) -> Failure {
    match (from, failure.cause) {
        (From::Archive(archive), Cause::Newer) => Failure::new(
            Cause::Newer,
            format!(
                "cannot restore the backup {}, which is of a newer version: {failure}; nothing was changed",
                archive.place
            ),
        )
        .hint("install that version or a newer one, then restore it again"),
        _ => failure,
    }
}

/// Goes over to a restored generation; the app is stopped. If it fails, what served before serves on.
pub(super) async fn switch(instance: &Rc<Instance>, door: &Rc<Door>, prepared: Prepared, back: State) -> State {
    door.open().await;
    let data = instance.data_mutex.lock().await;
    let before = view::live(&instance.data).ok();
    let incomplete = match go_over(instance, &prepared).await {
        Ok(generation) => {
            drop(data);
            instance.publisher.update(|status| status.live = Some(generation));
            let done = format!("generation {generation} is live");
            tracing::info!(target: "Supervisor", "restored: {done}");
            instance.publisher.end_operation(Ok(done));
            return State::Serve(generation);
        }
        Err(incomplete) => incomplete,
    };
    let commit_unknown = matches!(incomplete, Incomplete::Unknown(_));
    let failure = generation::clean_up(instance, incomplete).await;
    drop(data);
    let view = view::look(&instance.data).ok();
    let now = view.as_ref().map(|view| view.live.clone());
    let as_it_was = !commit_unknown && now.is_some() && now == before;
    failed(instance, failure.clone(), as_it_was);
    match back {
        // What the link says is served, and nothing else.
        State::Serve(generation) if !commit_unknown && now == Some(Live::Generation(generation)) => back,
        State::Hold(_) if !commit_unknown => back,
        _ => {
            let doing = format!("restoring generation {}", prepared.target);
            State::Hold(held::held(instance, Stuck { failure, doing, commit_unknown, view, earlier: None }).await)
        }
    }
}

/// Tells that a restore failed, and what of the data is known: whether it is as it was.
pub(super) fn failed(instance: &Instance, failure: Failure, as_it_was: bool) {
    let known = if as_it_was { ", and everything is as it was" } else { "" };
    tracing::error!(target: "Supervisor", hint = failure.hint, "the restore failed{known}: {failure}");
    instance.publisher.end_operation(Err(failure));
}

/// Proves and commits what a restore has prepared. No app is alive.
///
/// # Errors
/// What went wrong, and whether that is known to have left everything as it was.
pub async fn go_over(instance: &Rc<Instance>, prepared: &Prepared) -> Result<GenerationId, Incomplete> {
    let live = match view::look(&instance.data)?.live {
        Live::Generation(live) => Some(live),
        _ => None,
    };
    let checkpointed = match live {
        None => None,
        Some(live) => match generation::checkpoint(instance, live, true).await {
            Ok(checkpointed) => Some(checkpointed),
            Err(failure) if failure.cause == Cause::Busy => return Err(failure.into()),
            // A damaged database is a reason to restore, not one against it. It stays behind as it is.
            Err(failure) => {
                tracing::warn!(target: "Supervisor", "generation {live} is left behind as it is: {failure}");
                None
            }
        },
    };
    generation::complete(instance, prepared, live, checkpointed).await
}
