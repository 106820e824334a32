//! How is a migration run so that a check can look at each of its steps?
//!
//! [`apply`] runs migrations one by one in this process, without the checks of the shipped migrator, and tells the statements that
//! each executed. [`Child`] is the migrator as it is shipped, in a process of its own: this program starts itself again, and
//! [`as_migrator`] sees that it was meant. There it can be killed after a statement, or live with another clock.

use std::ffi::OsString;
use std::fs;
use std::future::Future;
use std::os::unix::process::ExitStatusExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use sea_orm::{ConnectionTrait, DbErr};
use sea_orm_migration::{MigrationName, MigrationTrait, SchemaManager};
use tracing::{Metadata, Subscriber, span};

use super::Problem;
use super::statements::{Capture, Executed, capture};
use crate::error::words;
use crate::schema::Listing;
use crate::{Release, database, ledger};

/// Says to this program that it is the migrator now.
const AS_MIGRATOR: &str = "MIGRATION_CHECK_RUN";
/// After how many statements of migrations the process kills itself.
const STOP_AFTER: &str = database::STOP_AFTER;
const NOW: &str = "MIGRATION_CHECK_NOW";
const DICE: &str = "MIGRATION_CHECK_DICE";

/// A migration that did not get through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failed {
    /// Its name, and what it executed until then.
    pub executed: Executed,
    /// SQLite's words, or its own.
    pub reason: String,
}

/// Runs the migrations `names` of `release`, each in a transaction of its own that also has its entry in the ledger. An empty or
/// missing file is a new database.
///
/// # Errors
///
/// The outer: the database cannot be opened. The inner: the migration that failed; those before it are committed.
pub fn apply(path: &Path, release: &Release, names: &[String]) -> Result<Result<Vec<Executed>, Failed>, Problem> {
    block_on(async {
        let capture = opened(path).await?;
        let mut all = Ok(Vec::new());
        for name in names {
            let one = step(&capture, path, release, name, true).await;
            match (&mut all, one) {
                (Ok(all), Ok(one)) => all.push(one),
                (_, Err(failed)) => {
                    all = Err(failed);
                    break;
                }
                (Err(_), Ok(_)) => {}
            }
        }
        capture.close().await;
        Ok(all)
    })?
}

/// Runs a migration that has run before once more.
///
/// # Errors
///
/// As for [`apply`].
pub fn again(path: &Path, release: &Release, name: &str) -> Result<Result<Executed, Failed>, Problem> {
    block_on(async {
        let capture = opened(path).await?;
        let result = step(&capture, path, release, name, false).await;
        capture.close().await;
        Ok(result)
    })?
}

fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Problem::new(format!("cannot start the runtime: {error}")))?;
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(work)))
        .map_err(|_| Problem::new("a migration panicked: see the message above").hint("let it return a DbErr instead"))
}

async fn opened(path: &Path) -> Result<Capture, Problem> {
    let capture = capture(path).await?;
    // It is a copy, and what a crash of the machine leaves of it is of no interest.
    for sql in ["PRAGMA journal_mode = WAL", "PRAGMA synchronous = OFF"] {
        let failed = |error: DbErr| Problem::new(format!("cannot open {}: {}", path.display(), words(&error)));
        capture.connection.execute_unprepared(sql).await.map_err(failed)?;
    }
    Ok(capture)
}

async fn step(capture: &Capture, path: &Path, release: &Release, name: &str, record: bool) -> Result<Executed, Failed> {
    let mut statements = Vec::new();
    let result = transaction(capture, path, release, name, record, &mut statements).await;
    let executed = Executed { migration: name.to_owned(), statements };
    match result {
        Ok(()) => Ok(executed),
        Err(reason) => Err(Failed { executed, reason }),
    }
}

async fn transaction(
    capture: &Capture,
    path: &Path,
    release: &Release,
    name: &str,
    record: bool,
    statements: &mut Vec<String>,
) -> Result<(), String> {
    let of = |error: DbErr| words(&error);
    let migrations = (release.migrations)();
    let migration = migrations.iter().find(|migration| migration.name() == name).ok_or("it is not in the list")?;
    let transaction = database::begin_immediate(&capture.connection, path).await.map_err(|error| error.to_string())?;
    ledger::install(&transaction).await.map_err(of)?;
    transaction
        .execute_unprepared(
            "CREATE TABLE IF NOT EXISTS seaql_migrations (version varchar NOT NULL PRIMARY KEY, applied_at bigint NOT NULL)",
        )
        .await
        .map_err(of)?;
    let mark = format!("PRAGMA application_id = {}", database::APPLICATION_ID);
    transaction.execute_unprepared(&mark).await.map_err(of)?;
    capture.take(&transaction).await.map_err(of)?;
    let result = migration.up(&SchemaManager::new(&transaction)).await;
    *statements = capture.take(&transaction).await.map_err(of)?;
    result.map_err(of)?;
    if record {
        let schema = Listing::read(&transaction).await.map_err(of)?;
        let sql = format!("INSERT INTO seaql_migrations VALUES ('{name}', 0)");
        transaction.execute_unprepared(&sql).await.map_err(of)?;
        ledger::record(&transaction, name, &release.version, Duration::ZERO, &schema, &release.version)
            .await
            .map_err(of)?;
    }
    transaction.commit().await.map_err(of)
}

/// A run of the shipped migrator in a process of its own.
#[derive(Clone, Debug)]
pub struct Child {
    program: PathBuf,
    environment: Vec<(&'static str, OsString)>,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// All was applied, or nothing was pending.
    Well,
    /// It was killed.
    Killed,
    /// It refused or failed, with this message.
    Failed(String),
}

impl Child {
    /// A run by `program`, whose `main` asks [`as_migrator`] first.
    pub fn new(program: &Path) -> Child {
        Child { program: program.to_owned(), environment: vec![(AS_MIGRATOR, "1".into())] }
    }

    /// The same, killed after this many statements of its migrations.
    #[must_use]
    pub fn killed_after(mut self, statements: u64) -> Child {
        self.environment.push((STOP_AFTER, statements.to_string().into()));
        self
    }

    /// The same with a clock that stands at `seconds` after 1970, and with `dice` with random numbers that are the same each time.
    #[must_use]
    pub fn at(mut self, clock: &Path, seconds: i64, dice: bool) -> Child {
        self.environment.push(("LD_PRELOAD", clock.into()));
        self.environment.push((NOW, seconds.to_string().into()));
        if dice {
            self.environment.push((DICE, "1".into()));
        }
        self
    }

    /// The command that upgrades the database at `path`.
    pub fn command(&self, path: &Path) -> Command {
        let mut command = Command::new(&self.program);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HEARTH_") {
                command.env_remove(name);
            }
        }
        command.args(["up", "--json", "--database"]).arg(path).stdin(Stdio::null());
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Upgrades the database at `path`.
    ///
    /// # Errors
    ///
    /// The program cannot be started.
    pub fn up(&self, path: &Path) -> Result<Ended, Problem> {
        let output = self
            .command(path)
            .output()
            .map_err(|error| Problem::new(format!("cannot start {}: {error}", self.program.display())))?;
        Ok(match (output.status.code(), output.status.signal()) {
            (Some(0), _) => Ended::Well,
            (_, Some(_)) => Ended::Killed,
            _ => Ended::Failed(message(&String::from_utf8_lossy(&output.stdout))),
        })
    }
}

/// The message of the last document.
fn message(documents: &str) -> String {
    let last = documents.lines().last().and_then(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let message = last.and_then(|document| document["error"]["message"].as_str().map(str::to_owned));
    message.unwrap_or_else(|| "it said nothing that can be read".to_owned())
}

/// Compiles the library that brings another clock, once, into `directory`; none where there is no such thing.
///
/// # Errors
///
/// There is no C compiler, or it fails.
pub fn clock(directory: &Path) -> Result<Option<PathBuf>, Problem> {
    const SOURCE: &str = include_str!("clock.c");
    if !cfg!(target_os = "linux") {
        return Ok(None);
    }
    let mut name = blake3::hash(SOURCE.as_bytes()).to_hex().to_string();
    name.truncate(16);
    let library = directory.join(format!("clock-{name}.so"));
    if library.exists() {
        return Ok(Some(library));
    }
    let failed = |what: String| {
        Problem::new(format!("cannot make another clock for the rule `clock`: {what}"))
            .hint("install a C compiler as `cc`; the workspace needs one anyway")
    };
    let own = format!("{name}-{}", std::process::id());
    let (source, made) = (directory.join(format!("{own}.c")), directory.join(format!("{own}.so")));
    fs::write(&source, SOURCE).map_err(|error| failed(error.to_string()))?;
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .arg(&made)
        .arg(&source)
        .arg("-ldl")
        .output()
        .map_err(|error| failed(error.to_string()))?;
    if !output.status.success() {
        return Err(failed(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    fs::remove_file(&source).ok();
    // Several may make it at once; each makes the same.
    fs::rename(&made, &library).map_err(|error| failed(error.to_string()))?;
    Ok(Some(library))
}

/// The one whose migrations are watched.
static RELEASE: OnceLock<Release> = OnceLock::new();
/// Whether a migration has begun.
static BEGUN: AtomicBool = AtomicBool::new(false);
static LEFT: AtomicU64 = AtomicU64::new(u64::MAX);

/// Is the migrator, if a check started this process to be that.
pub fn as_migrator(release: &Release) -> Option<ExitCode> {
    std::env::var_os(AS_MIGRATOR)?;
    let mut release = release.clone();
    if let Some(number) = std::env::var(STOP_AFTER).ok().and_then(|text| text.parse().ok()) {
        LEFT.store(number, Ordering::SeqCst);
        RELEASE.get_or_init(|| release.clone());
        release.migrations = watched;
        // Before the migrator starts its own log, which leaves one that is there alone.
        tracing::subscriber::set_global_default(Killer).ok();
    }
    Some(crate::main(release))
}

fn watched() -> Vec<Box<dyn MigrationTrait>> {
    let all = RELEASE.get().map(|release| (release.migrations)()).unwrap_or_default();
    all.into_iter().map(|one| Box::new(Watched(one)) as Box<dyn MigrationTrait>).collect()
}

/// A migration that says when it begins.
struct Watched(Box<dyn MigrationTrait>);

impl MigrationName for Watched {
    fn name(&self) -> &str {
        self.0.name()
    }
}

#[sea_orm_migration::async_trait::async_trait]
impl MigrationTrait for Watched {
    async fn up(&self, manager: &SchemaManager) -> Result<(), DbErr> {
        BEGUN.store(true, Ordering::SeqCst);
        self.0.up(manager).await
    }

    fn use_transaction(&self) -> Option<bool> {
        self.0.use_transaction()
    }
}

/// Kills this process when sqlx logs the statement that is to be the last.
struct Killer;

impl Subscriber for Killer {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "sqlx::query"
    }

    fn event(&self, _: &tracing::Event<'_>) {
        if BEGUN.load(Ordering::SeqCst) && LEFT.fetch_sub(1, Ordering::SeqCst) <= 1 {
            kill(Pid::this(), Signal::SIGKILL).ok();
        }
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}
