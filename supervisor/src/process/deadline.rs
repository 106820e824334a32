//! How is time limited in a process that may be paused itself?
//!
//! A container can be paused (`docker pause`, the cgroup freezer), all its processes stopped, a virtual machine frozen:
//! the clock goes on, and neither PID 1 nor what it waits for could do anything meanwhile. So a [`Deadline`] counts
//! only time in which this process ran. It looks at the clock a few times within its limit; when a look comes much
//! later than planned, the time since the look before does not count. What hangs after a pause is still found, one
//! limit later. (Where the machine itself sleeps, the monotonic clock stands still with it.)

use std::{future::Future, time::Duration};

use tokio::time::{Instant, sleep_until};

/// The longest time between two looks at the clock.
const LONGEST_LOOK: Duration = Duration::from_secs(1);
/// A look that is later than this was missed: a busy machine delays one by far less. (A shorter pause costs no limit
/// that anybody would set.)
const LATE: Duration = Duration::from_millis(500);

/// A limit on how long something may take while this process runs.
#[derive(Debug)]
pub struct Deadline {
    limit: Duration,
    until: Instant,
    looked: Instant,
    was_late: bool,
}

impl Deadline {
    /// Sets a deadline this far from now.
    pub fn after(limit: Duration) -> Self {
        Self::after_from(Instant::now(), limit)
    }

    fn after_from(now: Instant, limit: Duration) -> Self {
        Self { limit, until: now + limit, looked: now, was_late: false }
    }

    /// Brings it forward, if it is further away than this.
    pub fn shorten(&mut self, limit: Duration) {
        self.until = self.until.min(Instant::now() + limit);
    }

    /// Waits until it has passed. Dropped before that and called again, it goes on where it was.
    pub async fn passed(&mut self) {
        while let Some(look) = self.look(Instant::now()) {
            sleep_until(look).await;
        }
    }

    /// Looks at the clock; returns when to look again, or `None` once the deadline has passed.
    fn look(&mut self, now: Instant) -> Option<Instant> {
        let is_late = now > self.next_look() + LATE;
        // A machine on which every look is late is slow, and was not paused.
        if is_late && !self.was_late {
            self.until += now - self.looked;
        }
        self.was_late = is_late;
        self.looked = now;
        (now < self.until).then(|| self.next_look())
    }

    fn next_look(&self) -> Instant {
        self.until.min(self.looked + LONGEST_LOOK.min(self.limit / 4))
    }
}

/// Waits for `work` until a [`Deadline`]; `None` once that has passed.
pub async fn within<T>(limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let mut deadline = Deadline::after(limit);
    tokio::select! {
        biased;
        done = work => Some(done),
        () = deadline.passed() => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks at the times that the deadline asks for; stands still for a while (from, how long) on the way. Returns
    /// after how long the deadline has passed.
    fn passes(limit: Duration, pauses: &[(Duration, Duration)]) -> Duration {
        let begun = Instant::now();
        let mut deadline = Deadline::after_from(begun, limit);
        let mut pauses = pauses.iter().peekable();
        let mut now = begun;
        while let Some(next) = deadline.look(now) {
            assert!(next > now, "it does not spin");
            now = next;
            if let Some((at, length)) = pauses.next_if(|(at, _)| begun + *at <= next) {
                now = now.max(begun + *at + *length);
            }
        }
        now - begun
    }

    #[test]
    fn a_pause_of_any_length_at_any_time_leaves_what_was_left() {
        let seconds = Duration::from_secs;
        for limit in [Duration::from_millis(100), seconds(1), seconds(5), seconds(60)] {
            assert_eq!(passes(limit, &[]), limit);
            for percent in 0..=100 {
                for length in [2 * limit.max(LATE), seconds(35), seconds(86_400)] {
                    let at = limit * percent / 100;
                    let passed = passes(limit, &[(at, length)]);
                    assert!(passed >= length + limit, "{limit:?} {at:?} {length:?}: {passed:?}");
                    assert!(passed <= length + limit + LONGEST_LOOK, "{limit:?} {at:?} {length:?}: {passed:?}");
                }
            }
        }
    }

    #[test]
    fn what_hangs_is_found_on_a_machine_where_every_look_is_late() {
        let seconds = Duration::from_secs;
        for limit in [seconds(1), seconds(5), seconds(60)] {
            let begun = Instant::now();
            let mut deadline = Deadline::after_from(begun, limit);
            let mut now = begun;
            while let Some(next) = deadline.look(now) {
                now = next + LATE + Duration::from_millis(100);
            }
            assert!(now - begun <= limit + 3 * (LONGEST_LOOK + LATE), "{limit:?}: {:?}", now - begun);
        }
    }

    #[test]
    fn what_hangs_is_found_however_often_the_process_is_paused() {
        let seconds = Duration::from_secs;
        let pauses: Vec<_> = (1..=20).map(|number| (seconds(number * 40 - 37), seconds(35))).collect();
        let passed = passes(seconds(10), &pauses);
        assert!(passed < seconds(40 * 5), "{passed:?}");
    }

    #[tokio::test(flavor = "current_thread")]
    async fn within_returns_what_is_done_and_leaves_what_is_not() {
        assert_eq!(within(Duration::from_secs(60), async { 7 }).await, Some(7));
        assert_eq!(within(Duration::from_millis(1), std::future::pending::<()>()).await, None);
        // What never lets go of the thread by itself is left all the same.
        let flood = async {
            loop {
                tokio::task::yield_now().await;
            }
        };
        assert_eq!(within::<()>(Duration::from_millis(1), flood).await, None);
    }
}
