//! Where can a test stop this process? At the points listed here.
//!
//! Without the feature `faults` every point is nothing at all. With it, which only this crate's
//! own tests turn on, the variable `HEARTH_FAULT` says what happens at which point, as
//! `point=action[,point=action]`, with these actions:
//!
//! - `kill`: the process is killed by SIGKILL;
//! - `kill-parent`: its parent is killed by SIGKILL, and the process goes on sleeping;
//! - `hang`: the process sleeps for ever;
//! - `enospc`: the step fails as it would on a full disk.
//!
//! Points of other programs may stand in the variable too and are passed over. Two more words may:
//! `trace=<file>` writes every point that is passed there, a line each, and `armed-by=<file>` leaves
//! everything as it is until that file exists.

/// Every point, in the order in which an upgrade passes them.
pub const POINTS: &[&str] = &[
    "migrate.opened",
    "migrate.begun",
    "migrate.applying",
    "migrate.applied",
    "migrate.checked",
    "migrate.committed",
    "migrate.checkpointed",
];

/// Does at the point `name` what the test asked for.
///
/// # Errors
///
/// With the action `enospc`, the error a full disk gives.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn point(_name: &'static str, _path: &std::path::Path) -> Result<(), crate::Error> {
    Ok(())
}

/// Does at the point `name` what the test asked for.
///
/// # Errors
///
/// With the action `enospc`, the error a full disk gives.
///
/// # Panics
///
/// If `HEARTH_FAULT` names a point of the migrator or an action that there is not, or a trace that
/// cannot be written: a test that injects nothing would prove nothing.
#[cfg(feature = "faults")]
pub fn point(name: &'static str, path: &std::path::Path) -> Result<(), crate::Error> {
    let Ok(faults) = std::env::var("HEARTH_FAULT") else {
        return Ok(());
    };
    assert!(POINTS.contains(&name), "the point {name} is not listed");
    let said = |word: &str| faults.split(',').filter_map(|fault| fault.split_once('=')).find(|(key, _)| *key == word);
    if said("armed-by").is_some_and(|(_, file)| !std::path::Path::new(file).exists()) {
        return Ok(());
    }
    if let Some((_, file)) = said("trace") {
        let trace = std::fs::File::options().append(true).create(true).open(file);
        let written = trace.and_then(|mut trace| std::io::Write::write_all(&mut trace, format!("{name}\n").as_bytes()));
        assert!(written.is_ok(), "the trace cannot be written: {written:?}");
    }
    for fault in faults.split(',').filter(|fault| fault.starts_with("migrate.")) {
        let (point, action) = fault.split_once('=').unwrap_or((fault, ""));
        assert!(POINTS.contains(&point), "there is no point {point}");
        if point == name {
            act(action, name, path)?;
        }
    }
    Ok(())
}

#[cfg(feature = "faults")]
fn act(action: &str, name: &str, path: &std::path::Path) -> Result<(), crate::Error> {
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::{Pid, getppid};
    let sent = match action {
        "kill" => kill(Pid::this(), Signal::SIGKILL),
        "kill-parent" => kill(getppid(), Signal::SIGKILL),
        "hang" => Ok(()),
        "enospc" => {
            return Err(crate::Error::NoSpace { path: path.to_owned(), doing: format!("passing {name}") });
        }
        other => panic!("there is no action {other:?}"),
    };
    assert!(sent.is_ok(), "the signal could not be sent: {sent:?}");
    loop {
        std::thread::sleep(std::time::Duration::from_secs(3600));
    }
}
