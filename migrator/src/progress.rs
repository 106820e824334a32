//! How far is a long step of a migration, and does SQLite work at all?
//!
//! A migration is given the connection and nothing else. Whoever runs it listens, and what the migration [`tell`]s reaches the
//! listener of the task it runs in, or nobody. Of a single long statement nothing can be told but that SQLite works on it (`Life`, below).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// How far a step is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The table that it goes through.
    pub table: String,
    /// The rows behind it.
    pub done: u64,
    /// All rows.
    pub of: u64,
}

tokio::task_local! {
    static LISTENER: UnboundedSender<Progress>;
}

/// Tells how far a step is. It may be told as often as it is known: whoever listens leaves out what comes too often.
pub fn tell(progress: Progress) {
    LISTENER.try_with(|listener| listener.send(progress).ok()).ok();
}

/// Returns `work`, and where to hear what it tells.
pub fn heard<T>(work: impl Future<Output = T>) -> (impl Future<Output = T>, UnboundedReceiver<Progress>) {
    let (sender, told) = unbounded_channel();
    (LISTENER.scope(sender, work), told)
}

/// What grows while SQLite works.
#[derive(Clone, Debug, Default)]
pub(crate) struct Life(Arc<AtomicU64>);

impl Life {
    /// SQLite has taken further steps.
    pub(crate) fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
