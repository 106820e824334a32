//! How is something looked at that may never answer?
//!
//! A call to a file system whose server is gone, or whose disk hangs, does not come back, and no timeout ends it. So it is
//! made on a thread of its own, once at a time however often it is asked for, and nobody waits for it longer than a while.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use tokio::{task::spawn_blocking, time::timeout};

/// Since when a call is under way, and what comes of it.
type PendingCall<T> = (Instant, Shared<BoxFuture<'static, Option<T>>>);

/// A call that may hang.
pub(super) struct Look<T: Clone> {
    call: Arc<dyn Fn() -> T + Send + Sync>,
    patience: Duration,
    last: Arc<Mutex<Option<PendingCall<T>>>>,
}

impl<T: Clone + Send + Sync + 'static> Look<T> {
    /// Returns a call that is waited for so long.
    pub(super) fn new(patience: Duration, call: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self { call: Arc::new(call), patience, last: Arc::default() }
    }

    /// Makes the call, or waits for the one that is under way.
    ///
    /// # Errors
    ///
    /// For how long there has been no answer.
    pub(super) async fn look(&self) -> Result<T, Duration> {
        let (since, answer) = self.under_way();
        match timeout(self.patience.saturating_sub(since.elapsed()), answer).await {
            Ok(Some(answer)) => Ok(answer),
            _ => Err(since.elapsed()),
        }
    }

    fn under_way(&self) -> PendingCall<T> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((since, answer)) = &*last
            && answer.peek().is_none()
            && answer.clone().now_or_never().is_none()
        {
            return (*since, answer.clone());
        }
        let call = self.call.clone();
        let answer = async move { spawn_blocking(move || call()).await.ok() }.boxed().shared();
        // It begins now, and not when it is first waited for.
        let _ = answer.clone().now_or_never();
        let begun = (Instant::now(), answer);
        *last = Some(begun.clone());
        begun
    }
}

impl<T: Clone> Clone for Look<T> {
    fn clone(&self) -> Self {
        Self { call: self.call.clone(), patience: self.patience, last: self.last.clone() }
    }
}

impl<T: Clone> fmt::Debug for Look<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Look").field("patience", &self.patience).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        atomic::{AtomicU32, Ordering},
        mpsc,
    };

    use super::*;

    #[tokio::test]
    async fn a_file_system_that_does_not_answer_holds_up_nothing() {
        let (answer, waits) = mpsc::channel::<u32>();
        let (waits, calls) = (Mutex::new(waits), Arc::new(AtomicU32::new(0)));
        let counted = calls.clone();
        let look = Look::new(Duration::from_millis(50), move || {
            counted.fetch_add(1, Ordering::Relaxed);
            waits.lock().unwrap().recv().unwrap()
        });
        // On one thread, which a call of its own would block: all come back, and the call is made once.
        let begun = Instant::now();
        let asked = futures_util::future::join_all((0..20).map(|_| look.look())).await;
        assert!(asked.iter().all(|answer| answer.is_err()), "{asked:?}");
        assert!(begun.elapsed() < Duration::from_secs(2));
        assert!(look.look().await.unwrap_err() >= Duration::from_millis(50));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        // It answers after all, and is asked anew.
        answer.send(7).unwrap();
        answer.send(8).unwrap();
        let answered = async {
            loop {
                if let Ok(number) = look.look().await {
                    break number;
                }
            }
        };
        let number = timeout(Duration::from_secs(30), answered).await.unwrap();
        assert!(matches!(number, 7 | 8), "{number}");
    }

    #[tokio::test]
    async fn what_answers_at_once_is_asked_each_time() {
        let calls = Arc::new(AtomicU32::new(0));
        let counted = calls.clone();
        let look = Look::new(Duration::from_secs(30), move || counted.fetch_add(1, Ordering::Relaxed));
        assert_eq!((look.look().await, look.look().await, look.look().await), (Ok(0), Ok(1), Ok(2)));
    }
}
