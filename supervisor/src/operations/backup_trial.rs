//! When is it tried whether backups can be written where they are kept?
//!
//! Once the app serves, so that no start waits for a NAS, then daily, and hourly where something is wrong. A job does it for one
//! place after the other; PID 1 touches none of them. What came of it is a part of the status, and a backup's own copy counts as well.

use std::{path::Path, rc::Rc, time::Duration};

use tokio::time::sleep;

use super::backup_scheduler::until_serving;
use crate::{
    config::destination,
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Job, backup::BackupJob, child},
    process::deadline::within,
    status::{Storage, StorageKind},
};

/// How long after the start: the app has the disk to itself at first. Tests do not wait.
const FIRST: Duration = if cfg!(feature = "faults") { Duration::ZERO } else { Duration::from_secs(10) };
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How soon what was in trouble is tried again.
const AGAIN: Duration = if cfg!(feature = "faults") { Duration::from_secs(2) } else { Duration::from_secs(60 * 60) };
/// How long a trial may take. A server has given up before that; this is for a mount that never answers.
const LIMIT: Duration = if cfg!(feature = "faults") { Duration::from_secs(20) } else { Duration::from_secs(60) };

/// Tries all places, for as long as the supervisor runs.
pub async fn keep(instance: Rc<Instance>) {
    let dir = instance.config.backup.dir.display().to_string();
    let mut storage = vec![(None, Storage::new(StorageKind::Local, dir))];
    storage.extend(instance.config.backup.destinations.iter().map(|text| {
        let name = destination::named(text);
        (Some(text.clone()), Storage::new(StorageKind::Destination, name))
    }));
    instance.publisher.publish_storage(storage.iter().map(|(_, storage)| storage.clone()).collect());
    loop {
        until_serving(&instance).await;
        sleep(FIRST).await;
        let mut is_well = true;
        for (destination, Storage { kind, name, .. }) in &storage {
            let tried = try_out(&instance, destination.clone()).await;
            // A job that ends with the supervisor has shown nothing.
            if *instance.stop.borrow() > 0 {
                return;
            }
            is_well &= tried.is_ok();
            instance.publisher.publish_trial(*kind, name, tried.err().map(|failure| failure.with_hint()));
        }
        sleep(if is_well { DAY } else { AGAIN }).await;
    }
}

async fn try_out(instance: &Instance, destination: Option<String>) -> Result<(), Failure> {
    let is_directory = destination.as_ref().is_none_or(|text| Path::new(text).is_absolute());
    let settings = Box::new(instance.config.backup.clone());
    let tried = child::run(instance, Job::Backup(BackupJob::Try { settings, destination }));
    within(LIMIT, tried).await.unwrap_or_else(|| {
        let failure = Failure::new(Cause::Io, format!("it does not answer within {} s", LIMIT.as_secs()));
        Err(failure.hint(match is_directory {
            true => "is it a network mount whose server is gone?",
            false => "is the network up, and does the server answer?",
        }))
    })
}
