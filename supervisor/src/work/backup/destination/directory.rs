//! How do backups lie in a directory elsewhere, such as a NAS that is mounted?
//!
//! Under a hidden name until they are durable and were read back; then renamed. What is there may be read or planted by
//! others: no link below the root is followed, and what is no regular file is not there.
//!
//! The root must be there and is never made: a NAS that is not mounted is an error, and not a directory on the system's
//! own disk. So an operator names a directory *in* the mount; the mount point itself is there without the NAS, too.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, Read, Write},
    path::{Path, PathBuf},
};

use nix::{
    errno::Errno,
    fcntl::{PosixFadviseAdvice, posix_fadvise},
};

use super::{store::Store, validate::is_own_name};
use crate::{
    data::{
        durable::{self, Explain, beside, is_unfinished, open_regular},
        space,
    },
    failure::{Cause, Failure},
};

/// What must stay free there besides the archive: its description, and what a file system needs for itself.
const MARGIN: u64 = 16 << 20;

pub(super) struct Directory {
    root: PathBuf,
}

impl Directory {
    pub(super) fn open(root: PathBuf) -> Result<Self, Failure> {
        let hint = "is it mounted? Hearth makes the directories below it, but never the destination itself";
        match fs::metadata(&root) {
            Ok(stat) if stat.is_dir() => Ok(Self { root }),
            Ok(_) => Err(Failure::new(
                Cause::Configuration,
                format!("the destination {} is not a directory", root.display()),
            )),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                Err(Failure::new(Cause::Io, format!("the destination {} is not there", root.display())).hint(hint))
            }
            Err(error) => Err(Failure::io(format!("cannot look at the destination {}", root.display()), &error)),
        }
    }

    /// Returns an instance's directory, if it is there.
    fn existing(&self, instance: &str) -> Result<Option<PathBuf>, Failure> {
        let path = self.root.join(instance);
        match fs::symlink_metadata(&path) {
            Ok(stat) if stat.is_dir() => Ok(Some(path)),
            Ok(_) => {
                let message = format!("{} is not a directory, and no link to one is followed", path.display());
                Err(Failure::new(Cause::Configuration, message).hint("move it away; Hearth makes it anew"))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Failure::io(format!("cannot look at {}", path.display()), &error)),
        }
    }

    /// Returns an instance's directory, which is made if it is not there.
    fn own(&self, instance: &str) -> Result<PathBuf, Failure> {
        if let Some(path) = self.existing(instance)? {
            return Ok(path);
        }
        let path = self.root.join(instance);
        if durable::create_directory_if_missing(&path)? {
            durable::sync_directory(&self.root)?;
        }
        Ok(path)
    }
}

impl Store for Directory {
    fn instances(&self) -> Result<Vec<String>, Failure> {
        let mut instances = Vec::new();
        for (name, kind) in entries(&self.root)? {
            if kind.is_dir() {
                instances.push(name);
            }
        }
        Ok(instances)
    }

    /// Returns the regular files, with their lengths. A directory that is not there holds none.
    fn names(&self, instance: &str, _impatient: bool) -> Result<BTreeMap<String, u64>, Failure> {
        let Some(directory) = self.existing(instance)? else { return Ok(BTreeMap::new()) };
        let mut names = BTreeMap::new();
        for (name, kind) in entries(&directory)? {
            if kind.is_file() {
                match fs::symlink_metadata(directory.join(&name)) {
                    Ok(stat) if stat.is_file() => drop(names.insert(name, stat.len())),
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        return Err(Failure::io(format!("cannot look at {}", directory.join(&name).display()), &error));
                    }
                    _ => {}
                }
            }
        }
        Ok(names)
    }

    fn small(&self, instance: &str, name: &str, limit: u64) -> Result<Option<Vec<u8>>, Failure> {
        let Some(directory) = self.existing(instance)? else { return Ok(None) };
        let path = directory.join(name);
        match durable::read_small(&path, limit) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_nothing(&error) => Ok(None),
            Err(error) => Err(Failure::io(format!("cannot read {}", path.display()), &error)),
        }
    }

    fn stream(&self, instance: &str, name: &str) -> Result<Box<dyn Read + Send>, Failure> {
        let path = self.root.join(instance).join(name);
        self.existing(instance)?;
        let file = open_regular(&path).explain(|| format!("cannot read the backup {}", path.display()))?;
        Ok(Box::new(file))
    }

    /// Writes the file under its hidden name, durably, and returns the hash of what was written.
    fn upload(
        &self,
        instance: &str,
        name: &str,
        file: &mut File,
        bytes: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<String, Failure> {
        let directory = self.own(instance)?;
        self.sweep(instance)?;
        check_space(&directory, name, bytes)?;
        let path = beside(&directory.join(name));
        let mut target = durable::create_file(&path)?;
        let written = super::hash(file, progress, |piece| target.write_all(piece)).and_then(|hash| {
            target.sync_all()?;
            Ok(hash)
        });
        if written.is_err() {
            // The space is wanted by others.
            let _ = fs::remove_file(&path);
        }
        written.explain(|| format!("cannot write {}", path.display()))
    }

    /// Opens what was uploaded, to be read from the far end and not from this machine's memory.
    fn uploaded(&self, instance: &str, name: &str) -> Result<Box<dyn Read + Send>, Failure> {
        let path = beside(&self.root.join(instance).join(name));
        let file = open_regular(&path).explain(|| format!("cannot read {} back", path.display()))?;
        // It is durable, so all of it can be dropped. A file system that does not know the call keeps nothing either, or
        // gives what it keeps: that is as much as can be asked for.
        let _ = posix_fadvise(&file, 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        Ok(Box::new(file))
    }

    /// Gives what was uploaded its name.
    fn checkpoint(&self, instance: &str, name: &str) -> Result<(), Failure> {
        let target = self.root.join(instance).join(name);
        // Not a file, for that was looked for; but something that is none, and stays.
        if fs::symlink_metadata(&target).is_ok() {
            let message = format!("cannot write {}: something else is there already, and stays", target.display());
            return Err(Failure::new(Cause::Io, message).hint("look at what it is, and move it away"));
        }
        durable::rename(&beside(&target), &target)?;
        durable::sync_parent(&target)
    }

    fn write(&self, instance: &str, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        durable::write(&self.own(instance)?.join(name), bytes)
    }

    /// Writes it under its own name: no rename can meet another who has removed it.
    fn write_new(&self, instance: &str, name: &str, bytes: &[u8]) -> Result<(), Failure> {
        let path = self.own(instance)?.join(name);
        let mut file = durable::create_file(&path)?;
        let written = file.write_all(bytes).and_then(|()| file.sync_all());
        if written.is_err() {
            let _ = fs::remove_file(&path);
        }
        written.explain(|| format!("cannot write {}", path.display()))
    }

    fn delete(&self, instance: &str, name: &str) -> Result<(), Failure> {
        let Some(directory) = self.existing(instance)? else { return Ok(()) };
        if durable::remove_if_there(&directory.join(name))? { durable::sync_directory(&directory) } else { Ok(()) }
    }

    fn discard(&self, instance: &str, _name: &str) -> Result<(), Failure> {
        self.sweep(instance)
    }

    /// Removes what killed copies left under hidden names.
    fn sweep(&self, instance: &str) -> Result<(), Failure> {
        let Some(directory) = self.existing(instance)? else { return Ok(()) };
        for (name, kind) in entries(&directory)? {
            let target = name.strip_prefix('.').and_then(|name| name.strip_suffix(".new"));
            if is_unfinished(&name) && target.is_some_and(is_own_name) && !kind.is_dir() {
                durable::remove_if_there(&directory.join(&name))?;
            }
        }
        Ok(())
    }
}

/// Whether the error says that there is no such regular file of the length that was allowed.
fn is_nothing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData)
        || error.raw_os_error() == Some(Errno::ELOOP as i32)
}

/// Returns what is in a directory, links as links. A name that is no text is none that Hearth gave.
fn entries(directory: &Path) -> Result<Vec<(String, fs::FileType)>, Failure> {
    let doing = || format!("cannot read the directory {}", directory.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).explain(doing)? {
        let entry = entry.explain(doing)?;
        if let (Ok(name), Ok(kind)) = (entry.file_name().into_string(), entry.file_type()) {
            found.push((name, kind));
        }
    }
    Ok(found)
}

fn check_space(directory: &Path, name: &str, bytes: u64) -> Result<(), Failure> {
    let doing = format!("cannot copy {name}");
    space::check(&doing, directory, &[(bytes, "the archive")], MARGIN, String::new)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_little_space_is_said_with_the_sum_before_anything_is_written() {
        let directory = tempfile::tempdir().unwrap();
        check_space(directory.path(), "a.tar.zst", 0).unwrap();
        let failure = check_space(directory.path(), "a.tar.zst", 1 << 60).unwrap_err();
        assert_eq!(failure.cause, Cause::NoSpace);
        let place = directory.path().display();
        let sum = format!(
            "it needs 1024.0 PiB of free space in {place} (1024.0 PiB for the archive, 16.0 MiB to spare), and there are "
        );
        assert!(failure.message.contains(&sum), "{failure}");
        assert!(failure.hint.unwrap().ends_with(" there, then try again; nothing was changed"));
    }
}
