//! What does the operator read when the app cannot do its work?

use std::fmt;

/// A sentence about what went wrong, and one about what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// What happened, to which file or setting; starts in lower case, without a full stop.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    /// Whether what is in the database cannot be used, whatever the machine does.
    pub(crate) is_of_the_data: bool,
}

impl Failure {
    /// Returns a failure without a hint.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, is_of_the_data: false }
    }

    /// Returns the same failure, said of what is in the database.
    pub(crate) fn of_the_data(mut self) -> Self {
        self.is_of_the_data = true;
        self
    }

    /// Returns one failure that tells all of these.
    pub(crate) fn all(mut failures: Vec<Self>) -> Self {
        if failures.len() == 1 {
            return failures.remove(0);
        }
        let lines = failures.iter().map(|failure| match &failure.hint {
            Some(hint) => format!("\n  {}; {hint}", failure.message),
            None => format!("\n  {}", failure.message),
        });
        Self::new(format!("{} mistakes in the settings:{}", failures.len(), lines.collect::<String>()))
    }

    /// Returns the same failure with a hint.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        if let Some(hint) = &self.hint {
            write!(f, "\nhint: {hint}")?;
        }
        Ok(())
    }
}
