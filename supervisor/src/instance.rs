//! What do all parts of one running supervisor share?

use std::{
    cell::{Cell, RefCell},
    ffi::{OsStr, OsString},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    time::Duration,
};

use nix::{sys::signal::Signal, unistd::Pid};
use tokio::sync::watch;

use crate::{
    config::Config,
    data::{DataDir, lock::Lock},
    failure::Failure,
    process::sandbox::{
        SandboxSupport,
        rules::{Private, Role},
    },
    process::{
        identity::IdentitySocket, launch::Confinement, listener::PublicSocket, programs::Programs, reaper::Reaper,
    },
    status::StatusPublisher,
};

/// The variables that are for any program: where programs and files of theirs lie, the language, the time zone, whom TLS
/// trusts, the way out through a proxy, and what a person sets to look for a mistake.
const FOR_ANY: &[&str] = &[
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "LANG",
    "LANGUAGE",
    "TZ",
    "TZDIR",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "NO_COLOR",
    "RUST_BACKTRACE",
    "RUST_LIB_BACKTRACE",
    "GLIBC_TUNABLES",
    // That it runs in one, and in which kind.
    "container",
];

/// Whether a variable of the supervisor's is for any program.
fn is_for_any(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let of_a_test = cfg!(feature = "faults") && (name == "HEARTH_FAULT" || name.starts_with("TEST_"));
    FOR_ANY.contains(&name) || name.starts_with("LC_") || of_a_test
}

/// How hard the stop is wanted: how many TERM, INT or QUIT have come.
pub type StopLevel = u32;

/// One data directory under one configuration, and what is open for it.
pub struct Instance {
    /// The configuration.
    pub config: Config,
    /// The data directory.
    pub data: DataDir,
    /// The programs that it starts.
    pub programs: Programs,
    /// The one reaper.
    pub reaper: Reaper,
    /// The published status.
    pub board: StatusPublisher,
    /// Held by whoever works on the data: a boot, a restore, the tidying after a start. One at a time.
    pub data_mutex: tokio::sync::Mutex<()>,
    /// What children are confined by; none before preflight has tried it out.
    pub means: Cell<SandboxSupport>,
    /// The lock, once it is taken. It is never given back before the end.
    pub lock: std::cell::OnceCell<Lock>,
    /// The public socket, once it is bound.
    pub public: RefCell<Option<PublicSocket>>,
    /// The socket of `tailscale serve`, once it is bound, if there is to be one.
    pub identity: RefCell<Option<IdentitySocket>>,
    /// The app's pid while it runs, for the signals that are passed on.
    pub app: Cell<Option<Pid>>,
    /// The signal that asked for the stop, for the app to get the same.
    pub stop_signal: Cell<Signal>,
    /// Whether a stop is wanted.
    pub stop: watch::Sender<StopLevel>,
}

impl Instance {
    /// Makes the instance of a configuration; nothing is open yet.
    #[must_use]
    pub fn new(config: Config) -> Self {
        let data = DataDir::new(config.data_dir.clone());
        let board = StatusPublisher::new(config.listen.to_string(), data.path().display().to_string());
        let programs = Programs::open(&config.migrator.command, &config.app.command);
        Self {
            config,
            data,
            programs,
            reaper: Reaper::default(),
            board,
            data_mutex: tokio::sync::Mutex::new(()),
            means: Cell::new(SandboxSupport::default()),
            lock: std::cell::OnceCell::new(),
            public: RefCell::new(None),
            identity: RefCell::new(None),
            app: Cell::new(None),
            stop_signal: Cell::new(Signal::SIGTERM),
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

    /// Returns the environment that a child starts from: what of the supervisor's own is for any program, and none of what
    /// an operator may have put there for another one (keys of a cloud, passwords).
    #[must_use]
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        std::env::vars_os().filter(|(name, _)| is_for_any(name)).collect()
    }

    /// Returns what a program is confined to that is there for this.
    #[must_use]
    pub fn confinement(&self, role: Role) -> Option<Confinement> {
        let means = self.means.get();
        let private = Private { data: self.data.clone(), backups: self.config.backup.dir.clone() };
        (means != SandboxSupport::default()).then_some(Confinement { means, role, private })
    }

    /// Returns the environment of app and migrator for this database.
    #[must_use]
    pub fn environment_for(&self, database: &Path) -> Vec<(OsString, OsString)> {
        let mut environment = self.environment();
        let mut set = |name: &str, value: OsString| environment.push((name.into(), value));
        if let Some(generation) = database.parent() {
            // SQLite's temporary files: where there is room for them, rather than in a memory file system on /tmp; and
            // it would take /var/tmp, which is closed to them, for open. They have no name, so none is left behind.
            set("SQLITE_TMPDIR", generation.into());
        }
        set("HEARTH_DATABASE", database.into());
        set("HEARTH_LOG__FORMAT", self.config.log.format.to_string().into());
        set("HEARTH_LOG__LEVEL", self.config.log.level.to_string().into());
        environment
    }

    /// Puts the public socket, and that of `tailscale serve`, right after a child that had them has ended.
    pub fn restore_listeners(&self) {
        let public = self.public.borrow_mut().as_mut().map(PublicSocket::restore_listener);
        let identity = self.identity.borrow_mut().as_mut().map(IdentitySocket::restore_listener);
        for (name, mended) in [("public socket", public), ("socket of tailscale serve", identity)] {
            match mended {
                None | Some(Ok(false)) => {}
                Some(Ok(true)) => {
                    tracing::warn!(target: "Supervisor", "the {name} was shut down by a child; it was bound anew")
                }
                Some(Err(failure)) => self.board.note(failure.to_string()),
            }
        }
    }

    /// Whether both still listen, as far as they are there.
    #[must_use]
    pub fn sockets_listen(&self) -> bool {
        self.public.borrow().as_ref().is_none_or(PublicSocket::listens)
            && self.identity.borrow().as_ref().is_none_or(IdentitySocket::listens)
    }

    /// Returns a descriptor of its own of the socket of `tailscale serve`, if there is one.
    ///
    /// # Errors
    /// When there is none to be had.
    pub fn identity_socket(&self) -> Result<Option<OwnedFd>, Failure> {
        let socket = self.identity.borrow().as_ref().map(|socket| socket.as_fd().try_clone_to_owned());
        socket.transpose().map_err(|error| Failure::io("cannot hand on the socket of tailscale serve", &error))
    }

    /// Returns how long a child has between TERM and KILL.
    #[must_use]
    pub fn grace(&self) -> Duration {
        self.config.stop.grace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_gets_what_is_for_any_program_and_no_secret() {
        for name in ["PATH", "TZ", "LC_ALL", "SSL_CERT_FILE", "https_proxy"] {
            assert!(is_for_any(OsStr::new(name)), "{name}");
        }
        for name in [
            "HEARTH_BACKUP__S3_SECRET_ACCESS_KEY",
            "HEARTH_CONFIG",
            "AWS_SECRET_ACCESS_KEY",
            "LD_PRELOAD",
            "LISTEN_FDS",
            "NOTIFY_SOCKET",
            "WATCHDOG_USEC",
            "PASSWORD",
            "path",
        ] {
            assert!(!is_for_any(OsStr::new(name)), "{name}");
        }
    }
}
