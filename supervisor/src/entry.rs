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

/// What a command line asks for.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// What comes between a child's start and its program, by this plan.
    Launch(String),
    /// The program of this name beside this one, with these arguments.
    Sibling(&'static str, Vec<OsString>),
    /// A command of the supervisor's, with the program's name before it.
    Command(Vec<OsString>),
}

fn entry(arguments: impl IntoIterator<Item = OsString>) -> Entry {
    let mut words: Vec<OsString> = arguments.into_iter().collect();
    let text = |word: &OsString| word.to_string_lossy().into_owned();
    match words.get(1).and_then(|word| word.to_str()) {
        Some("launch") if words.len() > 2 => Entry::Launch(text(&words[2])),
        Some("migrator") => Entry::Sibling("migrator", words.split_off(2)),
        Some("app") => Entry::Sibling("app", words.split_off(2)),
        Some("supervisor") => {
            words.remove(1);
            Entry::Command(words)
        }
        _ => Entry::Command(words),
    }
}

/// Runs what this process's command line asks for; returns the exit status.
pub fn main() -> ExitCode {
    let asked = entry(std::env::args_os());
    // A token, the keys of an S3 server, a household's data: nobody else's to read. The others become another program.
    if let Entry::Command(_) = asked {
        sandbox::close_to_others();
    }
    // Before there is a second thread. What cannot be helped shows at the first process that is started.
    let _ = clone3::mask_if_refused();
    if let Entry::Launch(_) = asked {
        // Started by way of /proc/self/exe, the process would be called `exe`.
        let _ = nix::sys::prctl::set_name(c"supervisor");
    }
    match asked {
        Entry::Launch(plan) => launch::main(&plan),
        Entry::Sibling(program, arguments) => {
            cli::say_failure(&become_sibling(program, &arguments));
            ExitCode::FAILURE
        }
        Entry::Command(words) => cli::main(words),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> Entry {
        entry(line.split(' ').map(OsString::from))
    }

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn the_first_word_names_the_program_and_anything_else_is_the_supervisors() {
        for (line, command) in [
            ("/app/supervisor", "/app/supervisor"),
            ("/app/supervisor backup list", "/app/supervisor backup list"),
            ("/app/supervisor supervisor backup list", "/app/supervisor backup list"),
            ("/app/supervisor supervisor", "/app/supervisor"),
            ("/app/supervisor --help", "/app/supervisor --help"),
            // Only once: this is a mistake, and is told as one.
            ("/app/supervisor supervisor migrator", "/app/supervisor migrator"),
            ("/app/supervisor launch", "/app/supervisor launch"),
        ] {
            assert_eq!(asked(line), Entry::Command(words(command)), "{line}");
        }
        assert_eq!(asked("supervisor migrator status --json"), Entry::Sibling("migrator", words("status --json")));
        assert_eq!(asked("supervisor app"), Entry::Sibling("app", Vec::new()));
        assert_eq!(asked("supervisor launch {}"), Entry::Launch("{}".into()));
    }
}
