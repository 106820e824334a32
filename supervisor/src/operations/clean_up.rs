//! What can wait until the app serves?
//!
//! `state.json` is brought up to date, `held.json` is removed, and so is what killed backups left and each snapshot that is no
//! longer kept.

use std::{
    rc::Rc,
    time::{Duration, SystemTime},
};

use crate::{
    data::{
        GenerationId, retention,
        state::{FORMAT, State},
        view::{self, Live},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Document, Job, backup::BackupJob, child},
    process::deadline::within,
    status::VERSION,
};

/// How long the removal of what killed backups left may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Cleans up after a start, or a restore without a supervisor.
pub async fn clean_up(instance: Rc<Instance>) {
    match try_to(&instance).await {
        Ok(()) => {}
        // The supervisor was told to stop meanwhile; the next start cleans up. A job that something else has killed
        // is not passed over in silence.
        Err(failure) if failure.cause == Cause::Interrupted && *instance.stop.borrow() > 0 => {}
        Err(failure) => instance.publisher.note(format!("could not clean up after the start: {failure}")),
    }
}

async fn try_to(instance: &Rc<Instance>) -> Result<(), Failure> {
    let _data = instance.data_mutex.lock().await;
    let settings = Box::new(instance.config.backup.clone());
    let removed = child::run::<Vec<String>>(instance, Job::Backup(BackupJob::CleanUp { settings }));
    match within(PATIENCE, removed).await {
        Some(trouble) => trouble?.into_iter().for_each(|trouble| instance.publisher.note(trouble)),
        // The next copy cleans up there, too.
        None => instance.publisher.note(
            "what a killed backup may have left could not be removed: backup.dir or a destination does not answer",
        ),
    }
    let view = view::look(&instance.data)?;
    let Live::Generation(live) = view.live else { return Ok(()) };
    if instance.data.held().exists() {
        let () = child::run(instance, Job::Save(Document::Held(None))).await?;
    }
    // An operator may have moved the link: what was live then is nobody's snapshot, and stays.
    let mut snapshots = view.state.as_ref().map(|state| state.snapshots.clone()).unwrap_or_default();
    snapshots.retain(|snapshot| {
        snapshot.generation != live && view.generations.iter().any(|here| here.id == snapshot.generation)
    });
    let state = State { format: FORMAT, live, version: instance.app().version(VERSION).to_owned(), snapshots };
    if view.state.as_ref() != Some(&state)
        && let Err(failure) = child::run::<()>(instance, Job::Save(Document::State(state))).await
    {
        instance.publisher.note(format!("supervisor/state.json could not be written: {failure}"));
    }
    let snapshots = &instance.config.snapshots;
    let generations = retention::retire(&view, SystemTime::now(), snapshots.keep, snapshots.keep_written);
    if !generations.is_empty() {
        let gone: Vec<GenerationId> = child::run(instance, Job::Retire { generations }).await?;
        for generation in gone {
            tracing::info!(target: "Supervisor", "removed snapshot {generation}, which is no longer kept");
        }
    }
    Ok(())
}
