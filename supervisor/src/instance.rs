//! What do all parts of one running supervisor share?

use std::{
    cell::{Cell, RefCell},
    ffi::{OsStr, OsString},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
    rc::Rc,
};

use nix::sys::signal::Signal;
use tokio::sync::watch;

use crate::{
    config::Config,
    data::{DataDir, lock::Lock, programs::Identity},
    failure::Failure,
    process::sandbox::{
        SandboxSupport,
        rules::{Private, Role},
    },
    process::{
        launch::Confinement,
        listener::ListeningSocket,
        programs::{AppProgram, Programs},
        reaper::Reaper,
    },
    status::{StatusPublisher, log},
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

/// One data directory under one configuration, and what is open for it.
pub struct Instance {
    /// The configuration.
    pub config: Config,
    /// The data directory.
    pub data: DataDir,
    /// The programs that it starts.
    pub programs: Programs,
    /// The app that serves, or is to: the image's, or a kept one in its place.
    app: RefCell<Rc<AppProgram>>,
    /// What tells its image and settings from others, once that was asked.
    pub identity: std::cell::OnceCell<Identity>,
    /// The one reaper.
    pub reaper: Reaper,
    /// The published status.
    pub publisher: StatusPublisher,
    /// Held by whoever works on the data: a boot, a restore, the tidying after a start. One at a time.
    pub data_mutex: tokio::sync::Mutex<()>,
    /// What children are confined by; none before preflight has tried it out.
    pub support: Cell<SandboxSupport>,
    /// The lock, once it is taken. It is never given back before the end.
    pub lock: std::cell::OnceCell<Lock>,
    /// The sockets that app and door accept on, by the names that they have there: `public`, once it is bound, and `tailscale`, if
    /// there is to be one.
    pub listeners: RefCell<Vec<(&'static str, ListeningSocket)>>,
    /// The signal that asked for the stop, for the app to get the same.
    pub stop_signal: Cell<Signal>,
    /// How hard a stop is wanted: how many TERM, INT or QUIT have come.
    pub stop: watch::Sender<u32>,
}

impl Instance {
    /// Makes the instance of a configuration; nothing is open yet.
    pub fn new(config: Config) -> Self {
        let data = DataDir::new(config.data_dir.clone());
        let publisher = StatusPublisher::new(config.listen.to_string(), data.path().display().to_string());
        let programs = Programs::open(&config.migrator.command, &config.app.command);
        Self {
            config,
            data,
            app: RefCell::new(Rc::clone(&programs.app)),
            programs,
            identity: std::cell::OnceCell::new(),
            reaper: Reaper::default(),
            publisher,
            data_mutex: tokio::sync::Mutex::new(()),
            support: Cell::new(SandboxSupport::default()),
            lock: std::cell::OnceCell::new(),
            listeners: RefCell::default(),
            stop_signal: Cell::new(Signal::SIGTERM),
            stop: watch::channel(0).0,
        }
    }

    /// Returns the app that serves, or is to. It is also the one for drills and restores.
    pub fn app(&self) -> Rc<AppProgram> {
        Rc::clone(&self.app.borrow())
    }

    /// Has this app serve from its next start on.
    pub fn serve_with(&self, app: &Rc<AppProgram>) {
        self.app.replace(Rc::clone(app));
    }

    /// Returns the lock's descriptors for a child to inherit.
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
    pub fn environment(&self) -> Vec<(OsString, OsString)> {
        std::env::vars_os().filter(|(name, _)| is_for_any(name)).collect()
    }

    /// Returns the settings that are this app's own. A kept program gets those that it knows, with words that it knows; of others its own
    /// default is in force.
    pub fn settings_of(&self, app: &AppProgram) -> Vec<(OsString, OsString)> {
        let known = |name: &str, text: &str| app.contract().is_none_or(|contract| contract.takes(name, text));
        let settings = self.config.for_the_app.variables();
        settings
            .into_iter()
            .filter(|(name, text)| known(name, text))
            .map(|(name, text)| (name.into(), text.into()))
            .collect()
    }

    /// Returns what a program is confined to that is there for this.
    pub fn confinement(&self, role: Role) -> Option<Confinement> {
        let support = self.support.get();
        let private = Private { data: self.data.clone(), backups: self.config.backup.dir.clone() };
        (support != SandboxSupport::default()).then_some(Confinement { support, role, private })
    }

    /// Returns the environment of app and migrator for this database.
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
        if log::has_timestamps(self.config.log.timestamps) {
            set("HEARTH_LOG__TIMESTAMPS", "always".into());
        }
        environment
    }

    /// Puts the sockets right after a child that had them has ended.
    pub fn restore_listeners(&self) {
        for (name, socket) in self.listeners.borrow_mut().iter_mut() {
            let what = if *name == "public" { "public socket" } else { "socket of tailscale serve" };
            match socket.restore() {
                Ok(false) => {}
                Ok(true) => {
                    tracing::warn!(target: "Supervisor", "the {what} was shut down by a child; it was bound anew");
                }
                Err(failure) => self.publisher.note(failure.to_string()),
            }
        }
    }

    /// Returns descriptors of their own of the sockets: nothing is borrowed while a child starts, and they may be bound anew then.
    ///
    /// # Errors
    /// When there are none to be had.
    pub fn sockets(&self) -> Result<Vec<(&'static str, OwnedFd)>, Failure> {
        let sockets = self.listeners.borrow();
        let own = sockets.iter().map(|(name, socket)| Ok((*name, socket.as_fd().try_clone_to_owned()?)));
        own.collect::<io::Result<_>>().map_err(|error| Failure::io("cannot hand on the sockets", &error))
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
