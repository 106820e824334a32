//! When does the supervisor make a backup by itself?
//!
//! A job reads the schedule, the clock and the backups made so far. PID 1 only waits: until the time that the job named, and ten
//! minutes at most, since clocks are corrected and laptops sleep. A scheduled backup is then an order like the operator's.

use std::{
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

use tokio::time::sleep;

use crate::{
    control::orders::{Operation, Order, Orders},
    data::backup::Reason,
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{
        Job,
        backup::{BackupJob, BackupStatus, LOOK_AGAIN, StatusRequest},
        child,
    },
    process::deadline::within,
    status::Phase,
};

/// How soon an order that could not be taken now is given again.
const BUSY: Duration = Duration::from_secs(60);
/// How long after the end of a scheduled backup the next look comes: enough that nothing which fails at once floods the log.
const PAUSE: Duration = Duration::from_secs(20);
/// How long a look may take: a directory of thousands of backups on a slow disk.
const PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Keeps the backups, for as long as the supervisor runs.
pub async fn keep(instance: Rc<Instance>, orders: Orders) {
    let running_since = Instant::now();
    loop {
        until_serving(&instance).await;
        let look = match look(&instance, &orders, running_since).await {
            Ok(look) => look,
            Err(failure) => {
                if *instance.stop.borrow() == 0 {
                    // What cannot be told is not well.
                    let mut backups = instance.publisher.status().backups;
                    backups.trouble = vec![format!("when the next backup is due cannot be told: {failure}")];
                    instance.publisher.publish_backups(backups);
                }
                Look { wait: LOOK_AGAIN, ordered: false }
            }
        };
        let ended = async {
            // What a backup, a verification or a drill has changed is told at once.
            until_an_operation_ends(&instance).await;
            // A backup that failed so early that it could not even be written down is not begun again at once.
            if look.ordered {
                sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = sleep(look.wait) => {}
            () = ended => {}
        }
    }
}

/// What a look has led to.
struct Look {
    /// When to look again at the latest.
    wait: Duration,
    /// Whether a backup was begun.
    ordered: bool,
}

async fn look(instance: &Instance, orders: &Orders, running_since: Instant) -> Result<Look, Failure> {
    // By the clock of now: it may have been put right since the start.
    let clock = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let running_since = clock.saturating_sub(running_since.elapsed().as_secs()).try_into().unwrap_or(0);
    let question = Box::new(StatusRequest { settings: instance.config.backup.clone(), running_since });
    let asked = child::run(instance, Job::Backup(BackupJob::Status(question)));
    let backups: BackupStatus = within(PATIENCE, asked).await.ok_or_else(|| {
        let dir = instance.config.backup.dir.display();
        Failure::new(Cause::Io, format!("{dir} (backup.dir) does not answer"))
            .hint("is it a network mount whose server is gone?")
    })??;
    instance.publisher.publish_backups(backups.status);
    if !backups.due {
        let wait = backups.next_in.map_or(LOOK_AGAIN, Duration::from_secs).clamp(Duration::from_secs(1), LOOK_AGAIN);
        return Ok(Look { wait, ordered: false });
    }
    let backup = Operation::Backup { reason: Reason::Scheduled, label: None, drill: backups.drill };
    match orders.give(|reply| Order::Begin(backup, reply)).await {
        // Its end is what is waited for.
        Ok(_) => Ok(Look { wait: LOOK_AGAIN, ordered: true }),
        Err(_) => Ok(Look { wait: BUSY, ordered: false }),
    }
}

pub(super) async fn until_serving(instance: &Instance) {
    let mut changes = instance.publisher.watch();
    while instance.publisher.status().phase != Phase::Serving.name() {
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn until_an_operation_ends(instance: &Instance) {
    let ended = || {
        instance
            .publisher
            .status()
            .operation
            .filter(|operation| operation.outcome.is_some())
            .map(|operation| operation.id)
    };
    let before = ended();
    let mut changes = instance.publisher.watch();
    while ended().is_none() || ended() == before {
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
