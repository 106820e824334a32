//! Which program serves, and what becomes of an upgrade?
//!
//! The table of docs/ARCHITECTURE.md (*The decision*) as one function without I/O. The kept program is the app of the last good version; it
//! counts as there if its hash is right, it can be started now, and it reaches the database's floor and the image's security floor.

use crate::failure::Cause;

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A start has looked at everything.
    Start(Start),
    /// A rehearsal, or one of the four steps, failed. Nothing was committed.
    AttemptFailed(Class),
    /// A commit failed, and whether it is done could not be found out.
    CommitUnknown,
    /// The image's app fails within the hour after it took over.
    TrialFailed {
        /// Whether the kept program may serve the data as it is now.
        may_serve_now: bool,
        /// Whether nothing was written since the commit, and the kept program may serve what was there before it.
        may_go_back: bool,
    },
    /// The app fails for wrong settings, the memory limit or a full disk: no program would do better.
    Environment,
    /// The image's app crash-loops after that hour.
    GoodFailed,
    /// The kept program crash-loops.
    KeptFailed,
    /// A backup or snapshot is restored while the kept program serves.
    Restore {
        /// Whether it has the migrations of what is live.
        has_equal_migrations: bool,
    },
}

/// What a start has found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The image's app served this data last, and no migration is pending.
    SameImage,
    /// There is something to do for this image, and it was tried and failed by itself.
    Tried,
    /// Another app, or pending migrations.
    OtherImage,
    /// A newer version has migrated the data, and this image's app reaches its floor.
    NewerAboveFloor,
    /// The same, and it does not.
    NewerBelowFloor,
}

/// Why an attempt failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// The new version does not work on this data.
    ByItself,
    /// Space, memory, a busy lock or a kill: it may go well another time.
    Passing,
    /// The schema was changed by hand, or an index is damaged: the operator has to look.
    Finding,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Wait for the operator.
    Hold,
    /// Serve with the image's app.
    ServeImage,
    /// Make the next generation with the image's programs, then serve with its app.
    Upgrade,
    /// Serve with the kept program.
    ServeKept,
    /// The same, and rehearse the upgrade beside it; then make the next generation.
    ServeKeptAndRehearse,
    /// Make a clone of the data as it is, prove the kept program on it, and serve it: every write is kept.
    KeptOnPresent,
    /// The same of the generation before, since nothing was written.
    KeptOnBefore,
    /// Prove the kept program on what is restored.
    ProveKept,
    /// Refuse it, and go on.
    Refuse,
}

/// What is remembered of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remember {
    /// Nothing.
    Nothing,
    /// That it was tried: it is not tried again by itself.
    Tried,
    /// That it failed for a cause that passes: it is tried daily, and at the next start.
    Passing,
}

/// Returns the class of a failed attempt.
pub fn class(cause: Cause) -> Class {
    match cause {
        Cause::Drift | Cause::Damaged => Class::Finding,
        Cause::Interrupted => Class::Passing,
        cause if cause.passes() => Class::Passing,
        _ => Class::ByItself,
    }
}

/// Decides. `kept` says whether there is a kept program that may serve the live data.
pub fn decide(event: Event, kept: bool) -> (Action, Remember) {
    let or_hold = |action| if kept { action } else { Action::Hold };
    match event {
        Event::CommitUnknown => (Action::Hold, Remember::Nothing),
        Event::Start(Start::SameImage) => (Action::ServeImage, Remember::Nothing),
        Event::Start(Start::Tried) => (or_hold(Action::ServeKept), Remember::Nothing),
        Event::Start(Start::OtherImage) if kept => (Action::ServeKeptAndRehearse, Remember::Nothing),
        Event::Start(Start::OtherImage | Start::NewerAboveFloor) => (Action::Upgrade, Remember::Nothing),
        Event::Start(Start::NewerBelowFloor) => (Action::Hold, Remember::Nothing),
        Event::AttemptFailed(Class::ByItself) => (or_hold(Action::ServeKept), Remember::Tried),
        Event::AttemptFailed(Class::Passing) => (or_hold(Action::ServeKept), Remember::Passing),
        Event::AttemptFailed(Class::Finding) => (or_hold(Action::ServeKept), Remember::Nothing),
        Event::TrialFailed { may_serve_now: true, .. } if kept => (Action::KeptOnPresent, Remember::Tried),
        Event::TrialFailed { may_go_back: true, .. } if kept => (Action::KeptOnBefore, Remember::Tried),
        Event::TrialFailed { .. } => (Action::Hold, Remember::Tried),
        Event::Environment | Event::GoodFailed | Event::KeptFailed => (Action::Hold, Remember::Nothing),
        Event::Restore { has_equal_migrations: true } => (Action::ProveKept, Remember::Nothing),
        Event::Restore { has_equal_migrations: false } => (Action::Refuse, Remember::Nothing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every row of the table, with and without a kept program. Whether it is clear which data is meant is decided before
    /// ([`super::super::decide`]). A power cut or a TERM while the kept program serves, and that its file is gone, are no rows of their
    /// own: the next start finds the facts.
    #[test]
    fn the_table() {
        use Action::*;
        use Remember::*;
        let trial = |may_serve_now, may_go_back| Event::TrialFailed { may_serve_now, may_go_back };
        let rows = [
            // event, with a kept program, without, remembered
            (Event::Start(Start::SameImage), ServeImage, ServeImage, Nothing),
            (Event::Start(Start::Tried), ServeKept, Hold, Nothing),
            (Event::Start(Start::OtherImage), ServeKeptAndRehearse, Upgrade, Nothing),
            (Event::Start(Start::NewerAboveFloor), Upgrade, Upgrade, Nothing),
            (Event::Start(Start::NewerBelowFloor), Hold, Hold, Nothing),
            (Event::AttemptFailed(Class::ByItself), ServeKept, Hold, Tried),
            (Event::AttemptFailed(Class::Passing), ServeKept, Hold, Passing),
            (Event::AttemptFailed(Class::Finding), ServeKept, Hold, Nothing),
            (Event::CommitUnknown, Hold, Hold, Nothing),
            (trial(true, true), KeptOnPresent, Hold, Tried),
            (trial(true, false), KeptOnPresent, Hold, Tried),
            (trial(false, true), KeptOnBefore, Hold, Tried),
            (trial(false, false), Hold, Hold, Tried),
            (Event::Environment, Hold, Hold, Nothing),
            (Event::GoodFailed, Hold, Hold, Nothing),
            (Event::KeptFailed, Hold, Hold, Nothing),
            (Event::Restore { has_equal_migrations: true }, ProveKept, ProveKept, Nothing),
            (Event::Restore { has_equal_migrations: false }, Refuse, Refuse, Nothing),
        ];
        for (event, with, without, remembered) in rows {
            assert_eq!(decide(event, true), (with, remembered), "{event:?} with a kept program");
            assert_eq!(decide(event, false), (without, remembered), "{event:?} without");
        }
    }

    #[test]
    fn what_may_go_well_another_time_is_no_fault_of_the_version() {
        for (cause, expected) in [
            (Cause::NoSpace, Class::Passing),
            (Cause::Busy, Class::Passing),
            (Cause::Permission, Class::Passing),
            (Cause::Interrupted, Class::Passing),
            (Cause::Drift, Class::Finding),
            (Cause::Damaged, Class::Finding),
            (Cause::Migration, Class::ByItself),
            (Cause::Unproven, Class::ByItself),
            (Cause::Launch, Class::ByItself),
            (Cause::CrashLoop, Class::ByItself),
            (Cause::UnknownFormat, Class::ByItself),
            (Cause::Configuration, Class::ByItself),
        ] {
            assert_eq!(class(cause), expected, "{cause:?}");
        }
    }
}
