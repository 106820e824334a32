//! What went wrong with a developer's command, and what helps?

use std::fmt;

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
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Problem {}
