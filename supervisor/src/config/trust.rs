//! Which settings may a file decide that the app could have written?
//!
//! The app runs under the supervisor's uid, and an app that was taken over on a kernel without Landlock could write a file for the
//! next start. So a file that this uid could have written, such as `config.toml` in the data directory, never decides what confines
//! the app, which programs are started, who can open the backups, or who is let in on whose word (all of `auth`: it would
//! outlive a restore).

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    unistd::{AccessFlags, access, geteuid},
};

use crate::failure::{Cause, Failure};

/// Returns the first place by which this uid could change what stands in the file: the file itself, or a directory on the
/// way to it, in which it could be replaced.
pub(super) fn writable(file: &Path) -> Option<PathBuf> {
    ways(file).iter().flat_map(|path| path.ancestors()).find(|place| can_write(place)).map(Path::to_owned)
}

/// Returns the path and each that a link on the way turns it into: a link counts like what it leads to.
fn ways(file: &Path) -> Vec<PathBuf> {
    let mut ways = vec![file.to_owned()];
    // As many as the kernel follows: path_resolution(7).
    while ways.len() <= 40
        && let Some(next) = ways.last().and_then(|path| follow(path))
    {
        ways.push(next);
    }
    ways
}

/// Follows the first link on the way.
fn follow(path: &Path) -> Option<PathBuf> {
    let mut places: Vec<_> = path.ancestors().collect();
    places.reverse();
    let (place, target) = places.iter().find_map(|place| Some((place, fs::read_link(place).ok()?)))?;
    let rest = path.strip_prefix(place).ok()?;
    let next = place.parent()?.join(target);
    Some(if rest.as_os_str().is_empty() { next } else { next.join(rest) })
}

fn can_write(place: &Path) -> bool {
    if place.as_os_str().is_empty() {
        return false;
    }
    match access(place, AccessFlags::W_OK) {
        Ok(()) => true,
        // Mounted read-only: not even its owner can.
        Err(Errno::EROFS) => false,
        // Its owner could give itself the right.
        Err(_) => fs::metadata(place).is_ok_and(|stat| stat.uid() == geteuid().as_raw()),
    }
}

/// Says that settings stand in a file that this uid could have written.
pub(super) fn refuse(keys: &str, variables: &str, file: &Path, writable: &Path) -> Failure {
    let uid = geteuid();
    Failure::new(
        Cause::Configuration,
        format!(
            "{keys}: set in {}, and uid {uid}, which the app runs under too, can write {}",
            file.display(),
            writable.display()
        ),
    )
    .hint(format!(
        "what confines the app, which programs run, who can open backups and who is let in is not taken from there: set {variables} in the \
         environment instead, or name another file with HEARTH_CONFIG that only root can write or that is mounted read-only"
    ))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn each_link_of_a_chain_counts() {
        let place = tempfile::tempdir().unwrap();
        let at = |name: &str| place.path().join(name);
        for directory in ["etc", "own", "var"] {
            fs::create_dir(at(directory)).unwrap();
        }
        fs::write(at("etc/b.toml"), "").unwrap();
        symlink("../own/link", at("etc/a.toml")).unwrap();
        symlink(at("var/etc/b.toml"), at("own/link")).unwrap();
        symlink("../etc", at("var/etc")).unwrap();
        assert_eq!(
            ways(&at("etc/a.toml")),
            [at("etc/a.toml"), at("etc/../own/link"), at("var/etc/b.toml"), at("var/../etc/b.toml")]
        );
        symlink("circle", at("circle")).unwrap();
        assert_eq!(ways(&at("circle")).len(), 41);
    }
}
