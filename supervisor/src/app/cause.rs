//! Did the app fail for a reason that passes by itself?
//!
//! An app that cannot write may report it, or may simply end. So after a failure the preflight job runs again: is the disk full
//! (space, inodes, quota), read-only, or closed to this user?

use std::time::Duration;

use crate::{
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Findings, Job, child},
    process::deadline::within,
};

/// How long the trial may take. A disk that does not answer is none that is full.
const PATIENCE: Duration = Duration::from_secs(10);

/// Returns the failure with the cause that passes, if there is one now; else as it is.
pub async fn passing(instance: &Instance, failure: Failure) -> Failure {
    if !failure.cause.is_attempt_failure() {
        return failure;
    }
    match within(PATIENCE, child::run::<Findings>(instance, Job::Preflight)).await {
        Some(Err(found)) => explained(failure, found),
        Some(Ok(_)) | None => failure,
    }
}

fn explained(failure: Failure, found: Failure) -> Failure {
    let what = match found.cause {
        Cause::NoSpace => "the disk is full",
        Cause::Permission => "the disk cannot be written to",
        _ => return failure,
    };
    Failure { message: format!("{what}: {found}; {failure}"), ..found }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_passes_takes_the_place_of_how_the_app_ended() {
        let ended = || Failure::new(Cause::CrashLoop, "the app ended 5 times within 5m");
        let full = Failure::new(Cause::NoSpace, "only 0 B are free in /data").hint("free some space there");
        let explained_by_it = explained(ended(), full.clone());
        assert_eq!(explained_by_it.cause, Cause::NoSpace);
        assert_eq!(
            explained_by_it.message,
            "the disk is full: only 0 B are free in /data; the app ended 5 times within 5m"
        );
        assert_eq!(explained_by_it.hint, full.hint);
        let read_only = Failure::new(Cause::Permission, "cannot write in /data: read-only file system");
        assert!(
            explained(ended(), read_only).message.starts_with("the disk cannot be written to: cannot write in /data")
        );
        for other in [Cause::Io, Cause::Interrupted, Cause::FileSystem, Cause::Busy] {
            assert_eq!(explained(ended(), Failure::new(other, "the job preflight was ended by SIGKILL")), ended());
        }
    }
}
