//! What is told of a release's steps, and how does one run cargo?

use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Instant;

use super::repository::Repository;
use crate::developer::Problem;

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
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    // What cargo says to the program that it runs is of that program's package and of no other.
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        let is_of_package = ["CARGO_PKG_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_MANIFEST_"];
        if is_of_package.iter().any(|begin| name.starts_with(begin)) || name == "CARGO_PRIMARY_PACKAGE" {
            command.env_remove(&*name);
        }
    }
    let status = command
        .args(arguments)
        .envs(environment.iter().copied())
        .current_dir(&repository.root)
        .stdin(Stdio::null())
        // A program's result goes to standard output; this is talk.
        .stdout(io::stderr())
        .status()
        .map_err(|error| Problem::new(format!("cannot start {words}: {error}")))?;
    if status.success() { Ok(()) } else { Err(Problem::new(format!("{words} failed ({status})"))) }
}
