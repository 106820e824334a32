//! What can be waited for and done with a supervisor that was started.

use std::{
    fs,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ExitStatus},
    thread,
    time::{Duration, Instant},
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;

use super::{Hearth, LIMIT, holders};

/// A supervisor that was started.
pub struct Running {
    /// The process that was started: the supervisor, or what wraps it.
    pub child: Child,
    /// Its standard error.
    pub log: PathBuf,
    /// Whether the process that was started is a wrapper, and the supervisor its child.
    pub wrapped: bool,
    pub(super) data: PathBuf,
}

impl Running {
    /// Its pid.
    pub fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"))
    }

    /// What it has written.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Waits until its log holds these words.
    pub fn wait_for_log(&self, words: &str) {
        self.wait(&format!("{words:?} in the log"), || self.log().contains(words).then_some(()));
    }

    /// Waits for something, and shows the log when it does not come.
    pub fn wait<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(Instant::now() < until, "waited {LIMIT:?} for {what}; the log:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Waits for something that is found with the process itself at hand, whether it still runs or not.
    pub fn wait_with<T>(&mut self, what: &str, mut look: impl FnMut(&mut Self) -> Option<T>) -> T {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(Instant::now() < until, "waited {LIMIT:?} for {what}; the log:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Returns the address it said last that it serves on.
    pub fn address(&self) -> Option<SocketAddr> {
        let log = self.log();
        let (_, rest) = log.rsplit_once("[Supervisor] serving on http://")?;
        address(rest)
    }

    /// Waits until it serves; returns its address.
    pub fn wait_serving(&mut self) -> SocketAddr {
        self.wait_for_address("[Supervisor] serving on http://")
    }

    /// Waits until it is held; returns its address and the status.
    pub fn wait_held(&mut self, hearth: &Hearth) -> (SocketAddr, Value) {
        let status = self.wait_alive("held", |_| hearth.status().filter(|status| status["phase"] == "held"));
        let address = status["listen"].as_str().expect("an address").parse().expect("an address");
        (address, status)
    }

    fn wait_for_address(&mut self, words: &str) -> SocketAddr {
        self.wait_alive(words, |log| {
            let (_, rest) = log.rsplit_once(words)?;
            address(rest)
        })
    }

    fn wait_alive<T>(&mut self, what: &str, mut look: impl FnMut(&str) -> Option<T>) -> T {
        let until = Instant::now() + LIMIT;
        loop {
            let log = self.log();
            if let Some(found) = look(&log) {
                return found;
            }
            if let Some(status) = self.child.try_wait().expect("the supervisor can be waited for") {
                panic!("the supervisor ended ({status}) before: {what}; its log:\n{log}");
            }
            assert!(Instant::now() < until, "waited {LIMIT:?} for {what}; the log:\n{log}");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        kill(self.pid(), signal).expect("the supervisor is there");
    }

    /// Waits for its end.
    pub fn wait_end(&mut self) -> ExitStatus {
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = self.child.try_wait().expect("the supervisor can be waited for") {
                return status;
            }
            assert!(Instant::now() < until, "the supervisor has not ended; its log:\n{}", self.log());
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// TERM, and waits for its end.
    pub fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait_end()
    }

    /// Whether any process has this data directory's lock open.
    pub fn anyone_left(&self) -> bool {
        holders(&self.data.join("supervisor/lock")) > 0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address at the beginning of a text, by whatever name of this machine.
fn address(text: &str) -> Option<SocketAddr> {
    let word = text.split([' ', ',', '\n']).next()?;
    word.replace("localhost:", "127.0.0.1:").parse().ok()
}
