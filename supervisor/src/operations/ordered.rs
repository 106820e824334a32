//! Where do the operator's orders come in, and what becomes of an operation meanwhile?
//!
//! One operation on the data at a time: a second one is refused and names the first.

use std::rc::Rc;

use tokio::{sync::mpsc, task::JoinHandle};

use super::{
    backup, decide,
    generation::{self, Prepared},
    update_check,
};
use crate::{
    control::orders::{From, Order, Work},
    data::{
        GenerationId,
        state::Reason,
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    status::{Initiator, Operation, Outcome, now},
};

/// What comes to the run loop from outside.
pub enum Event {
    /// An order of the operator.
    Order(Order),
    /// A restore is prepared: the app is to be stopped for it.
    Prepared(Prepared),
    /// An operation has come to its end, a restore in failure.
    Ended(Result<String, Failure>),
}

/// The desk.
pub struct Desk {
    orders: mpsc::Receiver<Order>,
    under_way: Option<JoinHandle<Event>>,
    count: u64,
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(under_way) = &self.under_way {
            under_way.abort();
        }
    }
}

impl Desk {
    /// Opens the desk.
    #[must_use]
    pub fn new(orders: mpsc::Receiver<Order>) -> Self {
        Self { orders, under_way: None, count: 0 }
    }

    /// Waits for the next event. Dropped before it has one, nothing is lost.
    pub async fn next(&mut self) -> Event {
        let under_way = &mut self.under_way;
        tokio::select! {
            biased;
            event = async { match under_way { Some(under_way) => under_way.await, None => std::future::pending().await } } => {
                self.under_way = None;
                event.unwrap_or_else(|_| Event::Ended(Err(Failure::new(Cause::Interrupted, "the operation was interrupted"))))
            }
            order = self.orders.recv() => match order {
                Some(order) => Event::Order(order),
                // The control socket is closed only when the supervisor ends.
                None => std::future::pending().await,
            },
        }
    }

    /// Takes an order that can be taken at any time, and answers it; refuses the others.
    pub fn take(&mut self, instance: &Rc<Instance>, order: Order) {
        let refused = |what: &str| Err(Failure::new(Cause::Busy, format!("cannot {what} now; see supervisor status")));
        match order {
            Order::Work(work, reply) => reply.says(self.begin(instance, work)),
            Order::Update(reply) => {
                let instance = Rc::clone(instance);
                drop(tokio::task::spawn_local(async move { reply.says(update_check::check(&instance).await) }));
            }
            Order::Restart(reply) => reply.says(refused("restart")),
            Order::Resume(reply) => reply.says(refused("resume")),
        }
    }

    /// Whether an operation is under way.
    #[must_use]
    pub fn is_at_work(&self) -> bool {
        self.under_way.is_some()
    }

    /// Returns the refusal of a second operation, which names the first.
    #[must_use]
    pub fn under_way(&self, instance: &Instance) -> Failure {
        let first = match instance.board.status().operation {
            Some(operation) => format!("{} is under way since {}", operation.what, operation.since),
            None => "another operation is under way".to_owned(),
        };
        Failure::new(Cause::Busy, first)
            .hint("one operation on the data at a time; supervisor status shows how far it is")
    }

    /// Begins an operation beside whatever the supervisor does; returns its number.
    fn begin(&mut self, instance: &Rc<Instance>, work: Work) -> Result<String, Failure> {
        if instance.board.status().operation.is_some_and(|operation| operation.outcome.is_none()) {
            return Err(self.under_way(instance));
        }
        let what = work.what();
        let (phase, under_way) = match work {
            Work::Restore(from) => ("staging", self::prepare(instance, from)?),
            work => ("starting", self::work(instance, work)),
        };
        self.count += 1;
        let operation =
            Operation { id: self.count, what, since: now(), phase: phase.to_owned(), outcome: None, result: None };
        instance.board.update(|status| status.operation = Some(operation));
        self.under_way = Some(under_way);
        Ok(self.count.to_string())
    }

    /// Writes down what came of the operation under way.
    pub fn finish(&mut self, instance: &Instance, outcome: Result<String, Failure>) {
        let what = instance.board.status().operation.map(|operation| operation.what).unwrap_or_default();
        let is_restore = what.starts_with("restore");
        match &outcome {
            Ok(done) if is_restore => tracing::info!(target: "Supervisor", "restored: {done}"),
            Ok(done) => tracing::info!(target: "Backup", "{what}: {done}"),
            Err(failure) if is_restore => {
                tracing::error!(target: "Supervisor", hint = failure.hint, "the restore failed, and everything is as it was: {failure}");
            }
            Err(failure) => tracing::error!(target: "Backup", hint = failure.hint, "{what}: {failure}"),
        }
        instance.board.update(|status| {
            status.progress = None;
            if let Some(operation) = &mut status.operation {
                operation.outcome = Some(outcome.map_or_else(Outcome::Failed, Outcome::Done));
            }
        });
    }
}

/// Begins to prepare a restore.
fn prepare(instance: &Rc<Instance>, from: From) -> Result<JoinHandle<Event>, Failure> {
    let view = view::look(&instance.data)?;
    if let From::Snapshot(snapshot) = from {
        restorable(&view, snapshot)?;
    }
    let target = decide::next(&view)?;
    match &from {
        From::Snapshot(snapshot) => {
            tracing::info!(target: "Supervisor", "restoring snapshot {snapshot} as generation {target}, as the operator asked");
        }
        From::Archive(archive) => {
            tracing::info!(target: "Supervisor", "restoring the backup {} as generation {target}, as the operator asked", archive.place);
        }
    }
    let instance = Rc::clone(instance);
    Ok(tokio::task::spawn_local(async move {
        let _at_work = instance.data_mutex.lock().await;
        let source = backup::source(&instance, &from);
        match generation::prepare(&instance, Initiator::Operation, Reason::Restore, source, target).await {
            Ok(prepared) => Event::Prepared(prepared),
            Err(failure) => Event::Ended(Err(generation::discard(&instance, failure.into()).await.failure())),
        }
    }))
}

/// Begins anything else.
fn work(instance: &Rc<Instance>, work: Work) -> JoinHandle<Event> {
    let instance = Rc::clone(instance);
    tokio::task::spawn_local(async move {
        let _at_work = instance.data_mutex.lock().await;
        Event::Ended(backup::work(&instance, work).await)
    })
}

/// Says whether this generation can be restored.
///
/// # Errors
/// A sentence why not.
pub fn restorable(view: &View, snapshot: GenerationId) -> Result<(), Failure> {
    let refuse = |message: String| {
        Err(Failure::new(Cause::Configuration, message).hint("supervisor snapshot list shows the snapshots there are"))
    };
    if view.live == Live::Generation(snapshot) {
        return refuse(format!("generation {snapshot} is the live one; there is nothing to restore"));
    }
    match view.generations.iter().find(|generation| generation.id == snapshot) {
        Some(generation) if !generation.staging && generation.database => Ok(()),
        Some(_) => refuse(format!("generation {snapshot} is not complete")),
        None => refuse(format!("there is no snapshot {snapshot}")),
    }
}
