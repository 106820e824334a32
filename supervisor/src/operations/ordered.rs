//! How is an operation carried out that the operator or the schedule has ordered?
//!
//! One at a time, beside whatever the supervisor does: a second one is refused and names the first.

use std::{rc::Rc, time::Duration};

use tokio::{sync::mpsc, task::JoinHandle};

use super::{backup, generation::Prepared, restore, update_check::UpdateCheck, upgrade};
use crate::{
    control::orders::{Operation, Order, Reply},
    failure::{Cause, Failure},
    instance::Instance,
    status::{OperationStatus, now},
};

/// What the phase that the supervisor is in has to answer.
pub enum Event {
    /// A restore is prepared: the app is to be stopped for it.
    Prepared(Prepared),
    /// The app is to be started again.
    Restart(Reply),
    /// What is held is to be tried again, in spite of these findings.
    Resume(Vec<String>, Reply),
    /// The upgrade was rehearsed: the app is to be stopped for it, and it may take so long.
    Upgrade(Duration),
}

/// What an operation has come to.
pub enum Ending {
    /// A restore: it can go over to this.
    Prepared(Prepared),
    /// A restore could not be prepared; nothing was changed.
    Unprepared(Failure),
    /// The upgrade was rehearsed, as a sentence says: it can go on, and may take so long.
    Rehearsed(Duration, String),
    /// Anything else: a sentence, or what went wrong.
    Ended(Result<String, Failure>),
}

/// Does an operation, and holds the mutex of the data meanwhile.
pub async fn carry_out(instance: Rc<Instance>, operation: Operation) -> Ending {
    let _data = instance.data_mutex.lock().await;
    match operation {
        Operation::Restore(from) => match restore::prepare(&instance, &from).await {
            Ok(prepared) => Ending::Prepared(prepared),
            Err(failure) => Ending::Unprepared(failure),
        },
        Operation::Rehearse { accept } => match upgrade::rehearse(&instance, accept).await {
            Ok((Some(limit), sentence)) => Ending::Rehearsed(limit, sentence),
            Ok((None, sentence)) => Ending::Ended(Ok(sentence)),
            Err(failure) => Ending::Ended(Err(failure)),
        },
        Operation::Backup { reason, label, drill } => {
            Ending::Ended(backup::back_up(&instance, reason, label, drill).await)
        }
        Operation::Verify { ids, drill, identities } => {
            Ending::Ended(backup::verify(&instance, ids, drill, identities).await)
        }
        Operation::Remove { ids } => Ending::Ended(backup::remove(&instance, ids).await),
        Operation::Prune { dry_run } => Ending::Ended(backup::prune(&instance, dry_run).await),
    }
}

/// The ordered operations.
pub struct Operations {
    instance: Rc<Instance>,
    update_check: Rc<UpdateCheck>,
    orders: mpsc::Receiver<Order>,
    under_way: Option<JoinHandle<Ending>>,
    count: u64,
}

impl Drop for Operations {
    fn drop(&mut self) {
        if let Some(under_way) = &self.under_way {
            under_way.abort();
        }
    }
}

impl Operations {
    /// Takes orders from here on.
    pub fn new(instance: &Rc<Instance>, update_check: &Rc<UpdateCheck>, orders: mpsc::Receiver<Order>) -> Self {
        let (instance, update_check) = (Rc::clone(instance), Rc::clone(update_check));
        Self { instance, update_check, orders, under_way: None, count: 0 }
    }

    /// Waits for what the phase has to answer, and does meanwhile what can be done in any. Dropped before it has
    /// something, nothing is lost.
    pub async fn next(&mut self) -> Event {
        loop {
            tokio::select! {
                biased;
                ending = ending(&mut self.under_way) => match ending {
                    Ending::Prepared(prepared) => return Event::Prepared(prepared),
                    Ending::Unprepared(failure) => restore::failed(&self.instance, failure, true),
                    Ending::Rehearsed(limit, sentence) => {
                        tracing::info!(target: "Supervisor", "rehearsed: {sentence}");
                        self.instance.publisher.end_operation(Ok(sentence));
                        return Event::Upgrade(limit);
                    }
                    Ending::Ended(outcome) => {
                        let what = self.instance.publisher.status().operation.map(|operation| operation.what);
                        let what = what.unwrap_or_default();
                        match &outcome {
                            Ok(done) => tracing::info!(target: "Backup", "{what}: {done}"),
                            Err(failure) => {
                                tracing::error!(target: "Backup", hint = failure.hint, "{what}: {failure}");
                            }
                        }
                        self.instance.publisher.end_operation(outcome);
                    }
                },
                order = self.orders.recv() => match order {
                    Some(Order::Restart(reply)) => return Event::Restart(reply),
                    Some(Order::Resume(accept, reply)) => return Event::Resume(accept, reply),
                    Some(Order::Begin(operation, reply)) => {
                        reply.says(self.begin(operation).map(|id| id.to_string()));
                    }
                    Some(Order::Update(reply)) => {
                        let (instance, check) = (Rc::clone(&self.instance), Rc::clone(&self.update_check));
                        drop(tokio::task::spawn_local(async move { reply.says(check.now(&instance).await) }));
                    }
                    // The control socket is closed only when the supervisor ends.
                    None => std::future::pending().await,
                },
            }
        }
    }

    /// Begins an operation beside whatever the supervisor does; returns its number.
    ///
    /// # Errors
    /// When another is under way, or what is to be restored is not there.
    pub fn begin(&mut self, operation: Operation) -> Result<u64, Failure> {
        if self.instance.publisher.status().operation.is_some_and(|operation| operation.outcome.is_none()) {
            return Err(self.under_way());
        }
        if let Operation::Restore(from) = &operation {
            restore::check(&self.instance, from)?;
        }
        self.count += 1;
        let status = OperationStatus {
            id: self.count,
            what: operation.what(),
            since: now(),
            phase: "starting".to_owned(),
            outcome: None,
            result: None,
        };
        self.instance.publisher.update(|publisher| publisher.operation = Some(status));
        self.under_way = Some(tokio::task::spawn_local(carry_out(Rc::clone(&self.instance), operation)));
        Ok(self.count)
    }

    /// Waits for what the operation that was begun has come to.
    pub async fn ending(&mut self) -> Ending {
        ending(&mut self.under_way).await
    }

    /// Whether an operation is under way.
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Returns the refusal of a second operation, which names the first.
    pub fn under_way(&self) -> Failure {
        let first = match self.instance.publisher.status().operation {
            Some(operation) => format!("{} is under way since {}", operation.what, operation.since),
            None => "another operation is under way".to_owned(),
        };
        Failure::new(Cause::Busy, first)
            .hint("one operation on the data at a time; supervisor status shows how far it is")
    }
}

async fn ending(under_way: &mut Option<JoinHandle<Ending>>) -> Ending {
    let Some(task) = under_way else { return std::future::pending().await };
    let ending = task.await;
    *under_way = None;
    let interrupted = |_| Ending::Ended(Err(Failure::new(Cause::Interrupted, "the operation was interrupted")));
    ending.unwrap_or_else(interrupted)
}
