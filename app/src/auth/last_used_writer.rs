//! How is it kept when a session or a token was used last, without a request waiting for the disk?
//!
//! Written in passing: each at most once at a time, and not for a while after a write failed. A full disk must neither
//! keep anybody from reading nor fill the log.

use std::{
    collections::HashSet,
    future::Future,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::db::DbError;

/// How long nothing is tried after a failure.
const PAUSE: Duration = Duration::from_secs(60);

/// What was used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Used {
    Session(i64),
    Token(i64),
}

/// The writes that nobody waits for.
#[derive(Debug, Default)]
pub(crate) struct InPassing(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    under_way: HashSet<Used>,
    failed: Option<Instant>,
}

impl InPassing {
    /// Writes that something was used, unless that is being written already or could not be a moment ago.
    pub(crate) fn write<F>(&self, used: Used, write: F)
    where
        F: Future<Output = Result<(), DbError>> + Send + 'static,
    {
        let mut state = lock(&self.0);
        let paused = state.failed.is_some_and(|failed| failed.elapsed() < PAUSE);
        if paused || !state.under_way.insert(used) {
            return;
        }
        drop(state);
        let shared = self.0.clone();
        tokio::spawn(async move {
            let outcome = write.await;
            let mut state = lock(&shared);
            state.under_way.remove(&used);
            state.failed = outcome.is_err().then(Instant::now);
        });
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn each_is_written_once_at_a_time_and_not_right_after_a_failure() {
        let (passing, writes) = (InPassing::default(), Arc::new(AtomicU32::new(0)));
        let write = |outcome: Result<(), DbError>| {
            let writes = writes.clone();
            async move {
                tokio::task::yield_now().await;
                writes.fetch_add(1, Ordering::Relaxed);
                outcome
            }
        };
        let settled = || async {
            while !lock(&passing.0).under_way.is_empty() {
                tokio::task::yield_now().await;
            }
        };
        for _ in 0..5 {
            passing.write(Used::Session(1), write(Ok(())));
            passing.write(Used::Token(1), write(Ok(())));
        }
        settled().await;
        assert_eq!(writes.load(Ordering::Relaxed), 2);
        passing.write(Used::Session(1), write(Err(DbError::Full)));
        settled().await;
        passing.write(Used::Session(1), write(Ok(())));
        settled().await;
        assert_eq!(writes.load(Ordering::Relaxed), 3);
    }
}
