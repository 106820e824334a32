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
        let lines: String = failures.iter().map(|failure| format!("\n  {}", failure.to_line())).collect();
        Self::new(format!("{} mistakes in the settings:{lines}", failures.len()))
    }

    /// Returns what happened and what to do about it, in a line.
    pub(crate) fn to_line(&self) -> String {
        match &self.hint {
            Some(hint) => format!("{}; {hint}", self.message),
            None => self.message.clone(),
        }
    }

    /// Returns it as the supervisor reads it, of a setting that cannot be used.
    pub(crate) fn document(&self) -> serde_json::Value {
        let mut document = serde_json::json!({ "cause": "configuration", "message": self.message });
        if let Some(hint) = &self.hint {
            document["hint"] = hint.as_str().into();
        }
        document
    }

    /// Returns it as commands print it with `--json`, in the form of the supervisor's commands.
    pub(crate) fn json(&self) -> serde_json::Value {
        let mut error = serde_json::json!({ "cause": "failed", "message": self.message });
        if let Some(hint) = &self.hint {
            error["hint"] = hint.as_str().into();
        }
        serde_json::json!({ "format": 1, "error": error })
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
