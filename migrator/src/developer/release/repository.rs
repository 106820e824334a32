//! What has the repository's git to say, and how are files written so that an interrupted release can go on?

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use semver::Version;

use crate::developer::Problem;
use crate::developer::releases::{self, Released};

/// Where releases leave their files.
pub(super) const RELEASES: &str = "migrator/releases";

/// A file that is being written: at the top, where it is on the same filesystem as all others. What is whole gets its own name.
const UNFINISHED: &str = ".release-unfinished";

/// The repository that is released.
#[derive(Clone, Debug)]
pub(super) struct Repository {
    /// Its top directory.
    pub(super) root: PathBuf,
}

impl Repository {
    /// Reads a file.
    pub(super) fn read(&self, file: &str) -> Result<String, Problem> {
        let path = self.root.join(file);
        fs::read_to_string(&path).map_err(|error| Problem::new(format!("cannot read {}: {error}", path.display())))
    }

    /// Returns the releases that left something, oldest first.
    pub(super) fn releases(&self) -> Result<Vec<Released>, Problem> {
        releases::of(&self.root.join(RELEASES))
    }

    /// Writes a file whole or not at all, and not if it is the same.
    pub(super) fn write(&self, file: &str, text: &str) -> Result<(), Problem> {
        let path = self.root.join(file);
        if fs::read(&path).is_ok_and(|is| is == text.as_bytes()) {
            return Ok(());
        }
        let new = self.root.join(UNFINISHED);
        let write = || {
            let mut file = File::create(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|error| Problem::new(format!("cannot write {}: {error}", path.display())))
    }

    /// Removes what a run that was killed had not written to its end.
    pub(super) fn tidy(&self) {
        fs::remove_file(self.root.join(UNFINISHED)).ok();
    }

    /// Returns what git prints, or none if it fails.
    fn ask(&self, arguments: &[&str]) -> Option<String> {
        let output = self.git(arguments).stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn git(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.root).args(arguments).stdin(Stdio::null());
        command
    }

    /// Lets git do something.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<(), Problem> {
        let failed = |what: String| Problem::new(format!("git {} {what}", arguments.first().unwrap_or(&"")));
        let output = self.git(arguments).output().map_err(|error| failed(format!("cannot be started: {error}")))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(failed(format!("failed: {}", String::from_utf8_lossy(&output.stderr).trim()))),
        }
    }

    /// Returns the files that differ from the last commit, new ones among them.
    pub(super) fn changed(&self) -> Result<Vec<String>, Problem> {
        let status =
            self.ask(&["status", "--porcelain", "-z", "--untracked-files=all", "--no-renames"]).ok_or_else(|| {
                Problem::new(format!("{} is no git repository", self.root.display()))
                    .hint("with --no-git everything but commit and tag is made")
            })?;
        Ok(status.split('\0').filter_map(|entry| entry.get(3..)).map(str::to_owned).collect())
    }

    /// Returns the first line of the last commit's message.
    pub(super) fn last_subject(&self) -> String {
        self.ask(&["log", "-1", "--format=%s"]).unwrap_or_default().trim().to_owned()
    }

    /// Returns the commit that the tag of a version names, and whether it is the last one.
    pub(super) fn tagged(&self, version: &Version) -> Option<(String, bool)> {
        let tag = self.ask(&["rev-parse", "--verify", "--quiet", &format!("refs/tags/v{version}^{{commit}}")])?;
        let head = self.ask(&["rev-parse", "HEAD"])?;
        Some((tag.trim().chars().take(12).collect(), tag == head))
    }
}

/// Returns every file in these directories and files, sorted, but those for which `left_out` says so.
pub(super) fn files_in(root: &Path, names: &[&str], left_out: impl Fn(&Path) -> bool) -> Result<Vec<PathBuf>, Problem> {
    let mut found = Vec::new();
    let mut open: Vec<PathBuf> = names.iter().map(|name| root.join(name)).collect();
    while let Some(path) = open.pop() {
        if left_out(path.strip_prefix(root).unwrap_or(&path)) {
            continue;
        }
        if path.is_dir() {
            let failed = |error| Problem::new(format!("cannot read {}: {error}", path.display()));
            for entry in fs::read_dir(&path).map_err(failed)? {
                open.push(entry.map_err(failed)?.path());
            }
        } else {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
