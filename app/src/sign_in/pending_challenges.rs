//! Where does a ceremony wait between its question and its answer: a passkey's, or a sign-in's by a provider?
//!
//! In memory, for a time, under a random id, and for one answer only, right or wrong. Each owner (the user who
//! registers a passkey, the address that signs in) has a few; the oldest of his own goes when he begins one more, so
//! that who begins thousands ends nobody else's.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::secret::Secret;

/// So many of one owner: a family behind one address, with several tabs.
const MOST_OF_ONE: usize = 32;
/// So many of all.
const MOST: usize = 2_000;

/// Ceremonies of one kind, the oldest first.
#[derive(Debug)]
pub(crate) struct PendingChallenges<O, S> {
    /// How long each waits.
    lifetime: Duration,
    waiting: Mutex<Vec<Ceremony<O, S>>>,
}

#[derive(Debug)]
struct Ceremony<O, S> {
    id: String,
    owner: O,
    begun: Instant,
    state: S,
}

impl<O: PartialEq, S> PendingChallenges<O, S> {
    /// Returns none; each to come waits so long.
    pub(crate) fn new(lifetime: Duration) -> Self {
        Self { lifetime, waiting: Mutex::new(Vec::new()) }
    }

    /// Keeps the state of one that begins, and returns its id.
    pub(crate) fn begin(&self, now: Instant, owner: O, state: S) -> String {
        let id = Secret::token().expose().to_owned();
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.retain(|ceremony| now.saturating_duration_since(ceremony.begun) < self.lifetime);
        if waiting.iter().filter(|ceremony| ceremony.owner == owner).count() >= MOST_OF_ONE
            && let Some(oldest) = waiting.iter().position(|ceremony| ceremony.owner == owner)
        {
            waiting.remove(oldest);
        }
        if waiting.len() >= MOST {
            waiting.remove(0);
        }
        waiting.push(Ceremony { id: id.clone(), owner, begun: now, state });
        id
    }

    /// Returns whose this one is and its state, once and not too late.
    pub(crate) fn end(&self, now: Instant, id: &str) -> Option<(O, S)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let place = waiting.iter().position(|ceremony| ceremony.id == id)?;
        let ceremony = waiting.remove(place);
        (now.saturating_duration_since(ceremony.begun) < self.lifetime).then_some((ceremony.owner, ceremony.state))
    }

    /// As [`end`](Self::end), of the one whose state is the one meant; any other one goes on.
    pub(crate) fn end_where(&self, now: Instant, is_meant: impl Fn(&S) -> bool) -> Option<(O, S)> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let place = waiting.iter().position(|ceremony| is_meant(&ceremony.state))?;
        let ceremony = waiting.remove(place);
        (now.saturating_duration_since(ceremony.begun) < self.lifetime).then_some((ceremony.owner, ceremony.state))
    }

    /// Returns whether one such waits.
    pub(crate) fn any(&self, now: Instant, is_meant: impl Fn(&S) -> bool) -> bool {
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting
            .iter()
            .any(|ceremony| now.saturating_duration_since(ceremony.begun) < self.lifetime && is_meant(&ceremony.state))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIFETIME: Duration = Duration::from_secs(300);

    #[test]
    fn an_answer_is_taken_once_and_in_time() {
        let (ceremonies, now) = (PendingChallenges::new(LIFETIME), Instant::now());
        let id = ceremonies.begin(now, 1, "state");
        assert_eq!(ceremonies.end(now, "another"), None);
        assert_eq!(ceremonies.end(now, &id), Some((1, "state")));
        assert_eq!(ceremonies.end(now, &id), None);
        let late = ceremonies.begin(now, 1, "state");
        assert_eq!(ceremonies.end(now + LIFETIME, &late), None);
    }

    #[test]
    fn who_begins_thousands_ends_nobody_elses() {
        let (ceremonies, now) = (PendingChallenges::new(LIFETIME), Instant::now());
        let id = ceremonies.begin(now, 1, ());
        let flood: Vec<_> = (0..5_000).map(|_| ceremonies.begin(now, 2, ())).collect();
        assert_eq!(flood.iter().filter(|id| ceremonies.end(now, id).is_some()).count(), MOST_OF_ONE);
        assert!(ceremonies.end(now, &id).is_some());
        for owner in 0..5_000 {
            ceremonies.begin(now, owner, ());
        }
        assert_eq!(ceremonies.waiting.lock().unwrap().len(), MOST);
        ceremonies.begin(now + LIFETIME, 1, ());
        assert_eq!(ceremonies.waiting.lock().unwrap().len(), 1, "those that are over are forgotten");
    }
}
