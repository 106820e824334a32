//! Which sign-ins were begun and are not finished yet?

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use openidconnect::{CsrfToken, Nonce, PkceCodeVerifier};

/// How long somebody may take at the provider.
pub(super) const WITHIN: Duration = Duration::from_secs(10 * 60);
/// How many there can be; whoever asks for more pushes the oldest out.
const MOST: usize = 1000;

/// What has to be known when the browser comes back.
pub(super) struct Login {
    pub(super) state: CsrfToken,
    pub(super) nonce: Nonce,
    pub(super) verifier: PkceCodeVerifier,
    /// Where they wanted to go: kept here, so that nothing of it goes by the provider.
    pub(super) next: String,
}

/// Those that were begun, by what the browser keeps of them.
#[derive(Default)]
pub(super) struct Pending(Mutex<HashMap<String, (Instant, Login)>>);

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending(…)")
    }
}

impl Pending {
    /// Keeps a sign-in, and returns what the browser keeps: 256 random bits.
    pub(super) fn keep(&self, login: Login, now: Instant) -> String {
        let id = CsrfToken::new_random_len(32).into_secret();
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        logins.retain(|_, (begun, _)| now.duration_since(*begun) < WITHIN);
        if logins.len() >= MOST
            && let Some(oldest) = logins.iter().min_by_key(|(_, (begun, _))| *begun).map(|(id, _)| id.clone())
        {
            logins.remove(&oldest);
        }
        logins.insert(id.clone(), (now, login));
        id
    }

    /// Returns a sign-in, for the first and last time.
    pub(super) fn take(&self, id: &str, now: Instant) -> Option<Login> {
        let mut logins = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (begun, login) = logins.remove(id)?;
        (now.duration_since(begun) < WITHIN).then_some(login)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login() -> Login {
        Login {
            state: CsrfToken::new_random(),
            nonce: Nonce::new_random(),
            verifier: PkceCodeVerifier::new("verifier".to_owned()),
            next: "/".to_owned(),
        }
    }

    #[test]
    fn a_sign_in_is_good_for_one_try_within_ten_minutes() {
        let pending = Pending::default();
        let now = Instant::now();
        let id = pending.keep(login(), now);
        assert_eq!(id.len(), 43);
        assert!(pending.take("", now).is_none());
        assert!(pending.take(&id, now).is_some());
        assert!(pending.take(&id, now).is_none());

        let id = pending.keep(login(), now);
        assert!(pending.take(&id, now + WITHIN).is_none());
    }

    #[test]
    fn there_are_never_more_than_fit() {
        let pending = Pending::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let first = pending.keep(login(), at(0));
        let second = pending.keep(login(), at(1));
        for _ in 0..MOST - 1 {
            pending.keep(login(), at(2));
        }
        assert_eq!(pending.0.lock().unwrap().len(), MOST);
        assert!(pending.take(&first, at(2)).is_none());
        assert!(pending.take(&second, at(2)).is_some());
        pending.keep(login(), at(2) + WITHIN);
        assert_eq!(pending.0.lock().unwrap().len(), 1);
    }
}
