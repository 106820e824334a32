//! What comes before anything is touched?
//!
//! The lock, then the sockets, then probing what the data directory's file system can do.

use std::{fs::DirBuilder, os::unix::fs::DirBuilderExt, path::Path};

use crate::{
    app::lifecycle::point,
    config::{self, SandboxMode},
    data::{DataDir, access, lock::Lock},
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Findings, Job, child},
    process::{
        endpoint::Endpoint,
        identity::{self, IdentitySocket},
        listener::{self, PublicSocket},
        sandbox::{SandboxSupport, rules},
    },
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

/// Binds the public socket, and that of `tailscale serve`, if there is to be one.
///
/// # Errors
/// A sentence that names the address.
pub fn bind(instance: &Instance) -> Result<(), Failure> {
    if instance.public.borrow().is_some() {
        return Ok(());
    }
    let public = PublicSocket::bind(instance.config.listen, listener::PUBLIC)?;
    let address = public.address();
    instance.board.update(|status| status.listen = address.to_string());
    if !address.ip().is_loopback() {
        tracing::warn!(target: "Supervisor", "listening on {address}: everyone who can reach this address gets to the sign-in page; without Tailscale, or a proxy with a certificate, passwords cross the network as plain text");
    }
    instance.public.replace(Some(public));
    if let Some(place) = instance.config.serves_tailscale() {
        let socket = IdentitySocket::bind(&place)?;
        tracing::info!(target: "Supervisor", "listening on {} for tailscale serve, whose word on who somebody is counts there", socket.place());
        instance.identity.replace(Some(socket));
    }
    point("run.bound")
}

/// Checks what only a job can tell of the settings.
///
/// # Errors
/// [`Cause::Configuration`], with all that is wrong.
pub async fn check_settings(instance: &Instance) -> Result<(), Failure> {
    let unchecked = &instance.config.unchecked;
    if unchecked.is_empty() {
        return Ok(());
    }
    match child::run::<Vec<Failure>>(instance, Job::CheckSettings(unchecked.clone())).await {
        Ok(wrong) if wrong.is_empty() => Ok(()),
        Ok(wrong) => Err(config::all(wrong)),
        // A job that cannot be started or is of another version: the preflight meets it too, and holds.
        Err(_) => Ok(()),
    }
}

/// Finds out by which means jobs can be confined, for a command that only looks.
///
/// # Errors
/// As [`preflight`].
pub async fn confinement(instance: &Instance) -> Result<(), Failure> {
    let mode = instance.config.sandbox.mode;
    let means = match mode {
        SandboxMode::Off => SandboxSupport::default(),
        SandboxMode::BestEffort | SandboxMode::Enforce => child::run(instance, Job::Sandbox).await?,
    };
    confine(instance, mode, means)
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
fn confine(instance: &Instance, mode: SandboxMode, means: SandboxSupport) -> Result<(), Failure> {
    if mode == SandboxMode::Enforce && !means.is_whole() {
        return Err(Failure::new(
            Cause::Configuration,
            format!("sandbox.mode is enforce, and of the two means of this kernel there is: {means}"),
        )
        .hint("Landlock takes Linux 5.13 or newer with landlock among its security modules (/sys/kernel/security/lsm), and a container engine whose seccomp profile knows it; HEARTH_SANDBOX__MODE=best-effort takes what there is"));
    }
    instance.means.set(means);
    if means != SandboxSupport::default() && rules::temporary(&instance.data).is_none() {
        instance.board.note(format!(
            "there is no place for temporary files: something else has the name hearth-… in {}, or it cannot be written in",
            std::env::temp_dir().display()
        ));
    }
    let asks = instance.config.asks_tailscaled().filter(|_| means.seccomp);
    let lifted = asks.map(|_| "; the app may connect to unix sockets (auth.tailscale = localapi)").unwrap_or_default();
    instance.board.update(|status| status.sandbox = format!("{means}{lifted}"));
    if let Some(socket) = asks {
        tracing::warn!(target: "Supervisor", "sandbox: the app may connect to unix sockets, since it asks {} who somebody is (auth.tailscale = localapi)", socket.display());
    }
    if let Some(Endpoint::Tcp(address)) = instance.config.serves_tailscale() {
        identity::exposed(address).into_iter().for_each(|note| instance.board.note(note));
    }
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
