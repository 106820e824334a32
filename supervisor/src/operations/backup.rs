//! How is a backup made, verified and drilled, beside the serving app or without a supervisor?
//!
//! Each step is a job or a drill. Killed at any moment, none leaves anything unfinished that counts.

use std::{rc::Rc, time::Duration};

use serde_json::{Value, json};

use super::{migrate, prove};
use crate::{
    app::lifecycle::Mode,
    config::destination,
    control::orders::Identities,
    data::{
        DATABASE,
        backup::{BackupId, Reason},
        size::{Size, counted},
        state::FORMAT,
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{
        Job,
        backup::{BackupJob, Copied, Create, DrillResult, How, Made, Pruned, Verified, Verify},
        child,
    },
    status::{COPY, Phase, StorageKind, VERSION, now},
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

/// Removes what the policy does not keep; says in a sentence what came of it.
pub async fn prune(instance: &Instance, dry_run: bool) -> Result<String, Failure> {
    instance.publisher.enter(Phase::Pruning);
    let pruned: Pruned = job(instance, BackupJob::Prune { settings: Box::new(settings(instance)), dry_run }).await?;
    let gone = pruned.backups.iter().filter(|backup| backup.kept.is_empty()).count();
    let kept = pruned.backups.len() - gone;
    let word = if dry_run { "would be removed" } else { "removed" };
    publish(instance, json!({"format": FORMAT, "dry_run": dry_run, "backups": pruned.backups}));
    Ok(format!("{} {word}, {kept} kept", backups(gone)))
}

/// Makes a backup, drills it if it is to be, prunes, and brings the destinations up to date; says in a sentence what came of it.
/// The document for programs is published as the operation's result, also where something went wrong.
///
/// # Errors
/// What went wrong, and what is done nonetheless.
pub async fn back_up(
    instance: &Rc<Instance>,
    reason: Reason,
    label: Option<String>,
    drill: bool,
) -> Result<String, Failure> {
    instance.publisher.enter(Phase::BackingUp);
    let version = instance.app().version(VERSION).to_owned();
    let order = Create { settings: settings(instance), reason, label, keep: drill, version };
    let made: Made = match job(instance, BackupJob::Create(Box::new(order))).await {
        Ok(made) => made,
        Err(failure) => return Err(noted(instance, "backup", failure).await),
    };
    let mut description = made.description;
    let (id, bytes) = (description.id.clone(), description.bytes);
    for note in &made.notes {
        tracing::warn!(target: "Backup", "{note}");
    }
    tracing::info!(target: "Backup", "made and verified {} ({})", made.archive.display(), Size(bytes));
    let mut failures = Vec::new();
    let mut not_drilled = None;
    if drill {
        let drilled = self::drill(instance, &id).await;
        match &drilled {
            Drilled::Healthy => description.drilled_at = Some(now()),
            Drilled::Damaged(failure) => description.damage = Some(failure.message.clone()),
            Drilled::Not(failure) => not_drilled = Some(failure.message.clone()),
        }
        if let Some(failure) = drilled.failure() {
            failures.push(noted(instance, "drill", failure).await);
        }
    }
    instance.publisher.enter(Phase::Pruning);
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
    let elsewhere = copy(instance, &[]).await;
    failures.extend(elsewhere.failures);
    let mut sentence = format!("{id} is made and verified ({})", Size(bytes));
    if !removed.is_empty() {
        let removed: Vec<_> = removed.iter().map(BackupId::as_str).collect();
        sentence += &format!("; removed, since the policy (backup.keep_*) no longer keeps it: {}", removed.join(", "));
    }
    let mut result = json!({
        "format": FORMAT,
        "archive": made.archive,
        "backup": description,
        "destinations": elsewhere.documents,
        "removed": removed,
    });
    if let Some(why) = not_drilled {
        result["not_drilled"] = why.into();
    }
    publish(instance, result);
    if failures.is_empty() {
        return Ok(sentence);
    }
    let told: Vec<&str> = failures.iter().map(|failure| failure.message.as_str()).collect();
    // The backup is there, whatever else went wrong: no mistake of the command's.
    let told = Failure::new(Cause::Io, format!("{sentence}, but {}", told.join("; and ")));
    Err(Failure { hint: failures.into_iter().find_map(|failure| failure.hint), ..told })
}

/// What became of the copies at the destinations.
#[derive(Default)]
struct Elsewhere {
    /// For programs, one for each destination.
    documents: Vec<Value>,
    /// What was removed at any.
    removed: Vec<BackupId>,
    failures: Vec<Failure>,
}

/// Brings the destinations up to date, and removes these backups there.
async fn copy(instance: &Rc<Instance>, remove: &[BackupId]) -> Elsewhere {
    let mut elsewhere = Elsewhere::default();
    for destination in instance.config.backup.destinations.clone() {
        let name = destination::named(&destination);
        instance.publisher.enter(Phase::Copying(name.clone()));
        let copy = BackupJob::Copy { settings: Box::new(settings(instance)), destination, remove: remove.to_vec() };
        match unless_stuck(instance, job::<Copied>(instance, copy)).await {
            Ok(copied) => {
                instance.publisher.publish_trial(StorageKind::Destination, &name, None);
                tracing::info!(target: "Backup", "copied {} to {name}, removed {} there", backups(copied.copied.len()), backups(copied.removed.len()));
                let document = json!({"destination": name, "copied": copied.copied, "removed": copied.removed});
                elsewhere.documents.push(document);
                elsewhere.removed.extend(copied.removed);
            }
            Err(failure) => {
                let failure = noted(instance, &format!("{}{name}", COPY), failure).await;
                elsewhere.documents.push(json!({"destination": name, "error": failure}));
                elsewhere.failures.push(failure);
            }
        }
    }
    elsewhere
}

/// Removes these backups, here and at the destinations, whatever the policy says; says in a sentence what came of it.
///
/// # Errors
/// One that is nowhere, or another instance's; what went wrong, and what is done nonetheless.
pub async fn remove(instance: &Rc<Instance>, ids: Vec<BackupId>) -> Result<String, Failure> {
    instance.publisher.enter(Phase::Pruning);
    let order = BackupJob::Remove { settings: Box::new(settings(instance)), ids: ids.clone() };
    let mut removed: Vec<BackupId> = job(instance, order).await?;
    let elsewhere = copy(instance, &ids).await;
    removed.extend(elsewhere.removed.into_iter().filter(|id| ids.contains(id)));
    removed.sort();
    removed.dedup();
    publish(instance, json!({"format": FORMAT, "removed": removed, "destinations": elsewhere.documents}));
    let sentence = format!("removed {}", backups(removed.len()));
    if let Some(failure) = elsewhere.failures.into_iter().next() {
        let message = format!("{sentence}, but {}; remove again what may still be there", failure.message);
        return Err(Failure { message, ..failure });
    }
    match ids.iter().find(|id| !removed.contains(id)) {
        None => Ok(sentence),
        Some(nowhere) => {
            let dir = instance.config.backup.dir.display().to_string();
            let message = format!("there is no backup {nowhere} in {dir}, nor at a destination");
            let done = if removed.is_empty() { String::new() } else { format!("; {sentence}") };
            Err(Failure::new(Cause::Configuration, format!("{message}{done}"))
                .hint("supervisor backup list shows the backups there are"))
        }
    }
}

/// Gives up what has not moved for a long time: a NAS that is gone without a word, on which a process waits for ever.
async fn unless_stuck<T>(instance: &Instance, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let stuck = async {
        let mut before = instance.publisher.status().progress;
        loop {
            tokio::time::sleep(STUCK).await;
            let now = instance.publisher.status().progress;
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
            instance.publisher.note(trouble.to_string());
        }
    }
    failure
}

/// What a drill has shown.
enum Drilled {
    /// An app started from it, and was healthy.
    Healthy,
    /// What is in it cannot be used.
    Damaged(Failure),
    /// Nothing: something else was in the way.
    Not(Failure),
}

impl Drilled {
    fn failure(self) -> Option<Failure> {
        match self {
            Self::Healthy => None,
            Self::Damaged(failure) | Self::Not(failure) => Some(failure),
        }
    }
}

/// Whether this is said of the data itself: by the migrator, by the app, or by SQLite. A kill, a full disk, or an app that does
/// not get ready, says nothing of what is in a backup.
fn is_of_the_data(cause: Cause) -> bool {
    matches!(cause, Cause::Migration | Cause::Drift | Cause::Damaged | Cause::NotADatabase | Cause::Foreign)
}

/// Boots an app in private from the restored copy that the last job left, and writes down what that showed.
async fn drill(instance: &Rc<Instance>, id: &BackupId) -> Drilled {
    instance.publisher.enter(Phase::Drilling);
    let database = instance.data.scratch().join(DATABASE);
    let drilled = async {
        let app = instance.app();
        // A kept app takes its own version's database as it is; the image's migrator would make another of it.
        if app.kept().is_none() {
            migrate::up(instance, &database, Mode::Drill, &[]).await?;
        }
        prove::prove(instance, &app, &database, Mode::Drill, None).await
    };
    let drilled = match drilled.await {
        Ok(()) => Drilled::Healthy,
        Err(failure) if is_of_the_data(failure.cause) => Drilled::Damaged(
            Failure::new(failure.cause, format!("the drill failed: from {id} the app could not be started: {failure}"))
                .hint("the data in use is not touched by this; look at the log, and report it if nothing there explains it"),
        ),
        Err(failure) => Drilled::Not(
            Failure::new(failure.cause, format!("{id} could not be drilled: {failure}"))
                .hint("that says nothing of the backup, which was verified; try again with: supervisor backup verify --drill"),
        ),
    };
    // A drill that is told to stop has shown nothing, and the next start removes what it ran on.
    if *instance.stop.borrow() > 0 {
        return drilled;
    }
    let found = match &drilled {
        Drilled::Healthy => DrillResult::Healthy,
        Drilled::Damaged(failure) => DrillResult::Unfit(failure.message.clone()),
        Drilled::Not(_) => DrillResult::Nothing,
    };
    let dir = instance.config.backup.dir.clone();
    if let Err(failure) = job::<()>(instance, BackupJob::Drilled { id: id.clone(), dir, found }).await {
        return Drilled::Not(failure);
    }
    if let Drilled::Healthy = drilled {
        tracing::info!(target: "Backup", "drilled {id}: an app started from it, and was healthy");
    }
    drilled
}

/// Verifies backups, one after the other, and drills each if it is to be; says in a sentence what came of it.
///
/// # Errors
/// What is damaged, and what could not be verified or drilled.
pub async fn verify(
    instance: &Rc<Instance>,
    ids: Vec<BackupId>,
    drill: bool,
    identities: Option<Identities>,
) -> Result<String, Failure> {
    let mut verified = Vec::new();
    let mut failures: Vec<Failure> = Vec::new();
    for id in ids {
        instance.publisher.enter(Phase::Verifying);
        let order = Verify {
            settings: settings(instance),
            id: id.clone(),
            identities: identities.clone().map(|identities| identities.0),
            keep: drill,
        };
        let mut found: Verified = match job(instance, BackupJob::Verify(Box::new(order))).await {
            Ok(found) => found,
            Err(failure) => {
                failures.push(failure);
                continue;
            }
        };
        if let Some(damage) = &found.damage {
            failures.push(Failure::new(Cause::Damaged, damage.clone()).hint(
                "it is kept, and counts as no backup; make a new one with: supervisor backup, and look after the disk",
            ));
        } else if drill {
            let drilled = self::drill(instance, &id).await;
            match &drilled {
                Drilled::Healthy => found.drilled_at = Some(now()),
                Drilled::Damaged(failure) => found.damage = Some(failure.message.clone()),
                Drilled::Not(failure) => found.not_drilled = Some(failure.message.clone()),
            }
            failures.extend(drilled.failure());
        }
        verified.push(found);
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
    instance.publisher.update(|status| {
        if let Some(operation) = &mut status.operation {
            operation.result = Some(result);
        }
    });
}

/// `1 backup`, `2 backups`
fn backups(count: usize) -> String {
    counted(count as u64, "backup", "backups")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_of_the_data_itself_is_damage() {
        for cause in [Cause::Migration, Cause::Damaged, Cause::NotADatabase, Cause::Foreign, Cause::Drift] {
            assert!(is_of_the_data(cause), "{cause:?}");
        }
        for cause in [
            Cause::Unproven,
            Cause::Interrupted,
            Cause::NoSpace,
            Cause::Permission,
            Cause::Busy,
            Cause::Launch,
            Cause::Newer,
            Cause::UnknownFormat,
            Cause::Io,
            Cause::Configuration,
        ] {
            assert!(!is_of_the_data(cause), "{cause:?}");
        }
    }
}
