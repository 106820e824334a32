//! Which source files have changed?
//!
//! The files' times are looked at, four times a second: some 400 files cost a thousandth of that, and unlike inotify it works on the
//! shared directories of virtual machines and needs no watch for each new directory.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

const PAUSE: Duration = Duration::from_millis(250);

/// What no program is made of.
const NOT_SOURCES: [&str; 6] = ["target", "tests", "benches", "examples", "fuzz", "__pycache__"];

/// Time and length of each file.
type Files = BTreeMap<PathBuf, (SystemTime, u64)>;

/// Files and directories, and what was last seen of them.
pub(super) struct Watch {
    roots: Vec<PathBuf>,
    seen: Files,
}

impl Watch {
    pub(super) fn new(roots: Vec<PathBuf>) -> Watch {
        Watch { roots, seen: Files::new() }
    }

    /// Takes what is there now for known.
    pub(super) fn look(&mut self) {
        self.seen = self.files();
    }

    /// Waits until something is different, and then until nothing changes any more; returns what it was.
    pub(super) async fn change(&mut self) -> String {
        loop {
            tokio::time::sleep(PAUSE).await;
            let mut now = self.files();
            if now == self.seen {
                continue;
            }
            // An editor saves several files, and git changes many.
            loop {
                tokio::time::sleep(PAUSE).await;
                let then = self.files();
                if then == now {
                    break;
                }
                now = then;
            }
            if now != self.seen {
                let what = self.describe(&now);
                self.seen = now;
                return what;
            }
        }
    }

    fn describe(&self, now: &Files) -> String {
        let paths = now.keys().chain(self.seen.keys().filter(|path| !now.contains_key(*path)));
        let mut changed = paths.filter(|path| now.get(*path) != self.seen.get(*path));
        let first = changed.next().map_or_else(String::new, |path| self.name(path));
        match changed.count() {
            0 => first,
            more => format!("{first} and {}", crate::error::counted(more, "other file", "other files")),
        }
    }

    /// A path as the developer knows it.
    fn name(&self, path: &Path) -> String {
        let top = crate::developer::releases::root();
        path.strip_prefix(&top).unwrap_or(path).display().to_string()
    }

    fn files(&self) -> Files {
        let mut files = Files::new();
        for root in &self.roots {
            collect(root, &mut files);
        }
        files
    }
}

/// Adds a file, or all source files in a directory. What cannot be read is not there.
fn collect(path: &Path, files: &mut Files) {
    let Ok(metadata) = fs::metadata(path) else { return };
    if !metadata.is_dir() {
        let time = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        files.insert(path.to_owned(), (time, metadata.len()));
        return;
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if is_source(&entry.file_name().to_string_lossy()) {
            collect(&entry.path(), files);
        }
    }
}

/// Whether a name is one of a source file or directory, and not of what an editor or a tool puts beside it.
fn is_source(name: &str) -> bool {
    let of_an_editor = name.starts_with(['.', '#'])
        || name.ends_with('~')
        || [".swp", ".swx", ".tmp", ".bak", ".orig", ".rej"].iter().any(|end| name.ends_with(end))
        // Vim tries whether it can make a file of this name.
        || name == "4913";
    !of_an_editor && !NOT_SOURCES.contains(&name)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "in a test a panic is the answer")]

    use super::*;

    #[tokio::test]
    async fn a_change_of_a_source_file_is_seen_and_what_an_editor_puts_beside_it_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let place = |name: &str| directory.path().join(name);
        fs::create_dir_all(place("src/records")).unwrap();
        fs::write(place("src/records/api.rs"), "one").unwrap();
        fs::write(place("src/lib.rs"), "one").unwrap();
        let mut watch = Watch::new(vec![directory.path().to_owned(), place("not there")]);
        watch.look();
        let known = watch.seen.clone();
        for name in [".lib.rs.swp", "lib.rs~", "4913", "#lib.rs#", ".#lib.rs", "lib.rs.orig"] {
            fs::write(place("src").join(name), "a draft").unwrap();
        }
        for name in ["target", "tests", ".git"] {
            fs::create_dir(place(name)).unwrap();
            fs::write(place(name).join("file.rs"), "none of the programs").unwrap();
        }
        assert_eq!(watch.files(), known);

        fs::write(place("src/records/api.rs"), "and two").unwrap();
        assert!(watch.change().await.ends_with("src/records/api.rs"));
        fs::create_dir(place("src/new")).unwrap();
        fs::write(place("src/new/mod.rs"), "").unwrap();
        fs::remove_file(place("src/lib.rs")).unwrap();
        let both = watch.change().await;
        assert!(both.ends_with("src/new/mod.rs and 1 other file"), "{both}");
    }
}
