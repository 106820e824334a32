//! May somebody try to sign in now?
//!
//! Token buckets in memory, after OWASP's "Slow Down Online Guessing Attacks with Device Cookies". A browser that has
//! signed in to an account before is a *known device* of it: it has a bucket of its own, and nothing that others do
//! slows it. Everybody else needs a token from three buckets at once: that of the address, so that one address cannot
//! try many accounts; that of the account, so that many addresses cannot try one; and that of the two together, so
//! that one address never takes more than a quarter of what an account's bucket gets back, and leaves the rest to a
//! member of the household at another address. A try that succeeds gives its tokens back. All buckets fill again by
//! themselves, so nobody is locked out for good, and nothing here needs an administrator.
//!
//! What is kept is bounded. When a kind of bucket has as many as it may, the full ones are forgotten, and if none is,
//! the fullest tenth. What an attacker gains by filling it: whoever adds buckets by the thousand has himself the
//! fullest, with one token missing each, and those go first; so the empty bucket of an account under attack stays,
//! and the addresses that he has not used up are new to Hearth the next time, which costs it the one try each that was
//! remembered. Buckets of accounts cannot be added without an address that has tokens, and those of devices not at all.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::email;
use crate::http::network;

/// How many tries at once, how long until one more, and how many such buckets are kept.
#[derive(Debug, Clone, Copy)]
struct Rate {
    burst: u32,
    every: Duration,
    most: usize,
}

const DEVICE: Rate = Rate { burst: 10, every: Duration::from_secs(30), most: 2_000 };
const ADDRESS: Rate = Rate { burst: 10, every: Duration::from_secs(6), most: 3_000 };
const ACCOUNT: Rate = Rate { burst: 20, every: Duration::from_secs(30), most: 2_000 };
const PAIR: Rate = Rate { burst: 10, every: Duration::from_secs(120), most: 3_000 };

/// Somebody who wants to try.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Attempt<'a> {
    /// Where the request comes from.
    pub(crate) address: IpAddr,
    /// The e-mail as it was typed, whether somebody has it or not.
    pub(crate) account: &'a str,
    /// The known device that it comes from, if its cookie is one of this very account's.
    pub(crate) device: Option<i64>,
}

/// The tokens that a try has taken.
#[derive(Debug)]
#[must_use = "a try that succeeds gives its tokens back by `Throttle::refund`"]
pub(crate) struct Ticket(Keys);

/// The buckets that one attempt takes from.
#[derive(Debug, Clone, Copy)]
enum Keys {
    Device(i64),
    Stranger { address: u64, account: u64, pair: u64 },
}

/// Slows down those who guess.
#[derive(Debug, Default)]
pub(crate) struct Throttle {
    /// Keyed with random numbers, so that nobody finds two e-mails that share a bucket.
    hashes: RandomState,
    buckets: Mutex<Buckets>,
}

#[derive(Debug)]
struct Buckets {
    devices: Kind<i64>,
    addresses: Kind<u64>,
    accounts: Kind<u64>,
    pairs: Kind<u64>,
}

/// Buckets of one kind, each as the moment when it will be full again; a full one needs no entry.
#[derive(Debug)]
struct Kind<K> {
    rate: Rate,
    full_at: HashMap<K, Instant>,
}

impl Throttle {
    /// Lets an attempt through, which takes its tokens, or says how long to wait before the next.
    pub(crate) fn admit(&self, now: Instant, attempt: &Attempt<'_>) -> Result<Ticket, Duration> {
        let keys = self.keys(attempt);
        let mut buckets = self.buckets();
        match keys {
            Keys::Device(device) => {
                buckets.devices.ready(now, &device)?;
                buckets.devices.take(now, device);
            }
            Keys::Stranger { address, account, pair } => {
                let waits = [
                    buckets.addresses.ready(now, &address),
                    buckets.accounts.ready(now, &account),
                    buckets.pairs.ready(now, &pair),
                ];
                if let Some(wait) = waits.into_iter().filter_map(Result::err).max() {
                    return Err(wait);
                }
                buckets.addresses.take(now, address);
                buckets.accounts.take(now, account);
                buckets.pairs.take(now, pair);
            }
        }
        Ok(Ticket(keys))
    }

    /// Gives back what a try had taken, since it was no guess.
    pub(crate) fn refund(&self, ticket: Ticket) {
        let mut buckets = self.buckets();
        match ticket.0 {
            Keys::Device(device) => buckets.devices.give(&device),
            Keys::Stranger { address, account, pair } => {
                buckets.addresses.give(&address);
                buckets.accounts.give(&account);
                buckets.pairs.give(&pair);
            }
        }
    }

    fn keys(&self, attempt: &Attempt<'_>) -> Keys {
        if let Some(device) = attempt.device {
            return Keys::Device(device);
        }
        let network = network(attempt.address);
        // What the eye or a keyboard takes for the same e-mail is the same account.
        let account = email::key(attempt.account);
        Keys::Stranger {
            address: self.hashes.hash_one(network),
            account: self.hashes.hash_one(&account),
            pair: self.hashes.hash_one((network, &account)),
        }
    }

    fn buckets(&self) -> MutexGuard<'_, Buckets> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Buckets {
    fn default() -> Self {
        Self {
            devices: Kind::new(DEVICE),
            addresses: Kind::new(ADDRESS),
            accounts: Kind::new(ACCOUNT),
            pairs: Kind::new(PAIR),
        }
    }
}

impl<K: Copy + Eq + Hash> Kind<K> {
    fn new(rate: Rate) -> Self {
        Self { rate, full_at: HashMap::new() }
    }

    /// Says whether there is a token, or how long until there is.
    fn ready(&self, now: Instant, key: &K) -> Result<(), Duration> {
        let missing = self.full_at.get(key).map_or(Duration::ZERO, |full_at| full_at.saturating_duration_since(now));
        let most = self.rate.every * (self.rate.burst - 1);
        if missing > most { Err(missing - most) } else { Ok(()) }
    }

    fn take(&mut self, now: Instant, key: K) {
        if self.full_at.len() >= self.rate.most && !self.full_at.contains_key(&key) {
            self.forget(now);
        }
        let full_at = self.full_at.entry(key).or_insert(now);
        *full_at = (*full_at).max(now) + self.rate.every;
    }

    fn give(&mut self, key: &K) {
        if let Some(full_at) = self.full_at.get_mut(key) {
            // A moment before the first that there can be is as good as full.
            match full_at.checked_sub(self.rate.every) {
                Some(earlier) => *full_at = earlier,
                None => drop(self.full_at.remove(key)),
            }
        }
    }

    /// Forgets the full ones; if there are few, the fullest tenth, so that this is seldom done.
    fn forget(&mut self, now: Instant) {
        self.full_at.retain(|_, full_at| *full_at > now);
        let tenth = self.rate.most / 10;
        let room = self.rate.most - self.full_at.len().min(self.rate.most);
        if room < tenth {
            let mut entries: Vec<_> = self.full_at.iter().map(|(key, full_at)| (*full_at, *key)).collect();
            let (fullest, _, _) = entries.select_nth_unstable_by_key(tenth - room, |(full_at, _)| *full_at);
            for (_, key) in fullest {
                self.full_at.remove(key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn at(address: u8, account: &str) -> Attempt<'_> {
        Attempt { address: Ipv4Addr::new(192, 0, 2, address).into(), account, device: None }
    }

    fn known(device: i64) -> Attempt<'static> {
        Attempt { device: Some(device), ..at(1, "anna@example.org") }
    }

    /// Returns how many of so many attempts in a row are let through.
    fn admitted(throttle: &Throttle, now: Instant, attempt: &Attempt<'_>, tries: usize) -> usize {
        (0..tries).filter(|_| throttle.admit(now, attempt).is_ok()).count()
    }

    #[test]
    fn an_address_that_floods_one_account_leaves_it_to_another_address() {
        let (throttle, start) = (Throttle::default(), Instant::now());
        let mut flooded = 0;
        for second in 0..3_600 {
            let now = start + SECOND * second;
            flooded += admitted(&throttle, now, &at(1, "anna@example.org"), 100);
            if second % 60 == 30 {
                let ticket = throttle.admit(now, &at(2, "anna@example.org")).expect("the household gets in");
                throttle.refund(ticket);
            }
        }
        assert_eq!(flooded, 10 + 29, "ten, then one each two minutes");
    }

    #[test]
    fn one_address_that_tries_many_accounts_is_slowed() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let emails: Vec<_> = (0..100).map(|number| format!("{number}@example.org")).collect();
        let through = emails.iter().filter(|email| throttle.admit(now, &at(1, email)).is_ok()).count();
        assert_eq!(through, 10);
        assert_eq!(throttle.admit(now, &at(1, "x@example.org")).unwrap_err(), ADDRESS.every);
        assert_eq!(admitted(&throttle, now + ADDRESS.every, &at(1, "x@example.org"), 5), 1);
        assert_eq!(admitted(&throttle, now, &at(2, "anna@example.org"), 5), 5, "another address does not feel it");
    }

    #[test]
    fn many_addresses_that_try_one_account_are_slowed_and_a_known_device_is_not() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let through = (0..200).filter(|address| throttle.admit(now, &at(*address, "anna@example.org")).is_ok()).count();
        assert_eq!(through, 20);
        assert_eq!(admitted(&throttle, now, &known(7), 20), 10);
        assert_eq!(admitted(&throttle, now, &known(8), 20), 10, "nor by another device");
        assert_eq!(admitted(&throttle, now, &at(250, "bo@example.org"), 5), 5, "nor does another account feel it");
    }

    #[test]
    fn a_try_that_succeeds_costs_nothing() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for attempt in [known(7), at(1, "anna@example.org")].repeat(100) {
            throttle.refund(throttle.admit(now, &attempt).unwrap());
        }
    }

    #[test]
    fn one_network_and_one_account_have_one_bucket_however_they_are_written() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        let through = (0..40u128)
            .filter(|host| {
                let address = Ipv6Addr::from_bits((0x2001_0db8_u128 << 96) | host).into();
                let account = format!("{host}@example.org");
                throttle.admit(now, &Attempt { address, account: &account, device: None }).is_ok()
            })
            .count();
        assert_eq!(through, 10);
        let phone: IpAddr = "fd7a:115c:a1e0::1".parse().unwrap();
        assert_ne!(network(phone), network("fd7a:115c:a1e0::2".parse().unwrap()), "two devices of one tailnet");
        let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped().into();
        assert_eq!(network(mapped), network(Ipv4Addr::new(192, 0, 2, 1).into()));
        assert_eq!(admitted(&throttle, now, &at(1, "anna@example.org"), 5), 5);
        assert_eq!(admitted(&throttle, now, &at(1, " Anna@Example.org"), 20), 5);
    }

    #[test]
    fn what_is_kept_is_bounded_and_the_emptiest_stay() {
        let (throttle, now) = (Throttle::default(), Instant::now());
        for address in 0..20 {
            let _ = throttle.admit(now, &at(address, "anna@example.org"));
        }
        for number in 0..50_000_u128 {
            let (address, account) = (Ipv6Addr::from_bits(number << 64).into(), &format!("{number}@example.org"));
            let _ = throttle.admit(now, &Attempt { address, account, device: None });
        }
        let buckets = throttle.buckets();
        let kept = [buckets.addresses.full_at.len(), buckets.accounts.full_at.len(), buckets.pairs.full_at.len()];
        assert!(kept.iter().sum::<usize>() <= 8_000, "{kept:?}");
        drop(buckets);
        assert!(throttle.admit(now, &at(99, "anna@example.org")).is_err(), "the account under attack is not forgotten");
    }

    /// One step of a random household and its attackers.
    #[derive(Debug, Clone)]
    struct Step {
        wait: u64,
        address: u8,
        account: usize,
        device: Option<i64>,
        right: bool,
    }

    const EMAILS: [&str; 3] = ["anna@example.org", "bo@example.org", "nobody@example.org"];

    impl Step {
        fn attempt(&self) -> Attempt<'static> {
            Attempt { device: self.device, ..at(self.address, EMAILS[self.account]) }
        }
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step =
            (0..20_000_u64, 0..4_u8, 0..EMAILS.len(), prop::option::weighted(0.2, 0..2_i64), prop::bool::weighted(0.1))
                .prop_map(|(wait, address, account, device, right)| Step { wait, address, account, device, right });
        // Bursts and pauses.
        prop::collection::vec((step, prop::bool::ANY), 1..400).prop_map(|steps| {
            steps.into_iter().map(|(step, burst)| Step { wait: step.wait * u64::from(!burst), ..step }).collect()
        })
    }

    /// Plays steps and returns when which of those that take tokens for good were let through, and all decisions.
    fn play<'a>(start: Instant, steps: impl Iterator<Item = (u64, &'a Step)>) -> (Throttle, Vec<(u64, Step, bool)>) {
        let throttle = Throttle::default();
        let mut decisions = Vec::new();
        for (moment, step) in steps {
            let ticket = throttle.admit(start + Duration::from_millis(moment), &step.attempt());
            decisions.push((moment, step.clone(), ticket.is_ok()));
            match ticket {
                Ok(ticket) if step.right => throttle.refund(ticket),
                _ => {}
            }
        }
        (throttle, decisions)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn nobody_guesses_faster_than_promised_and_nobody_is_locked_out(steps in steps()) {
            let start = Instant::now();
            let mut moment = 0;
            let timed: Vec<_> = steps.iter().map(|step| { moment += step.wait; (moment, step) }).collect();
            let (throttle, decisions) = play(start, timed.iter().copied());

            // Wrong guesses in any window are at most the burst and what has come back in it.
            let guesses = |of: &dyn Fn(&Step) -> bool, rate: Rate| {
                let times: Vec<_> = decisions.iter().filter(|(_, step, through)| *through && !step.right && of(step)).map(|(at, ..)| *at).collect();
                times.iter().enumerate().all(|(first, from)| times[first..].iter().enumerate().all(|(more, to)| {
                    let back = (to - from) / u64::try_from(rate.every.as_millis()).unwrap_or(u64::MAX);
                    more as u64 <= u64::from(rate.burst) + back
                }))
            };
            for address in 0..4 {
                prop_assert!(guesses(&|step| step.device.is_none() && step.address == address, ADDRESS));
                for account in 0..EMAILS.len() {
                    prop_assert!(guesses(&|step| step.device.is_none() && step.account == account && step.address == address, PAIR));
                }
            }
            for account in 0..EMAILS.len() {
                prop_assert!(guesses(&|step| step.device.is_none() && step.account == account, ACCOUNT));
            }

            // A known device is decided as if it were alone.
            for device in 0..2 {
                let alone = play(start, timed.iter().copied().filter(|(_, step)| step.device == Some(device))).1;
                let among = decisions.iter().filter(|(_, step, _)| step.device == Some(device)).map(|(.., through)| *through);
                prop_assert!(among.eq(alone.iter().map(|(.., through)| *through)));
            }

            // Whoever waits as long as he is told gets in, and that is never long.
            for step in &steps {
                let now = start + Duration::from_millis(moment);
                if let Err(wait) = throttle.admit(now, &step.attempt()) {
                    prop_assert!(wait <= PAIR.every, "{wait:?}");
                    prop_assert!(play(start, timed.iter().copied()).0.admit(now + wait, &step.attempt()).is_ok());
                    break;
                }
            }
        }
    }
}
