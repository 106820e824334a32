//! What can an operator order a running supervisor to do?

use tokio::sync::{mpsc, oneshot};

use crate::{data::GenerationId, failure::Failure};

/// An order, with the way to answer it.
pub enum Order {
    /// Start the app again.
    Restart(Reply),
    /// Try again what is held.
    Resume(Reply),
    /// Make a new generation from this one and go over to it.
    Restore(GenerationId, Reply),
}

/// Answers an order: that it was taken, with a sentence, or why not.
pub struct Reply(oneshot::Sender<Result<String, Failure>>);

impl Reply {
    /// The order was taken and needs no words.
    pub fn done(self) {
        self.says(Ok(String::new()));
    }

    /// Answers. That nobody waits for the answer any more changes nothing.
    pub fn says(self, answer: Result<String, Failure>) {
        let _ = self.0.send(answer);
    }
}

/// Gives orders to the run loop.
#[derive(Clone)]
pub struct Orders(mpsc::Sender<Order>);

impl Orders {
    /// Makes both ends. Few places: an order that waits is an operator that waits.
    #[must_use]
    pub fn channel() -> (Self, mpsc::Receiver<Order>) {
        let (give, take) = mpsc::channel(4);
        (Self(give), take)
    }

    /// Gives an order and waits for the answer.
    ///
    /// # Errors
    /// Why it was not taken.
    pub async fn give(&self, order: impl FnOnce(Reply) -> Order) -> Result<String, Failure> {
        let ending = || Failure::new(crate::failure::Cause::Busy, "the supervisor is stopping");
        let (reply, answer) = oneshot::channel();
        self.0.send(order(Reply(reply))).await.map_err(|_| ending())?;
        answer.await.map_err(|_| ending())?
    }
}
