//! Where do the operator's orders come in, and what becomes of a restore meanwhile?
//!
//! One operation on the data at a time: a second one is refused and names the first.

use std::rc::Rc;

use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    boot::{
        decide,
        steps::{self, Prepared},
    },
    control::orders::Order,
    data::{
        GenerationId,
        state::Reason,
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    phase::{Course, Operation, Outcome, Phase, now},
};

/// What comes to the run loop from outside.
pub enum Event {
    /// An order of the operator.
    Order(Order),
    /// A restore is prepared, or could not be.
    Prepared(Result<Prepared, Failure>),
}

/// The desk.
pub struct Desk {
    orders: mpsc::Receiver<Order>,
    preparing: Option<JoinHandle<Result<Prepared, Failure>>>,
    count: u64,
}

impl Drop for Desk {
    fn drop(&mut self) {
        if let Some(preparing) = &self.preparing {
            preparing.abort();
        }
    }
}

impl Desk {
    /// Opens the desk.
    #[must_use]
    pub fn new(orders: mpsc::Receiver<Order>) -> Self {
        Self { orders, preparing: None, count: 0 }
    }

    /// Waits for the next event. Dropped before it has one, nothing is lost.
    pub async fn next(&mut self) -> Event {
        let preparing = &mut self.preparing;
        tokio::select! {
            biased;
            prepared = async { match preparing { Some(preparing) => preparing.await, None => std::future::pending().await } } => {
                self.preparing = None;
                Event::Prepared(prepared.unwrap_or_else(|_| Err(Failure::new(Cause::Interrupted, "the restore was interrupted"))))
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
            Order::Restore(snapshot, reply) => reply.says(self.begin(instance, snapshot)),
            Order::Restart(reply) => reply.says(refused("restart")),
            Order::Resume(reply) => reply.says(refused("resume")),
        }
    }

    /// Whether a restore is being prepared.
    #[must_use]
    pub fn is_preparing(&self) -> bool {
        self.preparing.is_some()
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

    /// Begins to prepare a restore beside whatever the supervisor does.
    fn begin(&mut self, instance: &Rc<Instance>, snapshot: GenerationId) -> Result<String, Failure> {
        let status = instance.board.status();
        if let Some(operation) = status.operation.filter(|operation| operation.outcome.is_none()) {
            return Err(Failure::new(
                Cause::Busy,
                format!("{} is under way since {}", operation.what, operation.since),
            )
            .hint("one operation on the data at a time; supervisor status shows how far it is"));
        }
        let view = view::look(&instance.data)?;
        restorable(&view, snapshot)?;
        let target = decide::next(&view)?;
        self.count += 1;
        let operation = Operation {
            id: self.count,
            what: format!("restore {snapshot}"),
            since: now(),
            phase: Phase::Staging(target).name().to_owned(),
            outcome: None,
        };
        tracing::info!(target: "Supervisor", "restoring snapshot {snapshot} as generation {target}, as the operator asked");
        instance.board.update(|status| status.operation = Some(operation));
        let instance = Rc::clone(instance);
        self.preparing = Some(tokio::task::spawn_local(async move {
            let _at_work = instance.at_work.lock().await;
            match steps::prepare(&instance, Course::Operation, Reason::Restore, Some(snapshot), target).await {
                Ok(prepared) => Ok(prepared),
                Err(failure) => Err(steps::discard(&instance, failure.into()).await.failure()),
            }
        }));
        Ok(self.count.to_string())
    }

    /// Writes down what came of the operation under way.
    pub fn finish(&mut self, instance: &Instance, outcome: Result<String, Failure>) {
        match &outcome {
            Ok(done) => tracing::info!(target: "Supervisor", "restored: {done}"),
            Err(failure) => {
                tracing::error!(target: "Supervisor", hint = failure.hint, "the restore failed, and everything is as it was: {failure}");
            }
        }
        instance.board.update(|status| {
            if let Some(operation) = &mut status.operation {
                operation.outcome = Some(match outcome {
                    Ok(done) => Outcome::Done(done),
                    Err(failure) => Outcome::Failed(failure),
                });
            }
        });
    }
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
