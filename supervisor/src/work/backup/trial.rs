//! Can backups be written where they are to be kept?
//!
//! A job finds out by writing a small file and removing it: after the start and daily, so that a NAS that is gone, a key that
//! was revoked and a disk that is full are known before a backup needs them. It is named as no backup is, and lies below this
//! instance's own name. Nothing is written down but what PID 1 publishes, since other jobs may be at work.

use std::{fs, os::unix::fs::MetadataExt, path::Path, time::Duration};

use nix::unistd::{AccessFlags, access, getegid, geteuid};

use super::{
    catalog, confine,
    destination::{Destination, Patience},
    identity, marker,
    source::open_with,
};
use crate::{
    config::{Backup as Settings, destination},
    data::DataDir,
    failure::{Cause, Failure},
    process::sandbox::{SandboxSupport, Sockets},
    status::now,
};

/// How long a server is waited for: it is tried again. PID 1 gives all of a trial a limit.
const PATIENCE: Duration = if cfg!(feature = "faults") { Duration::from_secs(3) } else { Duration::from_secs(15) };

/// Tries a destination, or `backup.dir`.
///
/// # Errors
/// Why nothing can be written there.
pub(super) fn try_out(
    data: &DataDir,
    support: SandboxSupport,
    settings: &Settings,
    destination: Option<&str>,
) -> Result<(), Failure> {
    // Looked for here, for where it lives is out of reach in a moment.
    let own = identity::look(data)?.instance;
    let Some(destination) = destination else { return try_local(data, support, &settings.dir, &own) };
    let (reads, network) = destination::reach(destination);
    let directory = destination.starts_with('/').then(|| Path::new(destination));
    confine(data, support, reads, directory, if network { Sockets::Network } else { Sockets::None })?;
    let patience = Patience { request: PATIENCE, list: PATIENCE, silence: PATIENCE };
    in_place(&open_with(destination, settings, patience)?, &own, directory)
}

/// Tries `backup.dir`, unless it is a directory of the data directory's: the app tries that disk.
fn try_local(data: &DataDir, support: SandboxSupport, dir: &Path, own: &str) -> Result<(), Failure> {
    if !dir.is_dir() {
        // The first backup makes it. Where there is nothing to make it in, a disk is missing.
        return match dir.parent().is_some_and(Path::is_dir) {
            true => Ok(()),
            false => Err(Failure::new(Cause::Io, format!("the directory {} (backup.dir) is not there", dir.display()))
                .hint(format!("is it mounted? If it is a new place, create it: mkdir -p {}", dir.display()))),
        };
    }
    if let Some(closed) = closed(dir) {
        return Err(Failure::new(Cause::Permission, closed));
    }
    let Some(place) = marker::shared(data, dir)? else { return Ok(()) };
    confine(data, support, Vec::new(), Some(dir), Sockets::None)?;
    marker::check(dir, &catalog::history(data, &now())?)?;
    in_place(&place, own, Some(dir))
}

fn in_place(place: &Destination, own: &str, directory: Option<&Path>) -> Result<(), Failure> {
    place.try_out(own).map_err(|failure| {
        // Of a file system that is mounted read-only, the owner says nothing.
        let is_closed = failure.cause == Cause::Permission && !failure.message.ends_with("read-only file system");
        match directory.filter(|_| is_closed).and_then(whose) {
            Some(whose) => Failure::new(failure.cause, failure.message).hint(whose),
            None => failure,
        }
    })
}

/// Says that `backup.dir` cannot be written in, before a backup has to find out at night.
pub(super) fn closed(dir: &Path) -> Option<String> {
    let errno = access(dir, AccessFlags::W_OK | AccessFlags::X_OK).err()?;
    let (dir, what, whose) = (dir.display(), errno.desc().to_lowercase(), whose(dir)?);
    Some(format!("backups cannot be written to {dir} (backup.dir): {what}; {whose}"))
}

/// Says whose a directory is, and who cannot write to it.
fn whose(dir: &Path) -> Option<String> {
    let stat = fs::metadata(dir).ok()?;
    let (uid, gid) = (geteuid(), getegid());
    Some(format!(
        "it belongs to uid {} gid {}, and the supervisor runs as uid {uid} gid {gid}: chown -R {uid}:{gid} that directory, on the \
         machine that has it",
        stat.uid(),
        stat.gid()
    ))
}
