//! Which four steps lead to a new generation?
//!
//! Stage, migrate, prove, commit: for a first start, an upgrade and a restore alike. Until the commit's rename nothing
//! that was there before is changed, so a failure, or the end of this process, at any moment leaves everything as
//! it was. What was staged carries a marker, and the next [`Job::Recover`] removes it.

use std::rc::Rc;

use super::{migrate, prove};
use crate::{
    app::lifecycle::{Mode, end_strays},
    data::{
        GenerationId,
        state::{FORMAT, Reason, Snapshot, State},
        view::{self, Live, View},
    },
    failure::Failure,
    instance::Instance,
    jobs::{Checkpointed, Committed, Document, Finalize, Job, Origin, Source, Staged, child},
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
    reason: Reason,
    source: Source,
    target: GenerationId,
) -> Result<Prepared, Failure> {
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
    instance.publisher.enter(Phase::Migrating(target));
    let schema = migrate::up(instance, &instance.data.database(target), Mode::Probation(reason)).await?;
    Ok(Prepared { target, origin: staged.origin, reason, schema })
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
    instance.publisher.enter(Phase::Proving(target));
    tracing::info!(target: "Supervisor", "trying the app out on generation {target}");
    prove::prove(instance, &instance.data.database(target), Mode::Probation(reason)).await?;
    instance.publisher.enter(Phase::Committing(target));
    end_strays(instance).await;
    let finalize = Finalize { generation: target, reason, origin: origin.clone(), schema: schema.clone() };
    // What a first start has made nobody outside has written to, so that its database needs no process of its own, which can
    // reach nothing else.
    let finalize = if reason == Reason::FirstStart {
        Some(finalize)
    } else {
        let () = child::run(instance, Job::Finalize(finalize)).await?;
        None
    };
    let state = state_after(&view::look(&instance.data)?, target, outgoing, reason, checkpointed);
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
    State { format: FORMAT, live, version: VERSION.to_owned(), snapshots }
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
