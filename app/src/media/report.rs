//! What does the child say at its end?
//!
//! One line of JSON on its standard error, after all that it wrote to its standard output.

use serde::{Deserialize, Serialize};

/// The line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Report {
    /// Whether the kernel took the filter of system calls.
    pub(super) seccomp: bool,
    /// What came of the work.
    pub(super) outcome: Outcome,
}

/// What came of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    /// The result is on the standard output, or in the file.
    Done,
    /// There is nothing: no text, no location.
    Nothing,
    /// The file is damaged, or something else.
    Unreadable,
    /// The file has too many bytes, pixels or both.
    TooLarge,
}

impl Report {
    /// Reads what a child wrote, which may be anything.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        serde_json::from_slice(bytes).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_as_it_was_written_and_anything_else_is_none() {
        let report = Report { seccomp: true, outcome: Outcome::TooLarge };
        let line = serde_json::to_vec(&report).unwrap();
        assert_eq!(line, br#"{"seccomp":true,"outcome":"too-large"}"#);
        assert_eq!(Report::read(&line), Some(report));
        for other in [&b""[..], b"{}", b"\xff", br#"{"seccomp":true,"outcome":"all is well"}"#, &line[1..]] {
            assert_eq!(Report::read(other), None);
        }
    }
}
