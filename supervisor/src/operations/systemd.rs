//! What does the supervisor say of itself to systemd, where that has started it (`Type=notify`)?
//!
//! sd_notify(3): datagrams of `KEY=value` lines to the socket that `NOTIFY_SOCKET` names. `READY=1` once lock and public
//! socket are its own: from then on it does its work, also where that is an hour of migration or waiting for the operator
//! (*held*), and no time-out of the start may end it. What it does stands in `STATUS=`. `WATCHDOG=1` comes from the one
//! thread that does everything. Children inherit none of it; the app has a socket of its own (`app/notify.rs`).

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    rc::Rc,
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval, timeout};

use crate::{
    instance::Instance,
    status::{Phase, Status},
};

/// How soon a message is sent again when systemd has not read the earlier ones.
const AGAIN: Duration = Duration::from_secs(1);

/// Tells systemd that the supervisor is ready, and from then on what it does; returns at once where nobody listens.
pub fn tell(instance: &Rc<Instance>) {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let Some(address) = variable("NOTIFY_SOCKET") else { return };
    let limit = watchdog(variable("WATCHDOG_USEC").as_deref(), variable("WATCHDOG_PID").as_deref(), std::process::id());
    match Manager::open(&address) {
        Ok(manager) => {
            let manager = Rc::new(manager);
            tokio::task::spawn_local(follow(Rc::clone(instance), Rc::clone(&manager)));
            if let Some(limit) = limit {
                tokio::task::spawn_local(beat(manager, limit));
            }
        }
        Err(error) => instance.publisher.note(unheard(&error)),
    }
}

/// Where systemd listens.
struct Manager {
    socket: UnixDatagram,
    address: SocketAddr,
}

impl Manager {
    /// Opens a socket towards a path, or an abstract name that begins with `@`.
    fn open(address: &str) -> io::Result<Self> {
        let address = match address.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name)?,
            None => SocketAddr::from_pathname(address)?,
        };
        let socket = UnixDatagram::unbound()?;
        // A manager that does not read must not hold up PID 1.
        socket.set_nonblocking(true)?;
        Ok(Self { socket, address })
    }

    fn say(&self, message: &str) -> io::Result<()> {
        self.socket.send_to_addr(message.as_bytes(), &self.address).map(drop)
    }
}

fn unheard(error: &io::Error) -> String {
    format!("systemd cannot be told how it goes (NOTIFY_SOCKET): {error}")
}

/// What systemd has been told.
#[derive(Default)]
struct Told {
    ready: bool,
    stopping: bool,
    sentence: String,
}

impl Told {
    /// Returns what it has not been told yet, as a message, and what it will have been told with that.
    fn news(&self, status: &Status) -> Option<(String, Self)> {
        let now = Self {
            ready: true,
            stopping: self.stopping || status.phase == Phase::Stopping.name(),
            sentence: sentence(status),
        };
        let mut news = Vec::new();
        if now.ready != self.ready {
            news.push("READY=1".to_owned());
        }
        if now.stopping != self.stopping {
            news.push("STOPPING=1".to_owned());
        }
        if now.sentence != self.sentence {
            news.push(format!("STATUS={}", now.sentence));
        }
        (!news.is_empty()).then(|| (news.join("\n"), now))
    }
}

/// Says what the supervisor does, each time that this changes.
async fn follow(instance: Rc<Instance>, manager: Rc<Manager>) {
    let mut changes = instance.publisher.watch();
    let mut told = Told::default();
    loop {
        let mut again = None;
        if let Some((message, now)) = told.news(&instance.publisher.status()) {
            match manager.say(&message) {
                Ok(()) => told = now,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => again = Some(AGAIN),
                // Noted once; said again with the next change.
                Err(error) => instance.publisher.note(unheard(&error)),
            }
        }
        let changed = timeout(again.unwrap_or(Duration::MAX), changes.changed()).await;
        if let Ok(Err(_)) = changed {
            return;
        }
    }
}

/// Gives a sign of life, for as long as this thread comes around to it.
async fn beat(manager: Rc<Manager>, limit: Duration) {
    // sd_watchdog_enabled(3) recommends half of the limit.
    let mut beat = interval(limit / 2);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        let _ = manager.say("WATCHDOG=1");
    }
}

/// Returns how long systemd lets this process be silent, if it does watch this one.
fn watchdog(usec: Option<&str>, pid: Option<&str>, own: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own)) {
        return None;
    }
    let usec = usec?.parse().ok().filter(|&usec| usec > 1)?;
    Some(Duration::from_micros(usec))
}

/// What `systemctl status` shows, in one line: the phase, and what a person should know of it.
fn sentence(status: &Status) -> String {
    let phase = &status.phase;
    let more = match (&status.held, &status.next) {
        (Some(held), _) => format!(": {}", held.failure.message),
        (None, Some(next)) => format!(" generation {next}"),
        (None, None) if *phase == Phase::Serving.name() => format!(" on {}", status.open),
        (None, None) => String::new(),
    };
    let sentence = format!("{phase}{more}");
    sentence.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::StatusPublisher;

    #[test]
    fn each_thing_is_said_once_and_in_one_line() {
        let publisher = StatusPublisher::new("127.0.0.1:3000".into(), "/data".into());
        let (message, told) = Told::default().news(&publisher.status()).unwrap();
        assert_eq!(message, "READY=1\nSTATUS=starting");
        assert!(told.news(&publisher.status()).is_none());
        publisher.update(|status| status.open = "http://127.0.0.1:3000".to_owned());
        publisher.enter(Phase::Serving);
        let (message, told) = told.news(&publisher.status()).unwrap();
        assert_eq!(message, "STATUS=serving on http://127.0.0.1:3000");
        publisher.enter(Phase::Stopping);
        let (message, told) = told.news(&publisher.status()).unwrap();
        assert_eq!(message, "STOPPING=1\nSTATUS=stopping");
        assert!(told.news(&publisher.status()).is_none());
    }

    #[test]
    fn a_watchdog_of_another_process_is_not_ours() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), Some("7"), 7), second);
        assert_eq!(watchdog(Some("1000000"), None, 7), second);
        assert_eq!(watchdog(Some("1000000"), Some("8"), 7), None);
        assert_eq!(watchdog(None, Some("7"), 7), None);
        assert_eq!(watchdog(Some("0"), None, 7), None);
        assert_eq!(watchdog(Some("soon"), None, 7), None);
    }
}
