//! What is the supervisor doing, and where is that published?
//!
//! The [`StatusPublisher`] is the one place where a transition is logged, remembered and published: to the control socket,
//! and to the door's page.

mod backups;
mod fallback;
pub mod log;
mod time_zone;
pub mod update;

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    fmt,
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

pub use self::backups::{Backups, COPY, LastBackup, Storage, StorageKind};
pub use self::fallback::{Fallback, as_header};
pub use self::time_zone::{Change, TimeZone};
use self::update::Update;
use crate::{
    data::{
        GenerationId, lock,
        size::{Size, counted},
        state::{FORMAT, Held, Step},
    },
    failure::Failure,
};

/// The version of this supervisor, and so of the image it came in.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Which attempt at a boot it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The first one of this start.
    First,
    /// The operator asked for another.
    Requested,
    /// The cause may have passed: it stays held until it serves.
    Recheck,
}

/// The phases of the supervisor, and the steps of what it does beside the serving app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Signals, lock, socket, preflight.
    Starting(Attempt),
    /// What was not committed is removed.
    Recovering,
    /// The migrator says what is pending.
    Planning,
    /// The next generation is made as a clone.
    Staging(GenerationId),
    /// The migrations run on it.
    Migrating(GenerationId),
    /// The app runs on it in private.
    Proving(GenerationId),
    /// It is finalized and becomes the live one.
    Committing(GenerationId),
    /// The app starts or starts again.
    Restarting,
    /// The app serves.
    Serving,
    /// The supervisor waits for the operator; the data is safe.
    Held(Box<Held>),
    /// The app is told to end.
    Stopping,
    /// An upgrade is tried on a copy, beside the app that serves.
    Rehearsing,
    /// A backup is made.
    BackingUp,
    /// A backup is verified.
    Verifying,
    /// An app is booted from a backup.
    Drilling,
    /// What the policy does not keep is removed.
    Pruning,
    /// A destination, by its name, is brought up to date.
    Copying(String),
}

impl Phase {
    /// The phase's name, as in `status`.
    pub fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Starting(_) => "starting",
            Self::Recovering => "recovering",
            Self::Planning => "planning",
            Self::Staging(_) => "staging",
            Self::Migrating(_) => "migrating",
            Self::Proving(_) => "proving",
            Self::Committing(_) => "committing",
            Self::Restarting => "restarting",
            Self::Serving => "serving",
            Self::Held(_) => "held",
            Self::Stopping => "stopping",
            Self::Rehearsing => "rehearsing",
            Self::BackingUp => "backing-up",
            Self::Verifying => "verifying",
            Self::Drilling => "drilling",
            Self::Pruning => "pruning",
            Self::Copying(destination) => return Cow::Owned(format!("copying to {destination}")),
        })
    }

    /// Returns the generation that is being made.
    fn next(&self) -> Option<GenerationId> {
        match self {
            Self::Staging(id) | Self::Migrating(id) | Self::Proving(id) | Self::Committing(id) => Some(*id),
            _ => None,
        }
    }

    /// Whether it is a phase of the supervisor, and whether one of the operation that is under way. A restore stages and migrates
    /// beside the serving app; from its proof on the app is stopped.
    fn belongs(&self, under_way: bool) -> (bool, bool) {
        match self {
            Self::Rehearsing
            | Self::BackingUp
            | Self::Verifying
            | Self::Drilling
            | Self::Pruning
            | Self::Copying(_) => (false, true),
            Self::Staging(_) | Self::Migrating(_) => (!under_way, under_way),
            Self::Proving(_) | Self::Committing(_) => (true, under_way),
            _ => (true, false),
        }
    }

    /// Returns the step that a failure in this phase has reached.
    fn step(&self) -> Option<Step> {
        Some(match self {
            Self::Starting(_) => Step::Starting,
            Self::Recovering => Step::Recovering,
            Self::Planning => Step::Planning,
            Self::Staging(_) => Step::Staging,
            Self::Migrating(_) => Step::Migrating,
            Self::Proving(_) => Step::Proving,
            Self::Committing(_) => Step::Committing,
            Self::Restarting | Self::Serving => Step::Serving,
            _ => return None,
        })
    }
}

/// How the container's health check sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// The app serves and is healthy.
    Healthy,
    /// The app serves, and says of itself that something is wrong.
    Degraded,
    /// The supervisor is doing its work; nothing should kill it.
    #[default]
    Working,
    /// It waits for the operator.
    Held,
}

/// How far a step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Units done.
    pub done: u64,
    /// Units in all.
    pub total: u64,
    /// What is counted.
    pub unit: Unit,
}

impl Progress {
    /// Returns how much of it is done; nothing to do is all of it.
    pub fn percent(self) -> u8 {
        (u128::from(self.done.min(self.total)) * 100).checked_div(self.total.into()).unwrap_or(100) as u8
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.unit {
            Unit::Bytes => write!(f, "{} of {}", Size(self.done.min(self.total)), Size(self.total)),
            Unit::Rows => write!(f, "{} of {} rows", self.done, self.total),
            Unit::Migrations => {
                write!(f, "{} of {}", self.done.min(self.total), counted(self.total, "migration", "migrations"))
            }
        }
    }
}

/// What progress counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Migrations.
    Migrations,
    /// Rows of a table that a migration goes through.
    Rows,
}

/// The app as the supervisor sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppStatus {
    /// Its pid, while it runs.
    pub pid: Option<i32>,
    /// Whether it has said that it is ready and answered a health check.
    pub ready: bool,
    /// How often it was started again since the supervisor's start.
    pub restarts: u32,
    /// What it last said of itself (sd_notify's `STATUS=`).
    pub says: Option<String>,
    /// What its last health answer said: `ok`, `degraded` or `failing`.
    pub health: Option<String>,
    /// What its checks said with that, where it was not `ok`.
    #[serde(default)]
    pub health_detail: Option<String>,
    /// How it last ended, and why if that is known.
    pub last_exit: Option<String>,
}

/// An operation on data that was ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OperationStatus {
    /// A number that tells it from earlier ones.
    pub id: u64,
    /// What it is, such as `restore 0006`.
    pub what: String,
    /// Since when.
    pub since: String,
    /// The name of its step's phase.
    pub phase: String,
    /// What came of it, once it has ended.
    pub outcome: Option<Outcome>,
    /// What it found or made, for programs: the document that the command prints with `--json`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<serde_json::Value>,
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is done; a sentence.
    Done(String),
    /// It failed.
    Failed(Failure),
}

/// The document that `supervisor status --json` prints; docs/contracts/control-status.json.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// [`FORMAT`].
    pub format: u32,
    /// The supervisor's version.
    pub version: String,
    /// Who answers: `process 1 on host 5f0c…`.
    #[serde(default)]
    pub supervisor: String,
    /// The name of the phase.
    pub phase: String,
    /// Since when, RFC 3339.
    pub since: String,
    /// How many boots were begun since the supervisor started: one, and one for each further try of what was held.
    pub boots: u32,
    /// How the container's health check sees it.
    pub health: Health,
    /// The live generation, once it is known.
    pub live: Option<GenerationId>,
    /// The generation that is being made.
    pub next: Option<GenerationId>,
    /// How far the step is.
    pub progress: Option<Progress>,
    /// The address of the public socket.
    pub listen: String,
    /// The address that people open: `http.public_url`, else as this machine reaches it; empty until the socket is bound.
    #[serde(default)]
    pub open: String,
    /// The data directory.
    pub data_dir: String,
    /// The time zone of `TZ`, for people's eyes: all times here are in UTC.
    #[serde(default)]
    pub time_zone: TimeZone,
    /// What app, migrator and jobs are confined by: `Landlock ABI 7, seccomp`, `none`; empty until it was tried out.
    #[serde(default)]
    pub sandbox: String,
    /// The app.
    pub app: AppStatus,
    /// Which earlier version serves in place of this one, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<Fallback>,
    /// Why it is held.
    pub held: Option<Held>,
    /// The operation under way, or the last one.
    pub operation: Option<OperationStatus>,
    /// How the backups are, once that was looked at.
    #[serde(default)]
    pub backups: Backups,
    /// What is known of newer versions, once that was asked.
    #[serde(default)]
    pub update: Update,
    /// What is not as it should be without being a failure: fallbacks, a FUSE file system, what could not be saved.
    pub notes: Vec<String>,
}

/// The published status.
pub struct StatusPublisher {
    status: RefCell<Status>,
    /// How the backups are, without the trials of their storage.
    backups: RefCell<Backups>,
    step: Cell<Step>,
    changed: watch::Sender<()>,
}

/// Returns the present time as the documents have it.
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

impl StatusPublisher {
    /// Makes the publisher of a supervisor that starts.
    pub fn new(listen: String, data_dir: String) -> Self {
        let status = Status {
            format: FORMAT,
            version: VERSION.to_owned(),
            supervisor: format!("process {} on host {}", std::process::id(), lock::host()),
            phase: "starting".to_owned(),
            since: now(),
            listen,
            data_dir,
            ..Status::default()
        };
        Self {
            status: RefCell::new(status),
            backups: RefCell::default(),
            step: Cell::new(Step::Starting),
            changed: watch::channel(()).0,
        }
    }

    /// Returns the status as it is now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Tells of each later change.
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Changes the status in place, and publishes it.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.borrow_mut());
        self.changed.send_replace(());
    }

    /// Publishes what came of the operation: a sentence, or what went wrong.
    pub fn end_operation(&self, outcome: Result<String, Failure>) {
        self.update(|status| {
            status.progress = None;
            if let Some(operation) = &mut status.operation {
                operation.outcome = Some(outcome.map_or_else(Outcome::Failed, Outcome::Done));
            }
        });
    }

    /// Returns the step to serving that was reached last.
    pub fn step(&self) -> Step {
        self.step.get()
    }

    /// Enters a phase: the one transition function.
    pub fn enter(&self, phase: Phase) {
        let under_way = self.status.borrow().operation.as_ref().is_some_and(|operation| operation.outcome.is_none());
        let (is_own, is_operations) = phase.belongs(under_way);
        tracing::debug!(phase = %phase.name(), is_own, is_operations, "entering");
        self.update(|status| {
            status.progress = None;
            if is_operations && let Some(operation) = &mut status.operation {
                operation.phase = phase.name().into_owned();
            }
            if is_own {
                transition(status, &phase, is_operations);
            }
        });
        if is_own && let Some(step) = phase.step() {
            self.step.set(step);
        }
        self.judge();
    }

    /// Publishes how the backups are; what is newly wrong is told to the log, once.
    pub fn publish_backups(&self, backups: Backups) {
        self.backups.replace(backups);
        let storage = self.status.borrow().backups.storage.clone();
        self.show_backups(storage);
    }

    /// Publishes where backups are kept, before anything is known of it.
    pub fn publish_storage(&self, storage: Vec<Storage>) {
        self.show_backups(storage);
    }

    /// Publishes what came of the last use of a place for backups: why it cannot be written to, or that it can.
    pub fn publish_trial(&self, kind: StorageKind, name: &str, trouble: Option<String>) {
        let mut storage = self.status.borrow().backups.storage.clone();
        let Some(tried) = storage.iter_mut().find(|known| known.kind == kind && known.name == name) else { return };
        let is_well_again = tried.trouble.is_some() && trouble.is_none();
        tried.tried(trouble);
        if is_well_again {
            tracing::info!(target: "Backup", "backups can be written to {name} again");
        }
        self.show_backups(storage);
    }

    fn show_backups(&self, storage: Vec<Storage>) {
        let backups = self.backups.borrow().clone().with(storage);
        let before = self.status.borrow().backups.clone();
        if backups.overdue_since.is_some() && before.overdue_since.is_none() {
            tracing::warn!(target: "Backup", "{}", backups.warning().unwrap_or_default());
        }
        for trouble in backups.trouble.iter().filter(|trouble| !before.trouble.contains(trouble)) {
            tracing::warn!(target: "Backup", "{trouble}");
        }
        if before.warning().is_some() && backups.warning().is_none() {
            tracing::info!(target: "Backup", "backups are well again");
        }
        if before != backups {
            self.update(|status| status.backups = backups);
            self.judge();
        }
    }

    /// Publishes what is known of newer versions; one that was not known before is told to the log.
    pub fn publish_update(&self, update: Update) {
        if let Some(news) = update.news().filter(|_| self.status.borrow().update.newest != update.newest) {
            tracing::info!(target: "Update", "{news}");
        }
        self.update(|status| status.update = update);
    }

    /// Judges the health of a supervisor whose app serves: by what the app said last, and by the backups.
    pub fn judge(&self) {
        let (health, before) = {
            let status = self.status.borrow();
            if status.phase != Phase::Serving.name() {
                return;
            }
            let app_is_well = status.app.health.as_ref().is_none_or(|word| word == "ok");
            let has_failed = status.fallback.as_ref().is_some_and(|fallback| fallback.failure.is_some());
            let well = app_is_well && !has_failed && status.backups.warning().is_none();
            (if well { Health::Healthy } else { Health::Degraded }, status.health)
        };
        if health != before {
            self.update(|status| status.health = health);
        }
    }

    /// Says how far the step is.
    pub fn progress(&self, done: u64, total: u64, unit: Unit) {
        self.update(|status| status.progress = Some(Progress { done, total, unit }));
    }

    /// Notes, once, what is not as it should be: one log line and one field of the status.
    pub fn note(&self, note: impl Into<String>) {
        let note = note.into();
        if !self.status.borrow().notes.contains(&note) {
            tracing::warn!(target: "Supervisor", "{note}");
            self.update(|status| status.notes.push(note));
        }
    }
}

/// Brings the status to a phase of the supervisor. Pure but for the clock: whether the supervisor is held is in [`Status::held`]
/// and nowhere else.
fn transition(status: &mut Status, phase: &Phase, is_operations: bool) {
    match phase {
        Phase::Held(held) => {
            status.live = held.live;
            status.held = Some((**held).clone());
        }
        // A further look stays held until the app serves.
        Phase::Starting(Attempt::First | Attempt::Requested) | Phase::Serving | Phase::Stopping => status.held = None,
        _ if is_operations => status.held = None,
        _ => {}
    }
    if let Phase::Starting(_) = phase {
        // What was noted at an earlier boot is looked at anew.
        status.boots += 1;
        status.notes.clear();
    }
    status.next = phase.next();
    status.health = match (&status.held, phase) {
        (Some(_), _) => Health::Held,
        (None, Phase::Serving) => Health::Healthy,
        (None, _) => Health::Working,
    };
    if status.phase != phase.name() {
        status.phase = phase.name().into_owned();
        status.since = now();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Cause;

    fn held(cause: Cause) -> Phase {
        Phase::Held(Box::new(Held {
            format: FORMAT,
            failure: Failure::new(cause, "it failed"),
            doing: "checking".into(),
            since: now(),
            version: VERSION.into(),
            image: String::new(),
            live: None,
            ways_out: Vec::new(),
            step: Some(Step::Starting),
            settings: None,
            data: None,
        }))
    }

    #[test]
    fn a_cause_that_has_passed_leaves_no_trace_in_later_restarts() {
        let publisher = StatusPublisher::new("127.0.0.1:3000".into(), "/data".into());
        for (phase, health, is_held) in [
            (Phase::Starting(Attempt::First), Health::Working, false),
            (held(Cause::NoSpace), Health::Held, true),
            // It is looked at again, and until it serves nothing changes for whoever looks.
            (Phase::Starting(Attempt::Recheck), Health::Held, true),
            (Phase::Planning, Health::Held, true),
            (Phase::Restarting, Health::Held, true),
            (Phase::Serving, Health::Healthy, false),
            (Phase::Restarting, Health::Working, false),
            (Phase::Serving, Health::Healthy, false),
            (held(Cause::CrashLoop), Health::Held, true),
            (Phase::Starting(Attempt::Requested), Health::Working, false),
            (Phase::Stopping, Health::Working, false),
        ] {
            publisher.enter(phase.clone());
            let status = publisher.status();
            assert_eq!((status.health, status.held.is_some()), (health, is_held), "{phase:?}");
        }
        assert_eq!(publisher.status().boots, 3);
        assert_eq!(publisher.step(), Step::Starting);
    }

    #[test]
    fn a_restore_that_goes_over_is_no_longer_held_and_its_phases_are_the_operations_too() {
        let publisher = StatusPublisher::new("127.0.0.1:3000".into(), "/data".into());
        publisher.enter(held(Cause::Damaged));
        publisher.update(|status| {
            status.operation = Some(OperationStatus {
                id: 1,
                what: "restore 0001".into(),
                since: now(),
                phase: "starting".into(),
                outcome: None,
                result: None,
            });
        });
        let operation = || publisher.status().operation.unwrap().phase;
        publisher.enter(Phase::Staging(GenerationId(2)));
        assert_eq!((publisher.status().health, operation()), (Health::Held, "staging".to_owned()));
        publisher.enter(Phase::Proving(GenerationId(2)));
        let status = publisher.status();
        assert_eq!((status.health, status.phase.as_str(), operation()), (Health::Working, "proving", "proving".into()));
        assert_eq!((status.held, status.next), (None, Some(GenerationId(2))));
    }
}
