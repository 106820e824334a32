//! Where can a test kill, stop or fail this process?
//!
//! Fault points stand at each boundary between two steps. They exist only in builds with the `faults`
//! feature, which only this crate's tests turn on; elsewhere [`point`] is nothing.
//!
//! `HEARTH_FAULT=<point>=<action>[,<point>=<action>…]`, where an action is `kill` (KILL to this process),
//! `kill-parent` (KILL to the parent, then wait for the own end), `hang` (wait for ever), `enospc`,
//! `enolck`, `eopnotsupp` (fail like that system call).
//!
//! Three more words may stand in it: `trace=<file>` writes every point that is passed there, a line each;
//! `armed-by=<file>` leaves everything as it is until that file exists, for what is to break only later;
//! `rest=<milliseconds>` has a job rest after each progress line but the last, so that it is seen on the fastest machine.

use std::{io, time::Duration};

/// Every fault point of the supervisor and its jobs, in the order a first start or an upgrade reaches them.
pub const POINTS: &[&str] = &[
    "run.started",
    "run.locked",
    "run.bound",
    "preflight.links",
    "preflight.locks",
    "preflight.maps",
    "preflight.sockets",
    "recover.begun",
    "recover.removed",
    "recover.unmarked",
    "plan.status",
    "checkpoint.begun",
    "checkpoint.done",
    "stage.begun",
    "stage.marked",
    "stage.cloned",
    "stage.unpacked",
    "stage.synced",
    "stage.checked",
    "migrator.launched",
    "migrator.done",
    "prove.launched",
    "prove.ready",
    "prove.stopped",
    "finalize.begun",
    "finalize.checkpointed",
    "finalize.synced",
    "commit.begun",
    "commit.linked",
    "commit.synced",
    "commit.unmarked",
    "save.written",
    "save.renamed",
    "keep.begun",
    "keep.written",
    "keep.renamed",
    "rehearse.begun",
    "rehearse.copied",
    "rehearse.migrated",
    "rehearse.proven",
    "retire.renamed",
    "retire.removed",
    "serve.launched",
    "serve.ready",
    "stop.begun",
    "backup.begun",
    "backup.prepared",
    "backup.copied",
    "backup.written",
    "backup.synced",
    "backup.verified",
    "backup.described",
    "backup.renamed",
    "backup.remembered",
    "verify.begun",
    "verify.read",
    "prune.begun",
    "prune.removed",
    "copy.begun",
    "copy.uploaded",
    "copy.checked",
    "copy.described",
    "copy.removed",
];

/// Returns the time that a test sets by this variable; in a build without faults, and where none does, this one.
pub fn time(variable: &str, otherwise: Duration) -> Duration {
    let of_a_test = std::env::var(variable).ok().filter(|_| cfg!(feature = "faults"));
    of_a_test.and_then(|text| humantime::parse_duration(&text).ok()).unwrap_or(otherwise)
}

/// Passes, in a build without faults.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_name: &'static str) -> io::Result<()> {
    Ok(())
}

/// Goes on, in a build without faults.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn rest() {}

/// Rests as long as `HEARTH_FAULT` asks for.
#[cfg(feature = "faults")]
pub fn rest() {
    let faults = std::env::var("HEARTH_FAULT").unwrap_or_default();
    let rest = faults.split(',').find_map(|fault| fault.strip_prefix("rest=")?.parse().ok());
    std::thread::sleep(Duration::from_millis(rest.unwrap_or(0)));
}

/// Does what `HEARTH_FAULT` asks for at this point.
#[cfg(feature = "faults")]
pub fn point(name: &'static str) -> io::Result<()> {
    use nix::{
        errno::Errno,
        sys::signal::{Signal, kill},
        unistd::{Pid, getppid, pause},
    };
    debug_assert!(POINTS.contains(&name), "{name} is not in POINTS");
    let Ok(faults) = std::env::var("HEARTH_FAULT") else { return Ok(()) };
    let said = |word| faults.split(',').filter_map(|fault| fault.split_once('=')).find(|(key, _)| *key == word);
    if said("armed-by").is_some_and(|(_, file)| !std::path::Path::new(file).exists()) {
        return Ok(());
    }
    if let Some((_, file)) = said("trace") {
        let mut trace = std::fs::File::options().append(true).create(true).open(file)?;
        std::io::Write::write_all(&mut trace, format!("{name}\n").as_bytes())?;
    }
    let Some((_, action)) = said(name) else { return Ok(()) };
    let errno = match action {
        "kill" => {
            let _ = kill(Pid::this(), Signal::SIGKILL);
            return Ok(());
        }
        "kill-parent" => {
            let _ = kill(getppid(), Signal::SIGKILL);
            loop {
                pause();
            }
        }
        "hang" => loop {
            pause();
        },
        "enospc" => Errno::ENOSPC,
        "enolck" => Errno::ENOLCK,
        "eopnotsupp" => Errno::EOPNOTSUPP,
        _ => Errno::EIO,
    };
    Err(io::Error::from(errno))
}
