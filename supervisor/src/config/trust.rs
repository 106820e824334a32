//! May a file say what the app is kept from?
//!
//! The app runs under the supervisor's uid. What confines it, which programs are started, and who can open the backups is
//! therefore never taken from a file that this uid could have written, like `config.toml` in the data directory: an app
//! that was taken over on a kernel without Landlock could have put it there for the next start.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{AT_FDCWD, AtFlags},
    unistd::{AccessFlags, faccessat, geteuid},
};

use crate::failure::{Cause, Failure};

/// Returns the first place by which this uid could change what stands in the file: the file itself, or a directory on the
/// way to it, in which it could be replaced.
pub(super) fn writable(file: &Path) -> Option<PathBuf> {
    let real = file.canonicalize().ok();
    // The link that leads there counts like the file.
    let ways = [Some(file.to_owned()), real];
    ways.iter().flatten().flat_map(|path| path.ancestors()).find(|place| can_write(place)).map(Path::to_owned)
}

fn can_write(place: &Path) -> bool {
    if place.as_os_str().is_empty() {
        return false;
    }
    match faccessat(AT_FDCWD, place, AccessFlags::W_OK, AtFlags::AT_EACCESS) {
        Ok(()) => true,
        // Mounted read-only: not even its owner can.
        Err(Errno::EROFS) => false,
        // Its owner could give itself the right.
        Err(_) => fs::metadata(place).is_ok_and(|stat| stat.uid() == geteuid().as_raw()),
    }
}

/// Says that a setting stands in a file that this uid could have written.
pub(super) fn refuse(key: &str, variable: &str, file: &Path, writable: &Path) -> Failure {
    let uid = geteuid();
    Failure::new(
        Cause::Configuration,
        format!(
            "{key} is set in {}, and uid {uid}, which the app runs under too, can write {}",
            file.display(),
            writable.display()
        ),
    )
    .hint(format!(
        "what confines the app, which programs run and who can open backups is not taken from there: set {variable} in the \
         environment, or name a file with HEARTH_CONFIG that only root can write, or that is mounted read-only"
    ))
}
