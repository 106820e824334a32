//! Who waits for children?
//!
//! Only this. It collects every exit, of own children and of orphans that a PID 1 or subreaper adopts, and hands
//! a status to whoever registered that pid. Spawning and registering happen on the same thread with no await
//! between, so no status can come in before its owner is known.

use std::{cell::RefCell, collections::HashMap, fmt, rc::Rc};

use nix::{libc, sys::signal::Signal, unistd::Pid};
use tokio::sync::watch;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By this signal's number (real-time signals have no name).
    Signal(i32),
}

impl Exit {
    fn from_raw(status: i32) -> Self {
        if libc::WIFSIGNALED(status) {
            Self::Signal(libc::WTERMSIG(status))
        } else {
            // An exit code has eight bits.
            Self::Code(libc::WEXITSTATUS(status) as u8)
        }
    }

    /// Returns the exit status a shell would give: the code, or 128 + the signal's number.
    pub fn status(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(number) => u8::try_from(128 + number).unwrap_or(u8::MAX),
        }
    }

    /// Whether KILL ended it.
    pub fn killed(self) -> bool {
        self == Self::Signal(libc::SIGKILL)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exited with status {code}"),
            Self::Signal(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "was ended by {}", signal.as_str()),
                Err(_) => write!(f, "was ended by signal {number}"),
            },
        }
    }
}

/// The one reaper.
#[derive(Clone, Default)]
pub struct Reaper(Rc<RefCell<HashMap<Pid, watch::Sender<Option<Exit>>>>>);

impl Reaper {
    /// Registers a child that was just spawned; its exit is told through what this returns.
    pub fn register(&self, child: Pid) -> Exited {
        let (tell, told) = watch::channel(None);
        self.0.borrow_mut().insert(child, tell);
        Exited(told)
    }

    /// Returns the children that are registered and have not ended.
    pub fn children(&self) -> Vec<Pid> {
        self.0.borrow().keys().copied().collect()
    }

    /// Collects all that have ended. Called at each CHLD, which stands for any number of exits.
    /// Returns how many were orphans, waited for by nobody.
    pub fn reap(&self) -> usize {
        let mut orphans = 0;
        loop {
            let mut status = 0;
            // nix's waitpid loses a status whose signal it has no name for, so the system call itself.
            // SAFETY: `status` is a valid place for an int and outlives the call.
            let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
            match pid {
                0 => return orphans,
                pid if pid > 0 => match self.0.borrow_mut().remove(&Pid::from_raw(pid)) {
                    Some(owner) => {
                        owner.send_replace(Some(Exit::from_raw(status)));
                    }
                    None => orphans += 1,
                },
                _ if nix::errno::Errno::last() == nix::errno::Errno::EINTR => {}
                // ECHILD: no children at all.
                _ => return orphans,
            }
        }
    }
}

/// The exit of one child, now or later.
#[derive(Clone)]
pub struct Exited(watch::Receiver<Option<Exit>>);

impl Exited {
    /// Waits for the child's end. May be asked again.
    pub async fn wait(&mut self) -> Exit {
        match self.0.wait_for(Option::is_some).await.ok().and_then(|exit| *exit) {
            Some(exit) => exit,
            // The reaper outlives every child: it goes only when the process itself does.
            None => std::future::pending().await,
        }
    }

    /// Returns the exit if the child has ended.
    pub fn now(&self) -> Option<Exit> {
        *self.0.borrow()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_exit_is_told_as_a_shell_tells_it() {
        assert_eq!(Exit::from_raw(3 << 8).status(), 3);
        assert_eq!(Exit::from_raw(libc::SIGKILL).status(), 137);
        assert_eq!(Exit::from_raw(libc::SIGTERM).to_string(), "was ended by SIGTERM");
        assert_eq!(Exit::from_raw(40).to_string(), "was ended by signal 40");
    }
}
