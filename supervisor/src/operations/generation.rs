//! Which four steps lead to a new generation?
//!
//! Stage, migrate, prove, commit: for a first start, an upgrade and a restore alike. Until the commit's rename nothing
//! that was there before is changed, so a failure, or the end of this process, at any moment leaves everything as
//! it was. What was staged carries a marker, and the next [`Job::Recover`] removes it.

use std::{
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    decide,
    held::Stuck,
    migrate, plan,
    prove::{self, Before, Comparison},
};
use crate::{
    app::lifecycle::{App, Mode, end_strays},
    data::{
        GenerationId,
        state::{FORMAT, Reason, Snapshot, State},
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{
        Checkpointed, Committed, Document, Finalize, Job, Origin, Source, Staged, child,
        door::{Door, SOON},
    },
    process::programs::AppProgram,
    status::{Phase, VERSION, now},
};

/// A generation that is staged and migrated, and waits to be proven.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// Its number.
    pub target: GenerationId,
    /// What it was made from.
    pub origin: Origin,
    /// Why it was staged.
    pub reason: Reason,
    /// The name of its last applied migration.
    pub schema: String,
    /// The app that is proven on it, and serves it then.
    pub app: Rc<AppProgram>,
    /// What people saw before, if that is known.
    pub before: Option<Before>,
}

/// How a generation is made.
#[derive(Clone, Debug)]
pub struct How {
    /// Why.
    pub reason: Reason,
    /// The app that is to serve it.
    pub app: Rc<AppProgram>,
    /// Whether the migrations run; else it stays as it is, for an app that is older than it.
    pub migrate: bool,
    /// With what people see before that it is compared.
    pub compared_with: Option<Comparison>,
    /// What is known not to be as it should, and is no reason to stop.
    pub accepted: Vec<String>,
    /// How long staging and migrating may take while nothing moves.
    pub limit: Option<Duration>,
}

impl How {
    /// Returns how the image's own app and migrator make it.
    pub fn by_the_image(instance: &Instance, reason: Reason) -> Self {
        let app = Rc::clone(&instance.programs.app);
        Self { reason, app, migrate: true, compared_with: None, accepted: Vec::new(), limit: None }
    }

    /// Returns how an app makes it that takes the schema as it is.
    pub fn unmigrated(app: &Rc<AppProgram>, reason: Reason) -> Self {
        Self { reason, app: Rc::clone(app), migrate: false, compared_with: None, accepted: Vec::new(), limit: None }
    }
}

/// Why a generation was not completed.
#[derive(Debug)]
pub enum Incomplete {
    /// The live generation is the same as before; what was staged is still there.
    Undone(Failure),
    /// The commit failed, and so did finding out whether it is done. Nothing may be removed or served until that is
    /// known.
    Unknown(Failure),
}

impl From<Failure> for Incomplete {
    fn from(failure: Failure) -> Self {
        Self::Undone(failure)
    }
}

/// Makes the next generation and commits it: from nothing, or in place of the live one from this source.
pub(super) async fn make(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    how: How,
    from: Option<(GenerationId, Source)>,
    doing: String,
) -> Result<GenerationId, Stuck> {
    door.open_after(SOON);
    let live = from.as_ref().map(|(live, _)| *live);
    let made = async {
        let view = view::look(&instance.data)?;
        let checkpointed = match live {
            Some(live) => {
                // A kept one has said who it is when it was loaded.
                if how.app.kept().is_none() {
                    App::is_of_this_version(instance).await?;
                }
                Some(checkpoint(instance, live, false).await?)
            }
            None => None,
        };
        let source = from.map_or(Source::Nothing, |(_, source)| source);
        let target = decide::next(&view)?;
        let prepared = prepare(instance, how, source, target).await?;
        complete(instance, &prepared, live, checkpointed).await
    };
    match made.await {
        Ok(generation) => Ok(generation),
        Err(incomplete) => {
            let commit_unknown = matches!(incomplete, Incomplete::Unknown(_));
            let failure = clean_up(instance, incomplete).await;
            Err(Stuck { commit_unknown, ..Stuck::before_a_commit(failure, doing) })
        }
    }
}

/// Checkpoints the live database before it is left behind, and checks it unless its clone will be; no app may be alive.
///
/// # Errors
/// When it is damaged, or still in use.
pub async fn checkpoint(instance: &Instance, live: GenerationId, check: bool) -> Result<Checkpointed, Failure> {
    end_strays(instance).await;
    child::run(instance, Job::Checkpoint { generation: live, check, hash: false }).await
}

/// Stages and migrates; the app may serve meanwhile (a restore), for the source is not what it writes to.
///
/// # Errors
/// What went wrong; what was staged is still there.
pub async fn prepare(
    instance: &Rc<Instance>,
    how: How,
    source: Source,
    target: GenerationId,
) -> Result<Prepared, Failure> {
    let Some(limit) = how.limit else { return prepare_in_time(instance, how, source, target).await };
    let began = Instant::now();
    tokio::select! {
        prepared = prepare_in_time(instance, how, source, target) => prepared,
        () = stands_still(instance, limit) => {
            let took = humantime::format_duration(Duration::from_secs(began.elapsed().as_secs()));
            Err(Failure::new(Cause::Interrupted, format!("the upgrade has taken {took}, many times what it took in its rehearsal, and nothing moves any more"))
                .hint("something else uses the disk or the processor; it is tried again"))
        }
    }
}

/// Returns once this time has passed and nothing has moved for as long again: what makes progress is not given up.
async fn stands_still(instance: &Instance, limit: Duration) {
    let mut before = None;
    loop {
        tokio::time::sleep(limit).await;
        let now = instance.publisher.status();
        let now = Some((now.phase, now.progress));
        if now == before {
            return;
        }
        before = now;
    }
}

async fn prepare_in_time(
    instance: &Rc<Instance>,
    how: How,
    source: Source,
    target: GenerationId,
) -> Result<Prepared, Failure> {
    let How { reason, app, migrate, compared_with, accepted, limit: _ } = how;
    instance.publisher.enter(Phase::Staging(target));
    let staged: Staged = child::run(instance, Job::Stage { target, source }).await?;
    match &staged.origin {
        Origin::Nothing => {}
        Origin::Generation(source) => {
            tracing::info!(target: "Supervisor", "staged generation {target} as a clone of {source} ({} bytes, by {})", staged.bytes, staged.method);
        }
        Origin::Backup(backup) => {
            tracing::info!(target: "Supervisor", "staged generation {target} from the backup {backup} ({} bytes)", staged.bytes);
        }
    }
    if let Some(problem) = &staged.reindexed {
        tracing::warn!(target: "Supervisor", "indexes did not agree with their tables ({problem}), and were built anew from them in generation {target}");
    }
    let (database, mode) = (instance.data.database(target), Mode::Probation(reason));
    let before = match compared_with {
        Some(comparison) => prove::before(instance, comparison, &database, mode).await,
        None => None,
    };
    instance.publisher.enter(Phase::Migrating(target));
    let schema = match migrate {
        true => migrate::up(instance, &database, mode, &accepted).await?,
        false => {
            plan::ask_of(instance, &database, false).await?.all_applied().last().copied().unwrap_or_default().to_owned()
        }
    };
    Ok(Prepared { target, origin: staged.origin, reason, schema, app, before })
}

/// Proves, finalizes and commits what was prepared, and writes down what was left behind. No app is alive.
///
/// # Errors
/// What went wrong, and whether that is known to have left everything as it was.
pub async fn complete(
    instance: &Rc<Instance>,
    prepared: &Prepared,
    outgoing: Option<GenerationId>,
    checkpointed: Option<Checkpointed>,
) -> Result<GenerationId, Incomplete> {
    let Prepared { target, ref origin, reason, ref schema, ref app, ref before } = *prepared;
    let version = app.version(VERSION).to_owned();
    instance.publisher.enter(Phase::Proving(target));
    tracing::info!(target: "Supervisor", "trying the app out on generation {target}");
    prove::prove(instance, app, &instance.data.database(target), Mode::Probation(reason), before.as_ref()).await?;
    instance.publisher.enter(Phase::Committing(target));
    end_strays(instance).await;
    let finalize = Finalize {
        generation: target,
        reason,
        origin: origin.clone(),
        schema: schema.clone(),
        version: version.clone(),
    };
    // What a first start has made nobody outside has written to, so that its database needs no process of its own, which can
    // reach nothing else.
    let finalize = if reason == Reason::FirstStart {
        Some(finalize)
    } else {
        let () = child::run(instance, Job::Finalize(finalize)).await?;
        None
    };
    let state = state_after(&view::look(&instance.data)?, target, version, outgoing, reason, checkpointed);
    let commit = Job::Commit { generation: target, finalize, state: state.clone() };
    let state_trouble = match child::run::<Committed>(instance, commit).await {
        Ok(committed) => committed.state_trouble,
        Err(failure) => {
            is_committed(instance, target, failure).await?;
            child::run::<()>(instance, Job::Save(Document::State(state))).await.err()
        }
    };
    tracing::info!(target: "Supervisor", "generation {target} is live{}", match outgoing {
        Some(outgoing) => format!("; {outgoing} is kept as a snapshot"),
        None => String::new(),
    });
    // Decisions come from the link.
    if let Some(trouble) = state_trouble {
        instance.publisher.note(format!("supervisor/state.json could not be written: {trouble}"));
    }
    Ok(target)
}

/// Finds out whether a commit is done whose job failed: it may have died after the rename, and the link itself says. The job
/// fsyncs it and takes the marker away.
async fn is_committed(instance: &Instance, target: GenerationId, failure: Failure) -> Result<(), Incomplete> {
    let view = child::run::<View>(instance, recover(instance)).await.map_err(|unknown| {
        Incomplete::Unknown(
            Failure::new(unknown.cause, format!("{failure}; and whether generation {target} is live now cannot be told: {unknown}"))
                .hint("both generations are complete and neither was touched; put the file system right, then: supervisor resume"),
        )
    })?;
    if view.live != Live::Generation(target) {
        return Err(Incomplete::Undone(failure));
    }
    tracing::warn!(target: "Supervisor", "{failure}; the commit itself is done");
    Ok(())
}

/// Returns the job that recovers this instance's data directory.
fn recover(instance: &Instance) -> Job {
    Job::Recover { backups: instance.config.backup.dir.clone() }
}

/// Returns what state.json says after the commit. Pure but for the clock.
fn state_after(
    before: &View,
    live: GenerationId,
    version: String,
    outgoing: Option<GenerationId>,
    reason: Reason,
    checkpointed: Option<Checkpointed>,
) -> State {
    let mut snapshots = before.state.as_ref().map(|state| state.snapshots.clone()).unwrap_or_default();
    snapshots.retain(|snapshot| {
        Some(snapshot.generation) != outgoing && before.generations.iter().any(|here| here.id == snapshot.generation)
    });
    if let Some(generation) = outgoing {
        // One that could not be checkpointed counts as written to just now: it may be the only one with the writes.
        let written_at = checkpointed.map_or_else(|| Some(now()), |checkpointed| checkpointed.written_at);
        snapshots.push(Snapshot { generation, left_at: now(), written_at, reason });
    }
    State { format: FORMAT, live, version, snapshots }
}

/// Removes what a failed attempt staged, if it is known that it was not committed, and returns the failure. That it could not
/// be removed is noted: the next start tries again.
pub async fn clean_up(instance: &Instance, incomplete: Incomplete) -> Failure {
    let failure = match incomplete {
        Incomplete::Undone(failure) => failure,
        Incomplete::Unknown(failure) => return failure,
    };
    match child::run::<View>(instance, recover(instance)).await {
        Ok(view) => view.trouble.into_iter().for_each(|trouble| instance.publisher.note(trouble)),
        Err(trouble) => instance.publisher.note(format!("what was staged could not be removed yet: {trouble}")),
    }
    failure
}
