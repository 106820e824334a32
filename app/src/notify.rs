//! How does the supervisor learn that the app is ready, alive or stopping?
//!
//! systemd's notify protocol: a datagram of `KEY=value` lines to the socket that `NOTIFY_SOCKET` names.

use std::{
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    process,
    sync::Arc,
    time::Duration,
};

use crate::failure::Failure;

/// Where to tell how the app is; says nothing when nobody listens.
#[derive(Debug, Clone)]
pub(crate) struct Notifier {
    channel: Option<Arc<(UnixDatagram, SocketAddr)>>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// Returns the notifier that the environment describes.
    pub(crate) fn from_env() -> Result<Self, Failure> {
        let channel = match std::env::var("NOTIFY_SOCKET") {
            Ok(name) if !name.is_empty() => Some(Arc::new(open(&name).map_err(|error| {
                Failure::new(format!("the notify socket {name} (NOTIFY_SOCKET) cannot be used: {error}"))
            })?)),
            _ => None,
        };
        let variable = |name| std::env::var(name).ok();
        Ok(Self {
            channel,
            watchdog: watchdog(
                variable("WATCHDOG_USEC").as_deref(),
                variable("WATCHDOG_PID").as_deref(),
                process::id(),
            ),
        })
    }

    /// Says that requests can be answered.
    pub(crate) fn ready(&self, status: &str) {
        self.send(&format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// Says in a sentence what is going on.
    pub(crate) fn status(&self, status: &str) {
        self.send(&format!("STATUS={}", one_line(status)));
    }

    /// Says that the app begins to stop.
    pub(crate) fn stopping(&self) {
        self.send("STOPPING=1\nSTATUS=Finishing the requests under way");
    }

    /// Sends a heartbeat for as long as the runtime lives; returns at once when nobody wants one.
    pub(crate) async fn heartbeat(self) {
        let Some(limit) = self.watchdog else {
            return;
        };
        // A third of the limit: "at least every half" also when a beat is a little late.
        let mut beat = tokio::time::interval(limit / 3);
        beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            // A task of its own that must come to run: timers alone would beat on in a stuck runtime.
            if tokio::spawn(async {}).await.is_ok() {
                self.send("WATCHDOG=1");
            }
        }
    }

    fn send(&self, message: &str) {
        if let Some(channel) = &self.channel
            && let Err(error) = channel.0.send_to_addr(message.as_bytes(), &channel.1)
        {
            tracing::debug!("The supervisor could not be notified: {error}");
        }
    }
}

fn open(name: &str) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match name.strip_prefix('@') {
        Some(abstract_name) => SocketAddr::from_abstract_name(abstract_name)?,
        None => SocketAddr::from_pathname(name)?,
    };
    let socket = UnixDatagram::unbound()?;
    // A supervisor that does not read must not stop the app.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// The time between heartbeats that the supervisor allows, when it asks this process for them.
fn watchdog(usec: Option<&str>, pid: Option<&str>, own_pid: u32) -> Option<Duration> {
    if pid.is_some_and(|pid| pid.parse() != Ok(own_pid)) {
        return None;
    }
    let usec = usec?.parse().ok().filter(|usec| *usec > 0)?;
    Some(Duration::from_micros(usec))
}

fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_for_another_process_is_not_ours() {
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog(Some("1000000"), Some("7"), 7), second);
        assert_eq!(watchdog(Some("1000000"), None, 7), second);
        assert_eq!(watchdog(Some("1000000"), Some("8"), 7), None);
        assert_eq!(watchdog(None, Some("7"), 7), None);
        assert_eq!(watchdog(Some("0"), None, 7), None);
        assert_eq!(watchdog(Some("soon"), None, 7), None);
    }
}
