//! What went wrong with a developer's command, and what helps?

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// What a developer's command says when it cannot do what it was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What happened, to which file, and what state things are in.
    pub message: String,
    /// What to do about it, if there is something to say.
    pub hint: Option<String>,
}

impl Problem {
    /// A problem with no hint.
    pub fn new(message: impl Into<String>) -> Problem {
        Problem { message: message.into(), hint: None }
    }

    /// The same with what helps.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Problem {
        Problem { hint: Some(hint.into()), ..self }
    }

    /// Says on standard error what is wrong and what helps, and returns the status to exit with. That nobody listens is not a
    /// second problem.
    pub fn tell(&self) -> ExitCode {
        let mut words = format!("error: {self}\n");
        if let Some(hint) = &self.hint {
            words.push_str(&format!("hint: {hint}\n"));
        }
        io::stderr().lock().write_all(words.as_bytes()).ok();
        ExitCode::FAILURE
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
