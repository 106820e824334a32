//! Whose connection ends when there are too many?
//!
//! Each connection costs memory, and before somebody is signed in anybody can open them. So strangers have a share: from one
//! address at most [`PER_ADDRESS`] connections, and of all that there may be what signed-in users leave. Behind Docker's
//! gateway or a proxy all users have one address, and a new connection is a stranger's until its first request has been
//! looked at. So a new connection is never refused: the oldest of the strangers ends, first those that are being waited for.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU8, Ordering},
    },
};

use tokio::sync::Notify;

use super::proxies::{Proxies, network};

/// How many connections strangers may have from one address. Browsers open six, and a quarter of all leaves room for others.
pub(super) const PER_ADDRESS: usize = 128;

/// What a connection is doing.
const WAITING: u8 = 0;
const ANSWERING: u8 = 1;
const SIGNED_IN: u8 = 2;

/// All connections of a server.
#[derive(Debug)]
pub(super) struct Guests {
    proxies: Proxies,
    per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    /// By the order in which they came.
    guests: HashMap<u64, Arc<Guest>>,
    next: u64,
}

/// A connection among the others.
#[derive(Debug)]
pub(crate) struct Guest {
    number: u64,
    /// None where it does not come over the network.
    network: Option<IpAddr>,
    /// Whether it counts for its address.
    is_counted: bool,
    doing: AtomicU8,
    shown_out: Notify,
}

impl Guest {
    /// Notes that the connection is a user's from now on.
    pub(crate) fn sign_in(&self) {
        self.doing.store(SIGNED_IN, Ordering::Relaxed);
    }

    /// Notes that a request has been read and is being answered.
    pub(crate) fn answer(&self) {
        self.change(WAITING, ANSWERING);
    }

    /// Notes that the response is on its way.
    pub(super) fn answered(&self) {
        self.change(ANSWERING, WAITING);
    }

    /// Waits until the connection has to make room.
    pub(super) async fn shown_out(&self) {
        self.shown_out.notified().await;
    }

    fn change(&self, from: u8, to: u8) {
        // A user's connection stays one.
        let _ = self.doing.compare_exchange(from, to, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn is_stranger(&self) -> bool {
        self.network.is_some() && self.doing.load(Ordering::Relaxed) != SIGNED_IN
    }

    /// The lower, the sooner it ends.
    fn rank(&self) -> (u8, u64) {
        (self.doing.load(Ordering::Relaxed), self.number)
    }
}

impl Guests {
    /// Returns a server's connections: none yet.
    pub(super) fn new(proxies: Proxies, per_address: usize) -> Self {
        Self { proxies, per_address, open: Mutex::default() }
    }

    /// Takes a connection in. Where its address has more than its share, the oldest stranger's from there ends.
    pub(super) fn enter(&self, address: Option<IpAddr>) -> Arc<Guest> {
        let mut open = self.open();
        let guest = Arc::new(Guest {
            number: open.next,
            network: address.map(network),
            is_counted: address.is_some_and(|address| !self.proxies.trusts(address)),
            doing: AtomicU8::new(WAITING),
            shown_out: Notify::new(),
        });
        open.next += 1;
        open.guests.insert(guest.number, guest.clone());
        if guest.is_counted {
            let from_there = |other: &Guest| other.network == guest.network && other.is_stranger();
            if open.guests.values().filter(|other| from_there(other)).count() > self.per_address {
                open.end_one(|other| from_there(other) && other.number != guest.number);
            }
        }
        guest
    }

    /// Ends a stranger's connection, of the address that has most of them.
    pub(super) fn make_room(&self) {
        let mut open = self.open();
        let mut crowds: HashMap<_, usize> = HashMap::new();
        for guest in open.guests.values().filter(|guest| guest.is_stranger()) {
            *crowds.entry(guest.network).or_default() += 1;
        }
        if let Some((crowd, _)) = crowds.into_iter().max_by_key(|(_, count)| *count) {
            open.end_one(|guest| guest.network == crowd && guest.is_stranger());
        }
    }

    /// Forgets a connection that has ended.
    pub(super) fn leave(&self, guest: &Guest) {
        self.open().guests.remove(&guest.number);
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Ends the oldest of some connections, and counts it no longer.
    fn end_one(&mut self, among: impl Fn(&Guest) -> bool) {
        let oldest = self.guests.values().filter(|guest| among(guest)).min_by_key(|guest| guest.rank()).cloned();
        if let Some(guest) = oldest {
            self.guests.remove(&guest.number);
            guest.shown_out.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const HERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1)));
    const THERE: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 2)));
    const PROXY: Option<IpAddr> = Some(IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1)));

    fn guests() -> Guests {
        Guests::new(Proxies::new(&["10.0.0.0/8".parse().unwrap()]), 3)
    }

    /// Which of these were shown out since this was asked last.
    fn out(guests: &[&Arc<Guest>]) -> Vec<usize> {
        let out = guests.iter().enumerate().filter(|(_, guest)| guest.shown_out().now_or_never().is_some());
        out.map(|(index, _)| index).collect()
    }

    #[test]
    fn the_oldest_stranger_from_an_address_makes_room_for_the_next() {
        let all = guests();
        let (a, b, c) = (all.enter(HERE), all.enter(HERE), all.enter(HERE));
        let other = all.enter(THERE);
        assert_eq!(out(&[&a, &b, &c, &other]), [0; 0]);
        // A user's own is spared, however old, and does not count.
        a.sign_in();
        let d = all.enter(HERE);
        assert_eq!(out(&[&a, &b, &c, &d, &other]), [0; 0]);
        let e = all.enter(HERE);
        assert_eq!(out(&[&a, &b, &c, &d, &e, &other]), [1]);
        // One that is being answered goes last.
        c.answer();
        let f = all.enter(HERE);
        assert_eq!(out(&[&a, &c, &d, &e, &f]), [2]);
        c.answered();
        let g = all.enter(HERE);
        assert_eq!(out(&[&a, &c, &e, &f, &g]), [1]);
        assert_eq!(out(&[&other]), [0; 0]);
        // Who leaves makes room as well.
        all.leave(&g);
        let h = all.enter(HERE);
        assert_eq!(out(&[&a, &e, &f, &h, &other]), [0; 0]);
    }

    #[test]
    fn a_believed_proxy_and_what_comes_by_no_network_have_no_share() {
        let all = guests();
        let many: Vec<_> = (0..20).flat_map(|_| [all.enter(PROXY), all.enter(None)]).collect();
        assert_eq!(out(&many.iter().collect::<Vec<_>>()), [0; 0]);
    }

    #[test]
    fn when_there_is_no_room_at_all_the_largest_crowd_makes_some() {
        let all = guests();
        let (old, a, b) = (all.enter(THERE), all.enter(HERE), all.enter(HERE));
        let local = all.enter(None);
        all.make_room();
        assert_eq!(out(&[&old, &a, &b, &local]), [1]);
        for guest in [&old, &a, &b] {
            guest.sign_in();
        }
        all.make_room();
        assert_eq!(out(&[&old, &a, &b, &local]), [0; 0], "users are never shown out");
    }

    #[test]
    fn all_of_a_customers_ipv6_addresses_are_one() {
        let all = guests();
        let from = |last: u32| all.enter(format!("2001:db8::{last}").parse().ok());
        let many: Vec<_> = (1..=4).map(from).collect();
        assert_eq!(out(&many.iter().collect::<Vec<_>>()), [0]);
    }
}
