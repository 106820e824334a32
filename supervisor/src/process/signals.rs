//! Which signals does the supervisor take, and when from?
//!
//! [`block`] is the first thing `main` does. A blocked signal is never ignored, not even by a PID 1 without a
//! handler (signal(7), kernel `sig_ignored`), so what arrives in the first milliseconds waits for [`Signals`].

use std::{
    io::{self, BufRead},
    os::fd::AsFd,
};

use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::{
        signal::{SaFlags, SigAction, SigHandler, SigSet, SigmaskHow, Signal, pthread_sigmask, raise, sigaction},
        signalfd::{SfdFlags, SignalFd},
    },
};
use tokio::io::unix::AsyncFd;

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// TERM, INT or QUIT: stop.
    Stop(Signal),
    /// HUP, USR1, USR2 or WINCH: pass it on to the app.
    Forward(Signal),
    /// CHLD: some child has ended.
    Child,
}

const STOP: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGQUIT];
const FORWARD: [Signal; 4] = [Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGUSR2, Signal::SIGWINCH];

fn taken() -> SigSet {
    STOP.into_iter().chain(FORWARD).chain([Signal::SIGCHLD]).collect()
}

/// Blocks the signals that [`Signals`] takes.
pub fn block() -> io::Result<()> {
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&taken()), None).map_err(io::Error::from)
}

/// Lets them through again: for a command that is no supervisor, where Ctrl-C ends it.
pub fn unblock() -> io::Result<()> {
    pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&taken()), None).map_err(io::Error::from)
}

/// Asks a question on a terminal, by `ask`, and reads the answer. Ctrl-C ends this process, as anybody expects, also where it
/// was started with that ignored (as a script's background job), or is a container's PID 1, for which the kernel ignores
/// what has no handler.
pub fn answer(ask: impl FnOnce() -> io::Result<()>) -> io::Result<String> {
    let wanted: SigSet = STOP.into_iter().collect();
    pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&wanted), None)?;
    let signals = SignalFd::with_flags(&wanted, SfdFlags::SFD_CLOEXEC)?;
    // From here on none is lost.
    ask()?;
    let stdin = io::stdin();
    let mut ready = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    while let Err(errno) = poll(&mut ready, PollTimeout::NONE) {
        if errno != Errno::EINTR {
            return Err(errno.into());
        }
    }
    if ready[1].any() == Some(true)
        && let Some(signal) = signals.read_signal()?.and_then(|info| Signal::try_from(info.ssi_signo as i32).ok())
    {
        let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
        // SAFETY: the default action runs no code of ours.
        unsafe { sigaction(signal, &default) }?;
        pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&wanted), None)?;
        raise(signal)?;
        // PID 1 lives on; its status is that of a shell's command that was ended so.
        std::process::exit(128 + signal as i32);
    }
    let mut answer = String::new();
    stdin.lock().read_line(&mut answer)?;
    pthread_sigmask(SigmaskHow::SIG_UNBLOCK, Some(&wanted), None)?;
    Ok(answer)
}

/// The signals, one after the other.
pub struct Signals(AsyncFd<SignalFd>);

impl Signals {
    /// Opens the descriptor; [`block`] has been called. Must be called inside the runtime.
    pub fn open() -> io::Result<Self> {
        let descriptor = SignalFd::with_flags(&taken(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        // SAFETY: a SignalFd owns its descriptor and always names the same one, and AsyncFd keeps it until its end.
        let registered = unsafe { AsyncFd::register(descriptor) };
        registered.map(Self).map_err(|error| error.into_parts().1)
    }

    /// Waits for the next signal.
    pub async fn next(&self) -> io::Result<Request> {
        loop {
            let mut ready = self.0.readable().await?;
            let read = ready.try_io(|descriptor| match descriptor.get_ref().read_signal()? {
                Some(info) => Ok(info),
                None => Err(io::ErrorKind::WouldBlock.into()),
            });
            let Ok(info) = read else { continue };
            let signal = i32::try_from(info?.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            match signal {
                Some(Signal::SIGCHLD) => return Ok(Request::Child),
                Some(signal) if STOP.contains(&signal) => return Ok(Request::Stop(signal)),
                Some(signal) => return Ok(Request::Forward(signal)),
                None => {}
            }
        }
    }
}
