//! How is a backup made, or data restored, while no supervisor runs?
//!
//! By the command itself, under the lock: the same four steps.

use std::rc::Rc;

use super::{backup, decide, generation, ordered, start};
use crate::{
    config::Config,
    control::orders::{From, Work},
    data::{
        GenerationId,
        state::Reason,
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Job, child},
    process::signals,
    status::{Initiator, Operation, Status, now},
};

/// Has a job done that only looks: without the lock, beside a supervisor that may be running, confined like one of its own.
///
/// # Errors
/// What the job says.
pub fn look<T: serde::de::DeserializeOwned>(config: Config, job: Job) -> Result<T, Failure> {
    let signals = |done: std::io::Result<()>| done.map_err(|error| Failure::io("cannot block signals", &error));
    signals(signals::block())?;
    let found = super::on_this_thread(async move {
        let instance = Rc::new(Instance::new(config));
        super::take_signals(&instance)?;
        tokio::select! {
            biased;
            () = instance.stopping() => Err(Failure::new(Cause::Interrupted, "interrupted; nothing was changed")),
            found = async {
                start::confinement(&instance).await?;
                child::run(&instance, job).await
            } => found,
        }
    });
    signals(signals::unblock())?;
    found
}

/// Restores; returns the number of the new live generation.
///
/// # Errors
/// What went wrong; everything is as it was then.
pub fn restore(config: Config, from: From) -> Result<GenerationId, Failure> {
    super::on_this_thread(async move {
        let instance = Rc::new(Instance::new(config));
        super::take_signals(&instance)?;
        tokio::select! {
            biased;
            () = instance.stopping() => Err(interrupted(&instance)),
            restored = under_the_lock(&instance, from) => restored,
        }
    })
}

async fn under_the_lock(instance: &Rc<Instance>, from: From) -> Result<GenerationId, Failure> {
    let view = begin(instance).await?;
    if let From::Snapshot(snapshot) = from {
        ordered::restorable(&view, snapshot)?;
    }
    let restored = async {
        let target = decide::next(&view)?;
        let source = backup::source(instance, &from);
        let prepared = generation::prepare(instance, Initiator::Boot, Reason::Restore, source, target).await?;
        super::go_over(instance, &prepared).await
    }
    .await;
    match restored {
        Ok(generation) => {
            generation::tidy(Rc::clone(instance)).await;
            Ok(generation)
        }
        Err(incomplete) => Err(generation::discard(instance, incomplete).await.failure()),
    }
}

/// Makes, verifies or prunes backups; returns what came of it, and the document for programs. `tell` is called with each step
/// and how far it is.
///
/// # Errors
/// What went wrong, and what is done nonetheless.
pub fn work(
    config: Config,
    work: Work,
    tell: impl Fn(&Status) + 'static,
) -> (Result<String, Failure>, Option<serde_json::Value>) {
    let done = super::on_this_thread(async move {
        let instance = Rc::new(Instance::new(config));
        super::take_signals(&instance)?;
        let done = async {
            begin(&instance).await?;
            crate::app::lifecycle::end_strays(&instance).await;
            let operation = Operation {
                id: 1,
                what: work.what(),
                since: now(),
                phase: "starting".to_owned(),
                outcome: None,
                result: None,
            };
            instance.board.update(|status| status.operation = Some(operation));
            let mut changes = instance.board.watch();
            let told = async {
                while changes.changed().await.is_ok() {
                    tell(&instance.board.status());
                }
                std::future::pending::<()>().await;
            };
            tokio::select! {
                done = backup::work(&instance, work) => done,
                () = told => Err(interrupted(&instance)),
            }
        };
        let done = tokio::select! {
            biased;
            () = instance.stopping() => {
                Err(Failure::new(Cause::Interrupted, "interrupted; what was not finished counts for nothing, and goes with the next backup or start"))
            }
            done = done => done,
        };
        Ok((done, instance.board.status().operation.and_then(|operation| operation.result)))
    });
    done.unwrap_or_else(|failure| (Err(failure), None))
}

/// Takes the lock, and puts right what killed steps left.
async fn begin(instance: &Rc<Instance>) -> Result<View, Failure> {
    start::check_settings(instance).await?;
    start::preflight(instance).await?;
    generation::recovered(instance).await
}

/// Says what a Ctrl-C came to: before the commit everything is as it was, and after it nothing takes it back.
fn interrupted(instance: &Instance) -> Failure {
    let live = match view::live(&instance.data) {
        Ok(Live::Generation(live)) => format!("generation {live} is live"),
        _ => "there is no live generation".to_owned(),
    };
    Failure::new(Cause::Interrupted, format!("interrupted; {live}"))
        .hint("what was not finished goes at the next start; restore again if that is not the generation you wanted")
}
