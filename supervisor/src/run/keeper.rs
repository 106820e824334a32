//! When does the supervisor make a backup by itself?
//!
//! Schedule, clock and what was made so far are looked at by a job, so that PID 1 only waits: until the time that the job
//! named, or ten minutes, since clocks are put right and laptops sleep. A backup by schedule is then an order like the
//! operator's.

use std::{rc::Rc, time::Duration};

use tokio::time::sleep;

use super::work;
use crate::{
    backup::Reason,
    control::orders::{Order, Orders, Work},
    failure::Failure,
    instance::Instance,
    jobs::{
        Job,
        backup::{self as jobs, outlook::LOOK_AGAIN, outlook::Outlook},
        child,
    },
    phase::Phase,
};

/// How soon an order that could not be taken now is given again.
const BUSY: Duration = Duration::from_secs(60);

/// Keeps the backups, for as long as the supervisor runs.
pub async fn keep(instance: Rc<Instance>, orders: Orders) {
    let mut said: Option<Failure> = None;
    loop {
        until_serving(&instance).await;
        let wait = match look(&instance, &orders).await {
            Ok(wait) => {
                said = None;
                wait
            }
            Err(failure) => {
                if said.as_ref() != Some(&failure) && *instance.stop.borrow() == 0 {
                    instance.board.note(format!("when the next backup is due cannot be told: {failure}"));
                }
                said = Some(failure);
                LOOK_AGAIN
            }
        };
        tokio::select! {
            () = sleep(wait) => {}
            // What a backup, a verification or a drill has changed is told at once.
            () = until_an_operation_ends(&instance) => {}
        }
    }
}

async fn look(instance: &Instance, orders: &Orders) -> Result<Duration, Failure> {
    let question = Box::new(work::question(instance, false));
    let outlook: Outlook = child::run(instance, Job::Backup(jobs::Job::Outlook(question))).await?;
    instance.board.tell_backups(outlook.status);
    if !outlook.due {
        return Ok(outlook.next_in.map_or(LOOK_AGAIN, Duration::from_secs).clamp(Duration::from_secs(1), LOOK_AGAIN));
    }
    let backup = Work::Backup { reason: Reason::Scheduled, label: None, drill: outlook.drill };
    match orders.give(|reply| Order::Work(backup, reply)).await {
        // Its end is what is waited for.
        Ok(_) => Ok(LOOK_AGAIN),
        Err(_) => Ok(BUSY),
    }
}

async fn until_serving(instance: &Instance) {
    let mut changes = instance.board.watch();
    while instance.board.status().phase != Phase::Serving.name() {
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn until_an_operation_ends(instance: &Instance) {
    let ended = || {
        instance.board.status().operation.filter(|operation| operation.outcome.is_some()).map(|operation| operation.id)
    };
    let before = ended();
    let mut changes = instance.board.watch();
    while ended().is_none() || ended() == before {
        if changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
