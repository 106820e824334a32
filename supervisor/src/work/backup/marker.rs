//! Is this the directory that the backups were made in before?
//!
//! A volume that is not mounted leaves an empty directory in its place. Backups made there would fill the system's own disk, and
//! those made earlier would be gone from every list. So a directory that backups are made in gets a marker, `hearth-backups.json`
//! (except `backups/` of the data directory, unless that is a volume of its own), and `supervisor/backups.json` remembers which
//! directory has one. Where the marker is missing, no backup is made until the volume is back, or until a person confirms a new
//! place with an empty file of that name.

use std::{fs, os::unix::fs::MetadataExt, path::Path};

use super::{catalog::History, destination::Destination};
use crate::{
    data::{
        DataDir, access, durable,
        state::{self, FORMAT},
    },
    failure::{Cause, Failure},
};

/// The marker's name.
pub const MARKER: &str = "hearth-backups.json";
/// The longest one that is read.
const LIMIT: u64 = 4096;

/// Checks that a directory is the one that backups were made in before, if there is one.
///
/// # Errors
/// A sentence that names the directory and what leads out.
pub fn check(directory: &Path, history: &History) -> Result<(), Failure> {
    let is_known = history.directory.as_deref() == Some(directory);
    if !is_known || !directory.is_dir() || !matches!(directory.join(MARKER).try_exists(), Ok(false)) {
        return Ok(());
    }
    let directory = directory.display();
    let message = format!(
        "the directory {directory} (backup.dir) is not the one that backups were made in before: its marker {MARKER} is missing"
    );
    let say_so = if access::in_container() {
        format!("touch {MARKER} && docker compose cp {MARKER} web:{directory}/")
    } else {
        format!("touch {directory}/{MARKER}")
    };
    Err(Failure::new(Cause::Io, message).hint(format!(
        "is its volume mounted? The backups made earlier are on it. If this is a new place for them, or the marker was removed, say so with: {say_so}"
    )))
}

/// Whether these are the backups of the data directory itself: nobody else's are there, and no volume could be missing.
fn is_private(data: &DataDir, directory: &Path) -> bool {
    let own = data.backups();
    let device = |path: &Path| fs::symlink_metadata(path).ok().filter(fs::Metadata::is_dir).map(|stat| stat.dev());
    directory == own && device(&own).is_some() && device(&own) == device(data.path()) && !is_mounted(&own)
}

/// Returns a directory of backups as a place that others can write to, too; `None` if it is private.
///
/// # Errors
/// When it is not there.
pub fn shared(data: &DataDir, directory: &Path) -> Result<Option<Destination>, Failure> {
    (!is_private(data, directory)).then(|| Destination::directory(directory)).transpose()
}

/// Whether something is mounted at this path: of the same file system, too, which no number tells. What cannot be read may be.
fn is_mounted(path: &Path) -> bool {
    let (Ok(path), Ok(mounts)) = (path.canonicalize(), fs::read_to_string("/proc/self/mountinfo")) else { return true };
    // Blanks and the like are written as proc_pid_mountinfo(5) has it.
    let mut place = path.to_string_lossy().replace('\\', "\\134");
    for (letter, octal) in [(' ', "\\040"), ('\t', "\\011"), ('\n', "\\012")] {
        place = place.replace(letter, octal);
    }
    mounts.lines().any(|mount| mount.split(' ').nth(4) == Some(&place))
}

/// Gives a directory its marker, as the instance `own`, if it has none, and notes that it has one.
pub fn put(directory: &Path, own: &str, history: &mut History) -> Result<(), Failure> {
    let path = directory.join(MARKER);
    // Another instance may have put it there, or a person an empty one.
    if durable::read_small(&path, LIMIT).map_or(true, |bytes| bytes.is_empty()) {
        // For people who find it.
        let purpose = "The backups of Hearth lie here. Without this file Hearth takes the volume for not mounted.";
        let marker = serde_json::json!({"format": FORMAT, "purpose": purpose});
        durable::write_of(own, &path, &state::to_bytes(&marker)?)?;
    }
    history.directory = Some(directory.to_owned());
    Ok(())
}
