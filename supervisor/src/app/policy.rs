//! When does an app that ended start again?
//!
//! After a wait that doubles each time (with jitter, so that many machines after one power cut do not march in
//! step), and not at all once it ended too often in a short time: a crash loop. Pure: time comes in as a value.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// The numbers of the policy; see `restart.*` in the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The first wait.
    pub backoff: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// How many ends within `window` are a crash loop.
    pub attempts: u32,
    /// The window.
    pub window: Duration,
}

/// The memory of the policy.
#[derive(Debug)]
pub struct Policy {
    limits: Limits,
    ends: VecDeque<Instant>,
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Start it again after this wait.
    After(Duration),
    /// Hold.
    CrashLoop,
}

impl Policy {
    /// Makes a policy without a past.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ends: VecDeque::new() }
    }

    /// Decides after the app ended without being asked to. `jitter` is any number; its fraction of the range
    /// spreads the wait over half to the whole of its length.
    pub fn ended(&mut self, now: Instant, jitter: u32) -> Next {
        self.ends.push_back(now);
        while self.ends.front().is_some_and(|end| now.duration_since(*end) > self.limits.window) {
            self.ends.pop_front();
        }
        let count = u32::try_from(self.ends.len()).unwrap_or(u32::MAX);
        if count >= self.limits.attempts {
            return Next::CrashLoop;
        }
        let doubled = self.limits.backoff.saturating_mul(2_u32.saturating_pow(count - 1));
        let whole = doubled.min(self.limits.backoff_max);
        let half = whole / 2;
        Next::After(half + half.mul_f64(f64::from(jitter) / f64::from(u32::MAX)))
    }

    /// Within which time the ends count.
    pub fn window(&self) -> Duration {
        self.limits.window
    }

    /// How many ends are remembered within the window.
    pub fn recent(&self) -> usize {
        self.ends.len()
    }
}

/// Returns a number for [`Policy::ended`] that differs between processes and moments: the clock's nanoseconds are random enough to spread waits.
pub fn jitter() -> u32 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    now.subsec_nanos().wrapping_mul(std::process::id() | 1).wrapping_mul(2_654_435_761)
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: Limits = Limits {
        backoff: Duration::from_millis(500),
        backoff_max: Duration::from_secs(3),
        attempts: 5,
        window: Duration::from_secs(60),
    };

    #[test]
    fn waits_double_up_to_the_longest_and_then_it_is_a_crash_loop() {
        let mut policy = Policy::new(LIMITS);
        let start = Instant::now();
        let waits: Vec<Next> =
            (0..5).map(|second| policy.ended(start + Duration::from_secs(second), u32::MAX)).collect();
        let after = |millis| Next::After(Duration::from_millis(millis));
        assert_eq!(waits, [after(500), after(1000), after(2000), after(3000), Next::CrashLoop]);
    }

    #[test]
    fn jitter_takes_up_to_half_of_the_wait() {
        assert_eq!(Policy::new(LIMITS).ended(Instant::now(), 0), Next::After(Duration::from_millis(250)));
    }

    #[test]
    fn ends_far_apart_are_no_crash_loop() {
        let mut policy = Policy::new(LIMITS);
        let start = Instant::now();
        for hour in 0..100 {
            assert_eq!(policy.ended(start + Duration::from_secs(3600 * hour), u32::MAX), Next::After(LIMITS.backoff));
        }
    }
}
