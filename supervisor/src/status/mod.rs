//! What is the supervisor doing, and how is it told?
//!
//! The [`StatusPublisher`] is the one place where a transition is logged, remembered and published: to the control socket,
//! and to the door's page.

pub mod log;
pub mod update;

use std::{
    cell::{Cell, RefCell},
    time::SystemTime,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use self::update::Update;
use crate::{
    data::{
        GenerationId,
        backup::BackupId,
        lock,
        state::{FORMAT, Held},
    },
    failure::Failure,
};

/// The version of this supervisor, and so of the image it came in.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The phases, in the order of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Signals, lock, socket, preflight.
    Starting,
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
    /// It is sealed and becomes the live one.
    Committing(GenerationId),
    /// The app starts or starts again.
    Restarting,
    /// The app serves.
    Serving,
    /// The supervisor waits for the operator; the data is safe.
    Held,
    /// The app is told to end.
    Stopping,
}

impl Phase {
    /// The phase's name, as in `status`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Recovering => "recovering",
            Self::Planning => "planning",
            Self::Staging(_) => "staging",
            Self::Migrating(_) => "migrating",
            Self::Proving(_) => "proving",
            Self::Committing(_) => "committing",
            Self::Restarting => "restarting",
            Self::Serving => "serving",
            Self::Held => "held",
            Self::Stopping => "stopping",
        }
    }
}

/// How the container's health check sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// The app serves and is healthy.
    Healthy,
    /// The app serves, and says of itself that something is wrong.
    Degraded,
    /// The supervisor is doing its work; nothing should kill it.
    Working,
    /// It waits for the operator.
    Held,
}

/// Who is at work: the boot itself, or an operation beside the serving app.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Initiator {
    /// The boot; its phases are the supervisor's.
    Boot,
    /// A restore that is prepared while the app serves; its phases are the operation's.
    Operation,
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

/// What progress counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Migrations.
    Migrations,
}

/// The app as the supervisor sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// An operation on data that the operator asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Operation {
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

/// How the backups are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backups {
    /// The newest one that was verified.
    pub last: Option<LastBackup>,
    /// When the next scheduled one is due, RFC 3339; `None` without a schedule.
    pub next_at: Option<String>,
    /// Since when one is overdue, RFC 3339.
    pub overdue_since: Option<String>,
    /// What is wrong, as sentences: the last backup, drill or copy failed.
    pub trouble: Vec<String>,
}

/// The newest backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastBackup {
    /// Its id.
    pub id: BackupId,
    /// When it was begun, RFC 3339.
    pub created_at: String,
}

impl Backups {
    /// Says in a word how they are, for the app's health document: `ok`, `overdue` or `failing`.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match (self.overdue_since.is_some(), self.trouble.is_empty()) {
            (true, _) => "overdue",
            (false, false) => "failing",
            (false, true) => "ok",
        }
    }

    /// Says in a sentence what is wrong, if anything is.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let overdue = self.overdue_since.as_ref().map(|since| match &self.last {
            Some(last) => format!("a backup is overdue since {since}; the last one is of {}", last.created_at),
            None => format!("a backup is overdue since {since}; there is none yet"),
        });
        overdue.or_else(|| self.trouble.first().cloned())
    }
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It is done; a sentence.
    Done(String),
    /// It failed, and everything is as it was.
    Failed(Failure),
}

/// The document that `supervisor status --json` prints; docs/contracts/control-status.json.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The data directory.
    pub data_dir: String,
    /// What app, migrator and jobs are confined by: `Landlock ABI 7, seccomp`, `none`; empty until it was tried out.
    #[serde(default)]
    pub sandbox: String,
    /// The app.
    pub app: AppStatus,
    /// Why it is held.
    pub held: Option<Held>,
    /// The operation under way, or the last one.
    pub operation: Option<Operation>,
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
    recheck: Cell<bool>,
    changed: watch::Sender<()>,
}

/// Returns the present time as the documents have it.
#[must_use]
pub fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}

impl StatusPublisher {
    /// Makes the board of a supervisor that starts.
    #[must_use]
    pub fn new(listen: String, data_dir: String) -> Self {
        let app = AppStatus {
            pid: None,
            ready: false,
            restarts: 0,
            says: None,
            health: None,
            health_detail: None,
            last_exit: None,
        };
        let status = Status {
            format: FORMAT,
            version: VERSION.to_owned(),
            supervisor: format!("process {} on host {}", std::process::id(), lock::host()),
            phase: Phase::Starting.name().to_owned(),
            since: now(),
            boots: 0,
            health: Health::Working,
            live: None,
            next: None,
            progress: None,
            listen,
            data_dir,
            sandbox: String::new(),
            app,
            held: None,
            operation: None,
            backups: Backups::default(),
            update: Update::default(),
            notes: Vec::new(),
        };
        Self { status: RefCell::new(status), recheck: Cell::new(false), changed: watch::channel(()).0 }
    }

    /// Returns the status as it is now.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Tells of each later change.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Changes the status in place, and publishes it.
    pub fn update(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.status.borrow_mut());
        self.changed.send_replace(());
    }

    /// Begins a boot: what was noted at an earlier one is looked at anew.
    pub fn begin(&self) {
        self.enter(Initiator::Boot, Phase::Starting);
        self.update(|status| {
            status.boots += 1;
            status.notes.clear();
        });
    }

    /// Says that the boot to come is a further try by itself: it stays held until it serves.
    pub fn recheck(&self, recheck: bool) {
        self.recheck.set(recheck);
    }

    /// Whether the last boot was such a try.
    #[must_use]
    pub fn is_recheck(&self) -> bool {
        self.recheck.get()
    }

    /// Enters a phase: the one transition function.
    pub fn enter(&self, course: Initiator, phase: Phase) {
        tracing::debug!(phase = phase.name(), ?course, "entering");
        self.update(|status| {
            status.progress = None;
            if course == Initiator::Operation {
                if let Some(operation) = &mut status.operation {
                    phase.name().clone_into(&mut operation.phase);
                }
                return;
            }
            status.next = match phase {
                Phase::Staging(id) | Phase::Migrating(id) | Phase::Proving(id) | Phase::Committing(id) => Some(id),
                _ => None,
            };
            let stays_held = self.recheck.get() && phase != Phase::Serving;
            status.health = match phase {
                _ if stays_held => Health::Held,
                Phase::Held => Health::Held,
                Phase::Serving => Health::Healthy,
                _ => Health::Working,
            };
            if phase != Phase::Held && !stays_held {
                status.held = None;
            }
            if status.phase != phase.name() {
                phase.name().clone_into(&mut status.phase);
                status.since = now();
            }
        });
        if course == Initiator::Boot && phase == Phase::Serving {
            self.judge();
        }
    }

    /// Names the step of the operation beside the serving app.
    pub fn step(&self, name: &str) {
        self.update(|status| {
            status.progress = None;
            if let Some(operation) = &mut status.operation {
                name.clone_into(&mut operation.phase);
            }
        });
    }

    /// Publishes how the backups are; what is newly wrong is told to the log, once.
    pub fn tell_backups(&self, backups: Backups) {
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
    pub fn tell_update(&self, update: Update) {
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
            let well = app_is_well && status.backups.warning().is_none();
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
