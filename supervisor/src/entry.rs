//! Which program is meant by the first word of the command line?
//!
//! In an image this program is the entrypoint, and what an operator writes after the image's or the service's name
//! comes to it: `supervisor restore latest` and `restore latest` mean the same, `migrator …` and `app …` are the
//! programs beside this one, `launch …` the step that the supervisor starts itself as. Everything else
//! is a command of the supervisor's own.

use std::{
    ffi::OsString,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use crate::{
    cli,
    failure::{Cause, Failure},
    process::{clone3, launch, sandbox},
};

/// Runs what this process's command line asks for; returns the exit status.
pub fn main() -> ExitCode {
    // Before there is a second thread. What cannot be helped shows at the first process that is started.
    let _ = clone3::mask_if_refused();
    let mut words: Vec<OsString> = std::env::args_os().collect();
    match words.get(1).and_then(|word| word.to_str()) {
        // What comes between a child's start and its program, by the plan in the second word.
        Some("launch") if words.len() > 2 => {
            // Started by way of /proc/self/exe, the process would be called `exe`.
            let _ = nix::sys::prctl::set_name(c"supervisor");
            launch::main(&words[2].to_string_lossy())
        }
        Some(program @ ("migrator" | "app")) => {
            cli::say_failure(&become_sibling(program, &words[2..]));
            ExitCode::FAILURE
        }
        first => {
            // The program's name before it.
            if first == Some("supervisor") {
                words.remove(1);
            }
            // A token, the keys of an S3 server, a household's data: nobody else's to read. The others become another program.
            sandbox::close_to_others();
            cli::main(words)
        }
    }
}

/// Becomes the program; returns why it could not.
fn become_sibling(program: &str, arguments: &[OsString]) -> Failure {
    let beside = |own: PathBuf| own.parent().unwrap_or(Path::new("/")).join(program);
    let path = match std::env::current_exe() {
        Ok(own) => beside(own),
        Err(error) => return Failure::io("cannot tell where this program lies", &error),
    };
    let error = Command::new(&path).args(arguments).exec();
    Failure::new(Cause::Launch, format!("cannot start {}: {error}", path.display()))
        .hint("in the image it lies beside the supervisor; from source it is built with: cargo build --release")
}
