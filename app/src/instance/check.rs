//! What does the health document say about one check?

use std::time::Duration;

use serde::Serialize;

/// A read or write that takes longer makes the app *degraded*: a slow card, a backup, another process's lock.
pub(super) const SLOW: Duration = Duration::from_secs(2);

/// After so long it is not slow, it is stuck. Six times what SQLite waits for a lock.
pub(super) const STUCK: Duration = Duration::from_secs(30);

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    Ok,
    Degraded,
    Failing,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct Check {
    pub(super) status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) free_bytes: Option<u64>,
    /// Only where the file system has a fixed number of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) free_inodes: Option<u64>,
    /// What is wrong, in a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) detail: Option<String>,
    /// Whether what is in the database is damaged.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) damaged: bool,
}

impl Check {
    pub(super) fn ok() -> Self {
        Self { status: Status::Ok, free_bytes: None, free_inodes: None, detail: None, damaged: false }
    }

    pub(super) fn bad(status: Status, detail: impl Into<String>) -> Self {
        Self { status, free_bytes: None, free_inodes: None, detail: Some(detail.into()), damaged: false }
    }
}
