//! What does an operation on the data do, step by step, beside the serving app or without a supervisor?
//!
//! Each step is a job, or a drill: killed at any moment, none leaves anything half-done that counts.

use std::{
    rc::Rc,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{migrate, prove};
use crate::{
    app::lifecycle::Mode,
    config::destination,
    control::orders::{From, Identities, Work},
    data::{
        backup::{BackupId, Description, Reason},
        size::Size,
        state::FORMAT,
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{
        Job, Source,
        backup::{self, BackupJob, Copied, Create, DrillResult, How, Made, Pruned, StatusRequest, Verified, Verify},
        child,
    },
    status::now,
};

/// How long a copy may stand still. A server that does not answer is given up after minutes; this is for what even a
/// system call does not come back from.
const STUCK: Duration = Duration::from_secs(30 * 60);

/// Runs a job of the backups'.
async fn job<T: serde::de::DeserializeOwned>(instance: &Instance, job: BackupJob) -> Result<T, Failure> {
    child::run(instance, Job::Backup(job)).await
}

fn settings(instance: &Instance) -> crate::config::Backup {
    instance.config.backup.clone()
}

/// Returns what a restore stages.
#[must_use]
pub fn source(instance: &Instance, from: &From) -> Source {
    match from {
        From::Snapshot(generation) => Source::Generation(*generation),
        From::Archive(archive) => Source::Archive { archive: archive.clone(), settings: Box::new(settings(instance)) },
    }
}

/// Does what is no restore, and says in a sentence what came of it; the document for programs is published as the operation's
/// result, also where something went wrong. Whoever calls holds [`Instance::data_mutex`], or the lock alone.
///
/// # Errors
/// What went wrong, and what is done nonetheless.
pub async fn work(instance: &Rc<Instance>, work: Work) -> Result<String, Failure> {
    match work {
        Work::Backup { reason, label, drill } => backup(instance, reason, label, drill).await,
        Work::Verify { ids, drill, identities } => verify_all(instance, ids, drill, identities).await,
        Work::Prune { dry_run } => {
            instance.board.step("pruning");
            let settings = Box::new(settings(instance));
            let pruned: Pruned = job(instance, BackupJob::Prune { settings, dry_run }).await?;
            let gone = pruned.backups.iter().filter(|backup| backup.kept.is_empty()).count();
            let kept = pruned.backups.len() - gone;
            let word = if dry_run { "would be removed" } else { "removed" };
            publish(instance, json!({"format": FORMAT, "dry_run": dry_run, "backups": pruned.backups}));
            Ok(format!("{} {word}, {kept} kept", backups(gone)))
        }
        Work::Restore(_) => Err(Failure::new(Cause::Configuration, "a restore is no work of this kind")),
    }
}

/// Makes a backup, drills it if it is to be, prunes, and brings the destinations up to date.
async fn backup(
    instance: &Rc<Instance>,
    reason: Reason,
    label: Option<String>,
    drill: bool,
) -> Result<String, Failure> {
    instance.board.step("backing-up");
    let order = Create { settings: settings(instance), reason, label, keep: drill };
    let made: Made = match job(instance, BackupJob::Create(Box::new(order))).await {
        Ok(made) => made,
        Err(failure) => return Err(noted(instance, "backup", failure).await),
    };
    let Description { id, bytes, .. } = made.description.clone();
    for note in &made.notes {
        tracing::warn!(target: "Backup", "{note}");
    }
    tracing::info!(target: "Backup", "made and verified {} ({})", made.archive.display(), Size(bytes));
    let mut failures = Vec::new();
    let mut drilled_at = None;
    if drill {
        match self::drill(instance, &id).await {
            Ok(()) => drilled_at = Some(now()),
            Err(failure) => failures.push(noted(instance, "drill", failure).await),
        }
    }
    instance.board.step("pruning");
    let mut removed = Vec::new();
    let prune = BackupJob::Prune { settings: Box::new(settings(instance)), dry_run: false };
    match job::<Pruned>(instance, prune).await {
        Ok(pruned) => {
            for backup in pruned.backups.iter().filter(|backup| backup.kept.is_empty()) {
                tracing::info!(target: "Backup", "removed {}, which is no longer kept", backup.id);
                removed.push(backup.id.clone());
            }
        }
        Err(failure) => failures.push(noted(instance, "prune", failure).await),
    }
    let mut destinations = Vec::new();
    for destination in instance.config.backup.destinations.clone() {
        let name = destination::named(&destination);
        let what = format!("{}{name}", backup::COPY);
        instance.board.step(&format!("copying to {name}"));
        let copy = BackupJob::Copy { settings: Box::new(settings(instance)), destination };
        match unless_stuck(instance, job::<Copied>(instance, copy)).await {
            Ok(copied) => {
                tracing::info!(target: "Backup", "copied {} to {name}, removed {} there", backups(copied.copied.len()), backups(copied.removed.len()));
                destinations.push(json!({"destination": name, "copied": copied.copied, "removed": copied.removed}));
            }
            Err(failure) => {
                let failure = noted(instance, &what, failure).await;
                destinations.push(json!({"destination": name, "error": failure}));
                failures.push(failure);
            }
        }
    }
    let mut description = made.description;
    description.drilled_at = drilled_at;
    let mut sentence = format!("{id} is made and verified ({})", Size(bytes));
    if !removed.is_empty() {
        let removed: Vec<_> = removed.iter().map(BackupId::as_str).collect();
        sentence += &format!("; removed, since the policy (backup.keep_*) no longer keeps it: {}", removed.join(", "));
    }
    let result = json!({
        "format": FORMAT,
        "archive": made.archive,
        "backup": description,
        "destinations": destinations,
        "removed": removed,
    });
    publish(instance, result);
    if failures.is_empty() {
        return Ok(sentence);
    }
    let told: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
    // The backup is there, whatever else went wrong: no mistake of the command's.
    let told = Failure::new(Cause::Io, format!("{sentence}, but {}", told.join("; and ")));
    Err(Failure { hint: failures.into_iter().find_map(|failure| failure.hint), ..told })
}

/// Gives up what has not moved for a long time: a NAS that is gone without a word, on which a process waits for ever.
async fn unless_stuck<T>(instance: &Instance, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let stuck = async {
        let mut before = instance.board.status().progress;
        loop {
            tokio::time::sleep(STUCK).await;
            let now = instance.board.status().progress;
            if now == before {
                return;
            }
            before = now;
        }
    };
    tokio::select! {
        done = work => done,
        () = stuck => Err(Failure::new(
            Cause::Interrupted,
            format!("nothing has moved for {} minutes, so it was given up", STUCK.as_secs() / 60),
        )
        .hint("is the destination there, and does it answer? The next backup catches up with what is missing")),
    }
}

/// Writes down, for `status` and for the next start, what is wrong, and returns it.
async fn noted(instance: &Instance, what: &str, failure: Failure) -> Failure {
    // Told to stop is nothing that is wrong.
    if *instance.stop.borrow() == 0 {
        let note = BackupJob::Note { what: what.to_owned(), trouble: failure.with_hint() };
        let noted: Result<(), Failure> = job(instance, note).await;
        if let Err(trouble) = noted {
            instance.board.note(trouble.to_string());
        }
    }
    failure
}

/// Boots an app in private from the restored copy that the last job left, and writes down what that showed.
async fn drill(instance: &Rc<Instance>, id: &BackupId) -> Result<(), Failure> {
    instance.board.step("drilling");
    let database = instance.data.scratch().join(crate::data::DATABASE);
    let drilled = async {
        migrate::up(instance, &database, Mode::Drill).await?;
        prove::prove(instance, &database, Mode::Drill).await
    }
    .await;
    let found = match &drilled {
        Ok(()) => DrillResult::Healthy,
        // What the migrator, the app or the database itself has to say; not that something was killed or the disk is full.
        Err(failure)
            if matches!(failure.cause, Cause::Migration | Cause::Unproven | Cause::Damaged | Cause::NotADatabase) =>
        {
            DrillResult::Unfit(format!("the app could not be started from it: {failure}"))
        }
        Err(_) => DrillResult::Nothing,
    };
    // A drill that is told to stop has shown nothing, and the next start removes what it ran on.
    if *instance.stop.borrow() == 0 {
        let dir = instance.config.backup.dir.clone();
        let () = job(instance, BackupJob::Drilled { id: id.clone(), dir, found }).await?;
    }
    match drilled {
        Ok(()) => {
            tracing::info!(target: "Backup", "drilled {id}: an app started from it, and was healthy");
            Ok(())
        }
        Err(failure) => Err(Failure::new(
            failure.cause,
            format!("the drill failed: from {id} the app could not be started: {failure}"),
        )
        .hint("the data in use is not touched by this; look at the log, and report it if nothing there explains it")),
    }
}

async fn verify_all(
    instance: &Rc<Instance>,
    ids: Vec<BackupId>,
    drill: bool,
    identities: Option<Identities>,
) -> Result<String, Failure> {
    let mut verified = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    for id in ids {
        instance.board.step("verifying");
        let order = Verify {
            settings: settings(instance),
            id: id.clone(),
            identities: identities.clone().map(|identities| identities.0),
            keep: drill,
        };
        let found: Result<Verified, Failure> = job(instance, BackupJob::Verify(Box::new(order))).await;
        match found {
            Ok(mut found) => {
                match &found.damage {
                    Some(damage) => {
                        let damaged = if damage.contains("is damaged") {
                            damage.clone()
                        } else {
                            format!("the backup {id} is damaged: {damage}")
                        };
                        failures.push(Failure::new(Cause::Damaged, damaged).hint(
                            "it is kept, and counts as no backup; make a new one with: supervisor backup, and look after the disk",
                        ));
                    }
                    None if drill => match self::drill(instance, &id).await {
                        Ok(()) => found.drilled_at = Some(now()),
                        Err(failure) => {
                            found.damage = Some(failure.message.clone());
                            failures.push(failure);
                        }
                    },
                    None => {}
                }
                verified.push(found);
            }
            Err(failure) => failures.push(failure),
        }
    }
    publish(instance, json!({"format": FORMAT, "backups": verified}));
    let count = verified.len();
    match (failures.len(), failures.into_iter().next()) {
        (0, _) | (_, None) => {
            let what = if drill { "verified and booted from" } else { "verified" };
            let by_hash = verified.iter().filter(|found| found.how == How::Hash).count();
            let how = match by_hash {
                0 => "",
                _ if by_hash == count => " by the hash of the encrypted file (in full: --identity FILE)",
                _ => ", the encrypted ones by the hash of the file (in full: --identity FILE)",
            };
            let which = match &verified[..] {
                [one] => format!("1 backup {what}: {}", one.id),
                _ => format!("{} {what}", backups(count)),
            };
            Ok(format!("{which}{how}"))
        }
        (1, Some(failure)) => Err(failure),
        (more, Some(failure)) => {
            let message = format!("{more} backups could not be verified; the first: {}", failure.message);
            Err(Failure { message, ..failure })
        }
    }
}

/// Publishes the document of the operation, which a command prints with `--json`.
fn publish(instance: &Instance, result: Value) {
    instance.board.update(|status| {
        if let Some(operation) = &mut status.operation {
            operation.result = Some(result);
        }
    });
}

/// `1 backup`, `2 backups`
fn backups(count: usize) -> String {
    format!("{count} {}", if count == 1 { "backup" } else { "backups" })
}

/// Returns the question of when a backup is due.
#[must_use]
pub fn question(instance: &Instance) -> StatusRequest {
    // By the clock of now: it may have been put right since the start.
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let running_since = clock.saturating_sub(instance.running_since.elapsed().as_secs()).try_into().unwrap_or(0);
    StatusRequest { settings: settings(instance), running_since }
}
