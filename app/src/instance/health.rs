//! Is the app well?
//!
//! `GET /health`: 200 while it may serve, 503 when it may not. The document is described by
//! docs/contracts/app-health.json.
//!
//! A check that fails makes the app *failing* only where a restart or another version could help: the database
//! cannot be read, the writer is stuck, the files are gone. A disk that is full or refuses writes leaves it *degraded*: the household can
//! still read, writes are refused one by one with 507, and restarting would not free a byte. Backups that fail or are
//! overdue are the supervisor's concern, and so is an upgrade that failed: it says so in its request, and the response to everybody else is
//! *degraded*.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use nix::unistd::{AccessFlags, access};
use sea_orm::{ConnectionTrait, Statement};
use serde::Serialize;
use tokio::time::timeout;

use super::{
    check::{Check, SLOW, STUCK, Status},
    disk::Disk,
    look::Look,
};
use crate::db::{Database, WriterState};

/// Finds out how the app is.
#[derive(Debug, Clone)]
pub(crate) struct Health {
    database: Arc<Database>,
    disk: Disk,
    files: Look<Check>,
    last_read: Arc<Mutex<Instant>>,
    /// How the backups are, as the supervisor said last; `None`: it never did.
    backups: Arc<Mutex<Option<Backups>>>,
    /// Set by a test's fault only.
    forced: Arc<AtomicBool>,
}

/// How the backups are. The words are the supervisor's, docs/ARCHITECTURE.md.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backups {
    Ok,
    Overdue,
    Failing,
}

impl Backups {
    /// Reads the supervisor's word. One that this version does not know is nothing good.
    pub(crate) fn read(word: &[u8]) -> Self {
        match word {
            b"ok" => Self::Ok,
            b"overdue" => Self::Overdue,
            _ => Self::Failing,
        }
    }

    fn check(self) -> Check {
        // Without names and places: everybody who reaches the house may read this.
        match self {
            Self::Ok => Check::ok(),
            Self::Overdue => Check::bad(Status::Degraded, "a backup is overdue; supervisor status says more"),
            Self::Failing => {
                Check::bad(Status::Degraded, "a backup, its drill or its copy failed; supervisor status says more")
            }
        }
    }
}

/// The answer of `/health`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) status: Status,
    version: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema: Option<String>,
    checks: Checks,
}

#[derive(Debug, Serialize)]
struct Checks {
    database: Check,
    disk: Check,
    files: Check,
    #[serde(skip_serializing_if = "Option::is_none")]
    backups: Option<Check>,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgrade: Option<Check>,
}

impl Health {
    /// Returns the health of an app on this database and these files.
    pub(crate) fn new(database: Arc<Database>, path: &Path, files: &Path) -> Self {
        let directory_of_files = files.to_owned();
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        Self {
            database,
            disk: Disk::new(directory.unwrap_or(Path::new(".")).to_owned()),
            files: Look::new(SLOW, move || check_files(&directory_of_files)),
            last_read: Arc::new(Mutex::new(Instant::now())),
            backups: Arc::default(),
            forced: Arc::default(),
        }
    }

    /// Makes every further report say *failing*.
    #[cfg(feature = "faults")]
    pub(crate) fn force_failing(&self) {
        self.forced.store(true, Ordering::Relaxed);
    }

    /// Asks the database what each report asks it.
    pub(crate) async fn self_test(&self) -> Result<(), String> {
        self.schema()
            .await
            .map(drop)
            .map_err(|error| format!("the self-test could not read which migrations were applied: {error}"))
    }

    /// Takes in what the supervisor says of the backups.
    pub(crate) fn remember(&self, backups: Option<Backups>) {
        *self.backups.lock().unwrap_or_else(PoisonError::into_inner) = backups;
    }

    /// Looks, now, for everybody: with the backups, and with the upgrade where the last one failed.
    pub(crate) async fn public_report(&self, upgrade_failed: bool) -> Report {
        let mut report = self.report().await;
        let heard = *self.backups.lock().unwrap_or_else(PoisonError::into_inner);
        report.checks.backups = heard.map(Backups::check);
        // Without the reason, which may name what is in the database: everybody who reaches the house may read this.
        let failed = "an upgrade failed, and this version is serving; supervisor status says more";
        report.checks.upgrade = upgrade_failed.then(|| Check::bad(Status::Degraded, failed));
        for check in [&report.checks.backups, &report.checks.upgrade].into_iter().flatten() {
            report.status = report.status.max(check.status);
        }
        report
    }

    /// Looks, now, for the supervisor: at the app alone.
    pub(crate) async fn report(&self) -> Report {
        let ((database, schema), disk, files) =
            tokio::join!(self.check_database(), self.disk.check(&self.database), self.files.look());
        // Another process could not reach them either.
        let files = files.unwrap_or_else(|time| {
            Check::bad(Status::Degraded, format!("the attachments have not answered for {} s", time.as_secs()))
        });
        let status = database.status.max(disk.status.min(Status::Degraded)).max(files.status);
        Report {
            status,
            version: env!("CARGO_PKG_VERSION"),
            schema,
            checks: Checks { database, disk, files, backups: None, upgrade: None },
        }
    }

    async fn check_database(&self) -> (Check, Option<String>) {
        if self.forced.load(Ordering::Relaxed) {
            let check = Check::bad(Status::Failing, "a test wants it so");
            return (Check { damaged: true, ..check }, None);
        }
        let (read, schema) = match timeout(SLOW, self.schema()).await {
            Ok(Ok(schema)) => {
                *self.last_read() = Instant::now();
                (Check::ok(), schema)
            }
            Ok(Err(error)) => {
                let detail = format!("the database cannot be read: {error}");
                (Check::bad(Status::Failing, detail), None)
            }
            Err(_) => (late("reading", self.last_read().elapsed()), None),
        };
        let write = match self.database.writer() {
            WriterState::Gone => Check::bad(Status::Failing, "nothing can be written any more"),
            WriterState::Working(time) if time > SLOW => late("writing", time),
            WriterState::Working(_) => Check::ok(),
        };
        let damage = if self.database.is_damaged() {
            let check = Check::bad(Status::Failing, "SQLite has reported damage to the database");
            Check { damaged: true, ..check }
        } else {
            Check::ok()
        };
        let worst = [write, read, damage].into_iter().max_by_key(|check| check.status);
        (worst.unwrap_or_else(Check::ok), schema)
    }

    fn last_read(&self) -> std::sync::MutexGuard<'_, Instant> {
        self.last_read.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The name of the last applied migration: a read of the database itself, small and on every start the same.
    async fn schema(&self) -> Result<Option<String>, crate::db::DbError> {
        let reads = self.database.reads();
        let statement = Statement::from_string(
            reads.get_database_backend(),
            "SELECT version FROM seaql_migrations ORDER BY version DESC LIMIT 1",
        );
        let row = reads.query_one_raw(statement).await.map_err(|error| self.database.failed(error))?;
        row.map(|row| row.try_get_by_index(0)).transpose().map_err(|error| self.database.failed(error))
    }
}

/// The check of a database that takes its time.
fn late(doing: &str, time: Duration) -> Check {
    let status = if time > STUCK { Status::Failing } else { Status::Degraded };
    Check::bad(status, format!("{doing} takes long: {} s so far", time.as_secs()))
}

fn check_files(directory: &Path) -> Check {
    let place = directory.display();
    match fs::metadata(directory) {
        Ok(metadata) if !metadata.is_dir() => Check::bad(Status::Failing, format!("{place} is not a directory")),
        Err(error) => Check::bad(Status::Failing, format!("{place} cannot be reached: {error}")),
        Ok(_) => match access(directory, AccessFlags::W_OK | AccessFlags::X_OK) {
            Ok(()) => Check::ok(),
            Err(error) => Check::bad(Status::Degraded, format!("{place} cannot be written to: {error}")),
        },
    }
}
