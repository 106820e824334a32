//! What do all parts of one running supervisor share?

use std::{
    cell::{Cell, RefCell},
    ffi::{OsStr, OsString},
    os::fd::BorrowedFd,
    path::Path,
    time::Duration,
};

use nix::{sys::signal::Signal, unistd::Pid};
use tokio::sync::watch;

use crate::{
    config::Config,
    data::{DataDir, lock::Lock},
    door::listener::PublicSocket,
    init::reaper::Reaper,
    phase::Board,
};

/// How hard the stop is wanted: how many TERM, INT or QUIT have come.
pub type StopLevel = u32;

/// One data directory under one configuration, and what is open for it.
pub struct Instance {
    /// The configuration.
    pub config: Config,
    /// The data directory.
    pub data: DataDir,
    /// The one reaper.
    pub reaper: Reaper,
    /// The published status.
    pub board: Board,
    /// Held by whoever works on the data: a boot, a restore, the tidying after a start. One at a time.
    pub at_work: tokio::sync::Mutex<()>,
    /// The lock, once it is taken. It is never given back before the end.
    pub lock: std::cell::OnceCell<Lock>,
    /// The public socket, once it is bound.
    pub public: RefCell<Option<PublicSocket>>,
    /// The app's pid while it runs, for the signals that are passed on.
    pub app: Cell<Option<Pid>>,
    /// The signal that asked for the stop, for the app to get the same.
    pub stop_signal: Cell<Signal>,
    /// When it began to run.
    pub running_since: std::time::Instant,
    /// Whether a stop is wanted.
    pub stop: watch::Sender<StopLevel>,
}

impl Instance {
    /// Makes the instance of a configuration; nothing is open yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let data = DataDir::new(config.data_dir.clone());
        let board = Board::new(config.listen.to_string(), data.path().display().to_string());
        Self {
            config,
            data,
            reaper: Reaper::default(),
            board,
            at_work: tokio::sync::Mutex::new(()),
            lock: std::cell::OnceCell::new(),
            public: RefCell::new(None),
            app: Cell::new(None),
            stop_signal: Cell::new(Signal::SIGTERM),
            running_since: std::time::Instant::now(),
            stop: watch::channel(0).0,
        }
    }

    /// Returns the lock's descriptors for a child to inherit.
    #[must_use]
    pub fn locks(&self) -> Vec<BorrowedFd<'_>> {
        self.lock.get().map(Lock::descriptors).unwrap_or_default()
    }

    /// Returns once a stop is wanted.
    pub async fn stopping(&self) {
        // The sender is in this very instance, so it cannot be closed.
        let _ = self.stop.subscribe().wait_for(|level| *level > 0).await;
    }

    /// Returns the environment that a child starts from: the supervisor's own, without what speaks to the
    /// supervisor alone.
    #[must_use]
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        let own = |name: &OsStr| {
            let name = name.as_encoded_bytes();
            name.starts_with(b"HEARTH_") && !(cfg!(feature = "faults") && name == b"HEARTH_FAULT")
                || name.starts_with(b"LISTEN_")
                || name.starts_with(b"WATCHDOG_")
                || name == b"NOTIFY_SOCKET"
        };
        std::env::vars_os().filter(|(name, _)| !own(name)).collect()
    }

    /// Returns the environment of app and migrator for this database.
    #[must_use]
    pub fn environment_for(&self, database: &Path) -> Vec<(OsString, OsString)> {
        let mut environment = self.environment();
        let mut set = |name: &str, value: OsString| environment.push((name.into(), value));
        set("HEARTH_DATABASE", database.into());
        set("HEARTH_LOG__FORMAT", self.config.log.format.to_string().into());
        set("HEARTH_LOG__LEVEL", self.config.log.level.to_string().into());
        environment
    }

    /// Puts the public socket right after a child that had it has ended.
    pub fn mend_public(&self) {
        if let Some(public) = self.public.borrow_mut().as_mut() {
            match public.mend() {
                Ok(false) => {}
                Ok(true) => {
                    tracing::warn!(target: "Supervisor", "the public socket was shut down by a child; it was bound anew")
                }
                Err(failure) => self.board.note(failure.to_string()),
            }
        }
    }

    /// Returns how long a child has between TERM and KILL.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.config.stop.grace
    }
}
