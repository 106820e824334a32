//! What happens in the child?
//!
//! It confines itself, reads the file on its standard input, and writes its answer to its standard output; then it says on its
//! standard error what came of it (`report`).

use std::{
    fs::File,
    io::{self, Write},
    os::{
        fd::{AsFd, AsRawFd},
        unix::fs::FileExt,
    },
    panic,
    process::ExitCode,
};

use super::{
    confine::{self, Kept},
    input::Input,
    location, pdf, picture,
    report::{Outcome, Report},
};

/// What the child is to do with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Task {
    /// A smaller picture of a picture.
    Preview,
    /// The text of a PDF.
    Text,
    /// Overwrite where a picture was taken.
    Location,
}

/// The first argument of a child. No command of the command line has this name.
pub(super) const CHILD: &str = "media";

impl Task {
    const ALL: [Self; 3] = [Self::Preview, Self::Text, Self::Location];

    /// Returns the task of this process, if it is a child.
    pub(crate) fn planned() -> Option<Self> {
        let mut arguments = std::env::args_os().skip(1);
        let (first, second) = (arguments.next()?, arguments.next()?);
        Self::ALL.into_iter().find(|task| first == CHILD && second == task.name())
    }

    /// Returns its name, as an argument.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Preview => "preview",
            Self::Text => "text",
            Self::Location => "location",
        }
    }
}

/// Does the task with what is on standard input; for a process with one thread, which ends afterwards.
pub(crate) fn run(task: Task) -> ExitCode {
    match work(task) {
        Ok(()) => ExitCode::SUCCESS,
        // It is the app that says so: it sees the status.
        Err(_) => ExitCode::FAILURE,
    }
}

fn work(task: Task) -> io::Result<()> {
    // What a panic says would come from the file; and saying it takes system calls that are not left. The status tells of it.
    panic::set_hook(Box::new(|_| {}));
    confine::close_others();
    let file = File::from(io::stdin().as_fd().try_clone_to_owned()?);
    let mut answer = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let mut report = File::from(io::stderr().as_fd().try_clone_to_owned()?);
    #[cfg(feature = "faults")]
    let attempt = super::attempts::Attempt::planned();
    let mut input = Input::new(file)?;
    let kept = Kept {
        input: input.file().as_raw_fd(),
        outputs: [answer.as_raw_fd(), report.as_raw_fd()],
        overwrites: (task == Task::Location).then_some(input.length()),
    };
    confine::limit(&kept)?;
    let seccomp = confine::filter(&kept)?;
    #[cfg(feature = "faults")]
    if let Some(attempt) = attempt {
        attempt.make(input.file(), input.length())?;
    }
    let outcome = match task {
        Task::Preview => match picture::preview(input) {
            Ok(preview) => {
                answer.write_all(&preview)?;
                Outcome::Done
            }
            Err(outcome) => outcome,
        },
        Task::Text => match input.whole(pdf::MOST_BYTES)?.map_or(Err(Outcome::TooLarge), |bytes| pdf::text(&bytes)) {
            Ok(text) => {
                answer.write_all(text.as_bytes())?;
                Outcome::Done
            }
            Err(outcome) => outcome,
        },
        Task::Location => match input.whole(location::MOST_BYTES)? {
            Some(mut bytes) => {
                let changed = location::remove(&mut bytes);
                for range in &changed {
                    input.file().write_all_at(&bytes[range.clone()], range.start as u64)?;
                }
                if changed.is_empty() { Outcome::Nothing } else { Outcome::Done }
            }
            None => Outcome::TooLarge,
        },
    };
    let mut line = serde_json::to_vec(&Report { seccomp, outcome })?;
    line.push(b'\n');
    report.write_all(&line)
}
