//! Which four steps lead to a new generation?
//!
//! Stage, migrate, prove, commit: for a first start, an upgrade and a restore alike. Until the commit's rename nothing
//! that was there before is changed, so a failure, or the end of this process, at any moment leaves everything as
//! it was; what was staged carries a marker and goes with the next [`Job::Recover`].

use std::rc::Rc;

use super::{migrate, prove};
use crate::{
    app::lifecycle::{Mode, end_strays},
    data::{
        GenerationId, retention,
        state::{FORMAT, Reason, Snapshot, State},
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Checkpointed, Document, Job, Origin, Source, Staged, backup::BackupJob, child},
    process::deadline::within,
    status::{Initiator, Phase, VERSION, now},
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
}

/// Checkpoints the live database before it is left behind, and checks it unless its clone will be; no app may be alive.
///
/// # Errors
/// When it is damaged, or still in use.
pub async fn checkpoint(instance: &Instance, live: GenerationId, check: bool) -> Result<Checkpointed, Failure> {
    end_strays(instance).await;
    child::run(instance, Job::Checkpoint { generation: live, check }).await
}

/// Stages and migrates; the app may serve meanwhile (a restore), for the source is not what it writes to.
///
/// # Errors
/// What went wrong; what was staged is still there.
pub async fn prepare(
    instance: &Instance,
    course: Initiator,
    reason: Reason,
    source: Source,
    target: GenerationId,
) -> Result<Prepared, Failure> {
    instance.board.enter(course, Phase::Staging(target));
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
        tracing::warn!(target: "Supervisor", "indexes did not agree with their tables ({problem}), and were built anew in generation {target}; no row is lost");
    }
    instance.board.enter(course, Phase::Migrating(target));
    let schema = migrate::up(instance, &instance.data.database(target), Mode::Probation(reason)).await?;
    Ok(Prepared { target, origin: staged.origin, reason, schema })
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

/// Returns the job that recovers this instance's data directory.
#[must_use]
pub fn recover(instance: &Instance) -> Job {
    Job::Recover { backups: instance.config.backup.dir.clone() }
}

/// Recovers this instance's data directory, and looks at it.
///
/// # Errors
/// What the job says; without a live generation also that `backup.dir`, where it has to look then, does not answer.
pub async fn recovered(instance: &Instance) -> Result<View, Failure> {
    let recovering = child::run(instance, recover(instance));
    if let Ok(Live::Generation(_)) = view::live(&instance.data) {
        return recovering.await;
    }
    tokio::time::timeout(PATIENCE, recovering).await.unwrap_or_else(|_| {
        let dir = instance.config.backup.dir.display();
        Err(Failure::new(Cause::Io, format!("there is no live generation, and whether there are backups cannot be told: {dir} (backup.dir) does not answer"))
            .hint("is it a network mount whose server is gone? Nothing was changed"))
    })
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
    let Prepared { target, ref origin, reason, ref schema } = *prepared;
    instance.board.enter(Initiator::Boot, Phase::Proving(target));
    tracing::info!(target: "Supervisor", "trying the app out on generation {target}");
    prove::prove(instance, &instance.data.database(target), Mode::Probation(reason)).await?;
    instance.board.enter(Initiator::Boot, Phase::Committing(target));
    let () = child::run(
        instance,
        Job::Finalize { generation: target, reason, origin: origin.clone(), schema: schema.clone() },
    )
    .await?;
    end_strays(instance).await;
    let before = crate::data::view::look(&instance.data)?;
    if let Err(failure) = child::run::<()>(instance, Job::Commit { generation: target }).await {
        // It may have died after the rename: the link itself says. Recover fsyncs it and takes the marker away.
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
    }
    tracing::info!(target: "Supervisor", "generation {target} is live{}", match outgoing {
        Some(outgoing) => format!("; {outgoing} is kept as a snapshot"),
        None => String::new(),
    });
    remember(instance, &before, target, outgoing, reason, checkpointed).await;
    Ok(target)
}

/// Writes state.json after a commit. What cannot be written is noted: decisions come from the link.
async fn remember(
    instance: &Instance,
    before: &View,
    live: GenerationId,
    outgoing: Option<GenerationId>,
    reason: Reason,
    checkpointed: Option<Checkpointed>,
) {
    let mut snapshots = before.state.as_ref().map(|state| state.snapshots.clone()).unwrap_or_default();
    snapshots.retain(|snapshot| {
        Some(snapshot.generation) != outgoing && before.generations.iter().any(|here| here.id == snapshot.generation)
    });
    if let Some(generation) = outgoing {
        // One that could not be checkpointed counts as written to just now: it may be the only one with the writes.
        let written_at = checkpointed.map_or_else(|| Some(now()), |checkpointed| checkpointed.written_at);
        snapshots.push(Snapshot { generation, left_at: now(), written_at, reason });
    }
    save_state(instance, State { format: FORMAT, live, version: VERSION.to_owned(), snapshots }).await;
}

async fn save_state(instance: &Instance, state: State) {
    if let Err(failure) = child::run::<()>(instance, Job::Save(Document::State(state))).await {
        instance.board.note(format!("supervisor/state.json could not be written: {failure}"));
    }
}

/// Removes what a failed attempt staged, if it is known that it was not committed, and returns the failure. That it could not be removed is noted: the
/// next start tries again.
pub async fn discard(instance: &Instance, incomplete: Incomplete) -> Incomplete {
    let Incomplete::Undone(failure) = incomplete else { return incomplete };
    match child::run::<View>(instance, recover(instance)).await {
        Ok(view) => view.trouble.into_iter().for_each(|trouble| instance.board.note(trouble)),
        Err(trouble) => instance.board.note(format!("what was staged could not be removed yet: {trouble}")),
    }
    Incomplete::Undone(failure)
}

impl Incomplete {
    /// Returns the failure itself.
    #[must_use]
    pub fn failure(self) -> Failure {
        match self {
            Self::Undone(failure) | Self::Unknown(failure) => failure,
        }
    }
}

/// How long the removal of what killed backups left may take.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// What is done once the app serves: state.json is brought up to date, *held* is forgotten, and snapshots that
/// are no longer kept go. None of it holds anybody up.
pub async fn tidy(instance: Rc<Instance>) {
    let tidied = async {
        let _at_work = instance.data_mutex.lock().await;
        let settings = Box::new(instance.config.backup.clone());
        let tidied = child::run::<Vec<String>>(&instance, Job::Backup(BackupJob::CleanUp { settings }));
        match within(PATIENCE, tidied).await {
            Some(trouble) => trouble?.into_iter().for_each(|trouble| instance.board.note(trouble)),
            // The next copy tidies up there, too.
            None => instance.board.note(
                "what a killed backup may have left could not be removed: backup.dir or a destination does not answer",
            ),
        }
        let view = crate::data::view::look(&instance.data)?;
        let Live::Generation(live) = view.live else { return Ok(()) };
        if instance.data.held().exists() {
            let () = child::run(&instance, Job::Save(Document::Held(None))).await?;
        }
        // An operator may have moved the link: what was live then is nobody's snapshot, and stays.
        let snapshots = view.state.as_ref().map(|state| state.snapshots.clone()).unwrap_or_default();
        let kept: Vec<Snapshot> = snapshots
            .into_iter()
            .filter(|snapshot| {
                snapshot.generation != live && view.generations.iter().any(|here| here.id == snapshot.generation)
            })
            .collect();
        let state = State { format: FORMAT, live, version: VERSION.to_owned(), snapshots: kept };
        if view.state.as_ref() != Some(&state) {
            save_state(&instance, state).await;
        }
        let snapshots = &instance.config.snapshots;
        let retired = retention::retire(&view, std::time::SystemTime::now(), snapshots.keep, snapshots.keep_written);
        if !retired.is_empty() {
            let gone: Vec<GenerationId> = child::run(&instance, Job::Retire { generations: retired }).await?;
            for generation in gone {
                tracing::info!(target: "Supervisor", "removed snapshot {generation}, which is no longer kept");
            }
        }
        Ok::<(), Failure>(())
    };
    match tidied.await {
        Ok(()) => {}
        // The supervisor was told to stop meanwhile; the next start tidies up. A job that something else has killed
        // is not passed over in silence.
        Err(failure) if failure.cause == Cause::Interrupted && *instance.stop.borrow() > 0 => {}
        Err(failure) => instance.board.note(format!("could not tidy up after the start: {failure}")),
    }
}
