//! How far is work that has several parts?
//!
//! Each part has its share of the whole time. What is told only grows, and reaches the whole only when the work has ended,
//! so that nobody waits at 100 %.

use std::{
    panic::resume_unwind,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

/// How often a part is told of that cannot say itself how far it is.
const OFTEN: Duration = Duration::from_millis(250);

/// The parts of one piece of work, told of as bytes.
pub(super) struct Parts<'a> {
    tell: &'a mut dyn FnMut(u64, u64),
    begun: Instant,
    bytes: u64,
    /// The share of the parts before.
    before: f64,
    told: u64,
}

impl<'a> Parts<'a> {
    /// Begins work on so many bytes; 0 where the first part tells of how many.
    pub(super) fn begin(bytes: u64, tell: &'a mut dyn FnMut(u64, u64)) -> Self {
        Self { tell, begun: Instant::now(), bytes, before: 0.0, told: 0 }
    }

    /// Does a part that tells itself how far it is.
    pub(super) fn part<T>(&mut self, share: f64, work: impl FnOnce(&mut dyn FnMut(u64, u64)) -> T) -> T {
        let done = work(&mut |done, total| {
            if self.bytes == 0 {
                self.bytes = total;
            }
            let part = if total == 0 { 1.0 } else { done.min(total) as f64 / total as f64 };
            self.tell_of(self.before + share * part);
        });
        self.before += share;
        done
    }

    /// Does a part that cannot tell how far it is, beside a look at the clock: it is expected to take as long for its share as the parts
    /// before it took for theirs. The thread that does it has the sandbox of this one.
    pub(super) fn untold<T: Send>(&mut self, share: f64, work: impl FnOnce() -> T + Send) -> T {
        let so_far = self.begun.elapsed().as_secs_f64();
        let expected = (so_far * share / self.before.max(0.01)).max(0.1);
        let begun = Instant::now();
        let (give, take) = mpsc::channel();
        let done = thread::scope(|scope| {
            let worker = scope.spawn(move || {
                let _ = give.send(work());
            });
            loop {
                match take.recv_timeout(OFTEN) {
                    Ok(done) => return done,
                    Err(RecvTimeoutError::Timeout) => {
                        self.tell_of(self.before + share * guess(begun.elapsed().as_secs_f64() / expected));
                    }
                    // It has not come to its end: neither does this.
                    Err(RecvTimeoutError::Disconnected) => match worker.join() {
                        Ok(()) => unreachable!("it gives what it has done before it ends"),
                        Err(panic) => resume_unwind(panic),
                    },
                }
            }
        });
        self.before += share;
        done
    }

    fn tell_of(&mut self, part: f64) {
        let done = (self.bytes as f64 * part) as u64;
        // Not all of it: that is the end.
        let done = done.clamp(self.told, self.bytes.saturating_sub(1).max(self.told));
        self.told = done;
        if self.bytes > 0 {
            (self.tell)(done, self.bytes);
        }
    }
}

/// Returns how much of a part is done after this many times of what it is expected to take: as expected for the first half, then ever
/// more slowly, and never all of it.
fn guess(times: f64) -> f64 {
    if times < 0.5 { times } else { 1.0 - 0.25 / times }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_grows_and_is_never_the_whole_before_the_end() {
        let mut told = Vec::new();
        let mut tell = |done, total| told.push((done, total));
        let mut parts = Parts::begin(1000, &mut tell);
        parts.part(0.5, |tell| [0, 30, 60].into_iter().for_each(|done| tell(done, 60)));
        // Another attempt begins anew.
        parts.part(0.2, |tell| [0, 1].into_iter().for_each(|done| tell(done, 1)));
        let slept = parts.untold(0.3, || {
            thread::sleep(3 * OFTEN);
            7
        });
        assert_eq!(slept, 7);
        assert_eq!(told[..5], [(0, 1000), (250, 1000), (500, 1000), (500, 1000), (700, 1000)]);
        assert!(told.len() >= 7, "{told:?}");
        assert!(told.is_sorted() && told.iter().all(|(done, _)| *done < 1000), "{told:?}");
    }

    #[test]
    fn what_takes_longer_than_expected_moves_on_without_an_end() {
        let guesses: Vec<f64> = (0..100).map(|tenths| guess(f64::from(tenths) / 10.0)).collect();
        assert!(guesses.is_sorted() && guesses.iter().all(|part| *part < 0.98), "{guesses:?}");
        assert_eq!([0.0, 0.4, 0.5, 1.0, 2.0].map(guess), [0.0, 0.4, 0.5, 0.75, 0.875]);
    }
}
