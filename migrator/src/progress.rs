//! How do people learn how far a long step of a migration is?
//!
//! A migration is given the connection and nothing else. Whoever runs it listens, and what the migration [`tell`]s reaches the
//! listener of the task it runs in, or nobody.

use std::pin::pin;

use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

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

/// Tells how far a step is.
pub fn tell(progress: Progress) {
    LISTENER.try_with(|listener| listener.send(progress).ok()).ok();
}

/// Carries out `work` and gives `each` what it tells meanwhile.
pub async fn listen<T>(work: impl Future<Output = T>, mut each: impl FnMut(Progress)) -> T {
    let (sender, mut told) = unbounded_channel();
    let mut work = pin!(LISTENER.scope(sender, work));
    loop {
        tokio::select! {
            biased;
            Some(progress) = told.recv() => each(progress),
            done = &mut work => {
                while let Ok(progress) = told.try_recv() {
                    each(progress);
                }
                return done;
            }
        }
    }
}
