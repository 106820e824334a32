//! What is told of a release's steps, and how does one run cargo?

use std::io::{self, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::time::Instant;

use super::repository::Repository;
use crate::developer::{Problem, cargo};

/// Says something about the step under way. That nobody listens is no reason to stop.
pub(super) fn say(words: &str) {
    writeln!(io::stderr().lock(), "   {words}").ok();
}

/// Begins a step, so long after the first.
pub(super) fn begin(number: usize, of: usize, name: &str) {
    static BEGUN: OnceLock<Instant> = OnceLock::new();
    let seconds = BEGUN.get_or_init(Instant::now).elapsed().as_secs();
    writeln!(io::stderr().lock(), "== {number}/{of} {name} ({seconds} s)").ok();
}

/// Runs cargo at the top of the repository; its output goes where this one's goes.
///
/// # Errors
///
/// It cannot be started, or fails.
pub(super) fn cargo(repository: &Repository, arguments: &[&str], environment: &[(&str, &Path)]) -> Result<(), Problem> {
    let words = format!("cargo {}", arguments.join(" "));
    say(&words);
    let status = cargo::cargo()
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(&repository.root)
        // A program's result goes to standard output; this is talk.
        .stdout(io::stderr())
        .status()
        .map_err(|error| Problem::new(format!("cannot start {words}: {error}")))?;
    if status.success() { Ok(()) } else { Err(Problem::new(format!("{words} failed ({status})"))) }
}
