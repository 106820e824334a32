//! How are files opened whose permissions an app took away from its own uid?
//!
//! An app may remove the permissions of a file or directory, by mistake or to do harm, and the supervisor shares its uid. They
//! are given back to the owner alone, and no link is followed on the way.

use std::{
    fs, io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::Path,
};

use nix::{
    fcntl::{AT_FDCWD, OFlag, openat},
    sys::stat::{Mode, SFlag, fstat},
};

/// How deep directories are opened again; the app has no reason for any.
const DEPTH: usize = 64;

/// Gives a directory back to its owner, if it is one and closed; a link is not followed.
fn directory(path: &Path) -> io::Result<()> {
    add(path, SFlag::S_IFDIR, Mode::S_IRWXU)
}

/// Adds these rights to what lies at `path`, if it is of this kind and lacks one of them.
fn add(path: &Path, kind: SFlag, rights: Mode) -> io::Result<()> {
    // One look is enough for nearly all of them, and there may be very many.
    if Mode::from_bits_truncate(fs::symlink_metadata(path)?.mode()).contains(rights) {
        return Ok(());
    }
    let place: OwnedFd = openat(AT_FDCWD, path, OFlag::O_PATH | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC, Mode::empty())?;
    let stat = fstat(&place)?;
    let mode = Mode::from_bits_truncate(stat.st_mode);
    if SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT != kind || mode.contains(rights) {
        return Ok(());
    }
    // A descriptor that is for the path alone takes no fchmod(2); by its name in /proc it is that very file.
    fs::set_permissions(
        format!("/proc/self/fd/{}", place.as_raw_fd()),
        fs::Permissions::from_mode((mode | rights).bits()),
    )
}

/// Removes a directory with all that is in it, also what is closed. Links are removed, not followed.
///
/// # Errors
/// What the file system said. What is not there is no error.
pub fn remove_all(path: &Path) -> io::Result<()> {
    let removed = match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            open_all(path, DEPTH);
            fs::remove_dir_all(path)
        }
        other => other,
    };
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Opens a directory and those in it; whoever goes on finds out where that was not enough.
fn open_all(path: &Path, depth: usize) {
    let _ = directory(path);
    let Some(depth) = depth.checked_sub(1) else { return };
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_all(&entry.path(), depth);
        }
    }
}

/// Opens `files/`, the directories in it and the attachments in those; what cannot be opened is found out by whoever reads it.
pub fn open_attachments(files: &Path) {
    let _ = directory(files);
    for entry in fs::read_dir(files).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let _ = directory(&entry.path());
        for file in fs::read_dir(entry.path()).into_iter().flatten().flatten() {
            let _ = add(&file.path(), SFlag::S_IFREG, Mode::S_IRUSR);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_was_closed_is_opened_and_what_a_link_leads_to_is_not() {
        let place = tempfile::tempdir().unwrap();
        let (files, other) = (place.path().join("files"), place.path().join("other"));
        fs::create_dir_all(files.join("9f")).unwrap();
        fs::create_dir(&other).unwrap();
        fs::write(files.join("9f/one"), "1").unwrap();
        fs::write(other.join("two"), "2").unwrap();
        symlink(&other, files.join("aa")).unwrap();
        symlink(other.join("two"), files.join("9f/link")).unwrap();
        for path in [files.join("9f/one"), files.join("9f"), other.join("two")] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o000)).unwrap();
        }
        open_attachments(&files);
        assert_eq!(mode(&files.join("9f")), 0o700);
        assert_eq!(mode(&files.join("9f/one")), 0o400);
        assert_eq!(mode(&other.join("two")), 0, "no link was followed");
        fs::set_permissions(files.join("9f"), fs::Permissions::from_mode(0o300)).unwrap();
        remove_all(&files).unwrap();
        assert!(!files.exists() && other.exists());
        remove_all(&files).unwrap();
    }
}
