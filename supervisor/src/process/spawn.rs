//! How does the supervisor start a child?
//!
//! It starts itself as `launch` with a plan, the descriptors at their places, and waits until the exec has
//! succeeded or a sentence has come back. Dropping a [`Child`] that still runs kills its process group, so an
//! abandoned step leaves nothing behind.

use std::{
    ffi::{CString, OsString},
    io,
    os::{
        fd::{AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
};

use nix::{
    errno::Errno,
    fcntl::{FcntlArg, OFlag, fcntl},
    spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn},
    sys::{
        resource::{Resource, getrlimit, setrlimit},
        signal::{SigSet, Signal, kill, killpg},
    },
    unistd::{Pid, pipe2},
};
use tokio::{io::AsyncReadExt, net::unix::pipe};

use super::{
    launch::{Confinement, FIRST, Plan},
    programs::{OWN, Program},
    reaper::{Exit, Exited, Reaper},
};
use crate::failure::{Cause, Failure};

/// How many files this process has to be able to open: its own, and a child's on the way to their places.
const DESCRIPTORS: u64 = 128;

/// Sees to it that there are enough descriptors.
///
/// # Errors
/// [`Cause::Configuration`] when the limit is too low, and cannot be raised from here.
pub fn check_descriptors() -> Result<(), Failure> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Ok(()) };
    if soft >= DESCRIPTORS || setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, hard).is_ok() {
        return Ok(());
    }
    Err(Failure::new(
        Cause::Configuration,
        format!("this process may have {hard} files open (nofile), and Hearth needs {DESCRIPTORS}"),
    )
    .hint("raise the limit: docker run --ulimit nofile=4096, ulimits in a compose file, LimitNOFILE= under systemd, ulimit -n in a shell"))
}

/// What to start.
pub struct Launch<'a> {
    /// The program and its arguments.
    pub command: Vec<String>,
    /// The descriptor of the program, if it is not to be found by its path.
    pub program: Option<BorrowedFd<'a>>,
    /// Its whole environment but for what `launch` adds.
    pub environment: Vec<(OsString, OsString)>,
    /// Its standard input; `/dev/null` if none.
    pub stdin: Option<OwnedFd>,
    /// Its standard output; the supervisor's if none.
    pub stdout: Option<OwnedFd>,
    /// The listening sockets that it gets, with their names.
    pub sockets: Vec<(&'a str, BorrowedFd<'a>)>,
    /// The descriptors of the lock, which it inherits.
    pub locks: Vec<BorrowedFd<'a>>,
    /// The watchdog's interval in microseconds.
    pub watchdog: Option<u64>,
    /// Whether it gives way to everything else on the machine.
    pub background: bool,
    /// What it is confined to.
    pub confinement: Option<Confinement>,
}

/// A child that was started.
pub struct Child {
    pid: Pid,
    exited: Exited,
}

impl Child {
    /// Its pid, which is also its process group and session.
    pub fn pid(&self) -> Pid {
        self.pid
    }

    /// Waits for its end.
    pub async fn wait(&self) -> Exit {
        self.exited.clone().wait().await
    }

    /// Returns its end, to be waited for elsewhere.
    pub fn end(&self) -> Exited {
        self.exited.clone()
    }

    /// Returns its exit if it has ended.
    pub fn exited(&self) -> Option<Exit> {
        self.exited.now()
    }

    /// Sends it a signal, if it still runs.
    pub fn signal(&self, signal: Signal) {
        if self.exited().is_none() {
            let _ = kill(self.pid, signal);
        }
    }

    /// Kills it with its whole process group, also what the group has left after its own end.
    pub fn kill_group(&self) {
        // By its pid as well: one that was just started leads no group yet.
        self.signal(Signal::SIGKILL);
        let _ = killpg(self.pid, Signal::SIGKILL);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        if self.exited().is_none() {
            self.kill_group();
        }
    }
}

impl<'a> Launch<'a> {
    /// Makes the launch of a program by this command with nothing but its environment and the lock.
    pub fn new(
        program: &'a Program,
        command: Vec<String>,
        environment: Vec<(OsString, OsString)>,
        locks: Vec<BorrowedFd<'a>>,
    ) -> Self {
        Self {
            command,
            program: program.descriptor(),
            environment,
            stdin: None,
            stdout: None,
            sockets: Vec::new(),
            locks,
            watchdog: None,
            background: false,
            confinement: None,
        }
    }

    /// Starts it, and returns when its program runs.
    ///
    /// # Errors
    /// A sentence why it could not be started; then nothing of it is left.
    pub async fn start(self, reaper: &Reaper) -> Result<Child, Failure> {
        let program = self.command.first().cloned().unwrap_or_default();
        let (child, report) =
            self.spawn(reaper).map_err(|error| Failure::io(format!("cannot start a process for {program}"), &error))?;
        let mut sentence = Vec::new();
        let read = match pipe::Receiver::from_owned_fd(report) {
            Ok(mut report) => report.read_to_end(&mut sentence).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = read {
            return Err(Failure::io(format!("cannot learn whether {program} started"), &error));
        }
        if sentence.is_empty() {
            return Ok(child);
        }
        child.wait().await;
        Err(serde_json::from_slice(&sentence)
            .unwrap_or_else(|_| Failure::new(Cause::Launch, format!("cannot start {program}"))))
    }

    /// The synchronous part: spawns and registers with no await between.
    fn spawn(self, reaper: &Reaper) -> io::Result<(Child, OwnedFd)> {
        let (report, pipe) = pipe2(OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)?;
        // The child's end must block, for it reports right before it ends.
        fcntl(&pipe, FcntlArg::F_SETFL(OFlag::empty()))?;
        let null = std::fs::File::options().read(true).write(true).open("/dev/null")?;
        let plan = Plan {
            parent: Pid::this().as_raw(),
            sockets: self.sockets.iter().map(|(name, _)| (*name).to_owned()).collect(),
            locks: self.locks.len(),
            by_descriptor: self.program.is_some(),
            watchdog: self.watchdog,
            background: self.background,
            confinement: self.confinement,
            command: self.command,
        };

        // dup2 onto a place would close what still waits there, so everything moves out of the way first.
        let mut places: Vec<OwnedFd> = Vec::new();
        let mut actions = PosixSpawnFileActions::init()?;
        {
            let mut place = |descriptor: BorrowedFd<'_>, at: i32| -> io::Result<()> {
                let away = fcntl(descriptor, FcntlArg::F_DUPFD_CLOEXEC(64))?;
                // SAFETY: F_DUPFD_CLOEXEC has just made this descriptor, and nothing else owns it.
                places.push(unsafe { std::os::fd::FromRawFd::from_raw_fd(away) });
                actions.add_dup2(away, at)?;
                Ok(())
            };
            use std::os::fd::AsFd;
            place(self.stdin.as_ref().map_or(null.as_fd(), AsFd::as_fd), 0)?;
            if let Some(stdout) = &self.stdout {
                place(stdout.as_fd(), 1)?;
            }
            let mut at = FIRST;
            for (_, socket) in &self.sockets {
                place(*socket, at)?;
                at += 1;
            }
            place(pipe.as_fd(), at)?;
            for descriptor in self.locks.iter().chain(&self.program) {
                at += 1;
                place(*descriptor, at)?;
            }
        }

        let mut attributes = PosixSpawnAttr::init()?;
        attributes.set_flags(PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK)?;
        attributes.set_sigmask(&SigSet::empty())?;
        let arguments =
            [CString::new("supervisor")?, CString::new("launch")?, CString::new(serde_json::to_string(&plan)?)?];
        let environment = self
            .environment
            .iter()
            .map(|(name, value)| CString::new([name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect::<Result<Vec<_>, _>>()?;
        let pid = match posix_spawn(OWN, &actions, &attributes, &arguments, &environment) {
            Err(Errno::ENOENT) => return Err(io::Error::other("/proc is not mounted, and the supervisor needs it")),
            other => other?,
        };
        let exited = reaper.register(pid);
        tracing::debug!(pid = pid.as_raw(), program = plan.command.first(), "launched");
        debug_assert!(places.iter().all(|place| place.as_raw_fd() >= 64));
        Ok((Child { pid, exited }, report))
    }
}
