//! What comes before anything is touched?
//!
//! The lock, then the public socket, then probing what the data directory's file system can do.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

use crate::{
    config::SandboxMode,
    data::{DataDir, access, lock::Lock},
    door::listener::PublicSocket,
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Job, child, preflight::Findings},
    sandbox::{Means, rules},
    watch::app::point,
};

/// Makes the data directory if it is not there, and takes its lock.
///
/// # Errors
/// [`Cause::Busy`] when another one holds the lock, after `lock.wait`; else why it cannot be taken.
pub async fn lock(instance: &Instance) -> Result<(), Failure> {
    if instance.lock.get().is_some() {
        return Ok(());
    }
    let data = &instance.data;
    make(data, data.path(), 0o750)?;
    make(data, &data.supervisor(), 0o700)?;
    let wait = instance.config.lock.wait;
    let lock = Lock::take(data, wait, |holder| {
        tracing::info!(target: "Supervisor", "waiting up to {} for the data directory, which is in use by {holder}", humantime::format_duration(wait));
    })
    .await?;
    let _ = instance.lock.set(lock);
    point("run.locked")
}

/// Binds the public socket.
///
/// # Errors
/// A sentence that names the address.
pub fn bind(instance: &Instance) -> Result<(), Failure> {
    if instance.public.borrow().is_some() {
        return Ok(());
    }
    let public = PublicSocket::bind(instance.config.listen)?;
    let address = public.address();
    instance.board.update(|status| status.listen = address.to_string());
    if !address.ip().is_loopback() {
        tracing::warn!(target: "Supervisor", "listening on {address}: until Hearth has accounts, everyone who can reach this address can read and change everything");
    }
    instance.public.replace(Some(public));
    point("run.bound")
}

/// Probes the data directory.
///
/// # Errors
/// What it cannot do, and what to do about it.
pub async fn preflight(instance: &Instance) -> Result<Findings, Failure> {
    lock(instance).await?;
    let mode = instance.config.sandbox.mode;
    let findings: Findings = child::run(instance, Job::Preflight { sandbox: mode != SandboxMode::Off }).await?;
    confine(instance, mode, findings.means)?;
    Ok(findings)
}

/// Decides by which means children are confined from here on, and says so.
///
/// # Errors
/// [`Cause::Configuration`] when `sandbox.mode` insists on means that are not there.
fn confine(instance: &Instance, mode: SandboxMode, means: Means) -> Result<(), Failure> {
    if mode == SandboxMode::Enforce && !means.is_whole() {
        return Err(Failure::new(
            Cause::Configuration,
            format!("sandbox.mode is enforce, and of the two means of this kernel there is: {means}"),
        )
        .hint("Landlock takes Linux 5.13 or newer with landlock among its security modules (/sys/kernel/security/lsm), and a container engine whose seccomp profile knows it; HEARTH_SANDBOX__MODE=best-effort takes what there is"));
    }
    instance.means.set(means);
    if means != Means::default() && rules::temporary(&instance.data).is_none() {
        instance.board.note(format!(
            "there is no place for temporary files: something else has the name hearth-… in {}, or it cannot be written in",
            std::env::temp_dir().display()
        ));
    }
    instance.board.update(|status| status.sandbox = means.to_string());
    if mode == SandboxMode::Off {
        instance
            .board
            .note("sandbox.mode is off: an app that was taken over could read and destroy backups and snapshots");
    } else if means.landlock == 0 {
        instance.board.note(format!("sandbox: {means}; this kernel, or the container's seccomp profile, has no Landlock: an app that was taken over could read and destroy backups and snapshots"));
    } else if !means.seccomp {
        instance.board.note(format!("sandbox: {means}; system calls cannot be filtered: an app that was taken over could change modes and times of files, and signal the supervisor"));
    }
    Ok(())
}

fn make(data: &DataDir, path: &Path, mode: u32) -> Result<(), Failure> {
    match DirBuilder::new().mode(mode).recursive(true).create(path) {
        Ok(()) => Ok(()),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory || path.exists() => {
            Err(Failure::new(Cause::Configuration, format!("{} is not a directory", path.display()))
                .hint("HEARTH_DATA_DIR or --data-dir names the data directory"))
        }
        Err(error) => Err(access::unwritable(data, path, &format!("cannot create {}", path.display()), &error)),
    }
}
