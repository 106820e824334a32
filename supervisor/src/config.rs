//! Which settings are in force, and where did each come from?
//!
//! Defaults < `config.toml` in the data directory (or the file that `HEARTH_CONFIG` names) < environment < flags.
//! `data_dir` and `listen` stand at the top (`HEARTH_DATA_DIR`), all others in a section (`HEARTH_STOP__GRACE` is
//! `stop.grace`). What is not known, or cannot be used, is an error that names the setting, its source and what is
//! allowed: nothing is guessed.

mod all;
mod backup;
mod household;
mod keys;
mod sources;
mod trust;
mod update;

use std::{
    ffi::OsString,
    fmt,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use figment::Figment;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

pub(crate) use self::household::is_name;
pub use self::{
    backup::Backup,
    household::{Auth, Http, Join, Place, Tailscale},
    update::{Switch, Update},
};
use crate::failure::{Cause, Failure};

/// The format of [`Loaded::document`].
const FORMAT: u32 = 1;

/// The settings. Defaults and what is allowed stand in one table, in `config/all.rs`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Config {
    /// The data directory, absolute. Default: `./data`. Not from the file, which lies in it.
    pub data_dir: PathBuf,
    /// The public address. Default: `127.0.0.1:3000`; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Which names it goes by.
    pub http: Http,
    /// Who may sign in how.
    pub auth: Auth,
    /// What is logged, and how.
    pub log: Log,
    /// What app, migrator and jobs are confined to.
    pub sandbox: Sandbox,
    /// The app.
    pub app: App,
    /// The migrator.
    pub migrator: Migrator,
    /// How the app is asked whether it is healthy.
    pub health: Health,
    /// How the app shows that it is alive.
    pub watchdog: Watchdog,
    /// How an app that ended is started again.
    pub restart: Restart,
    /// How the app is stopped.
    pub stop: Stop,
    /// How the data directory's lock is waited for.
    pub lock: Lock,
    /// Which snapshots are kept.
    pub snapshots: Snapshots,
    /// When backups are made, where they go, and which are kept.
    pub backup: Backup,
    /// How it is found out whether there is a newer version.
    pub update: Update,
}

/// `log.*`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Log {
    /// Default: text.
    pub format: LogFormat,
    /// The least important that is logged. Default: info.
    pub level: LogLevel,
}

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people: `[Migrate] Applying: m0002_accounts`.
    Text,
    /// A JSON object a line.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// How important an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Failures.
    Error,
    /// And what is not as it should be.
    Warn,
    /// And what happens.
    Info,
    /// And how.
    Debug,
    /// And every detail.
    Trace,
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        })
    }
}

/// `sandbox.*`
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Sandbox {
    /// Default: best-effort.
    pub mode: SandboxMode,
}

/// How much the sandbox is insisted on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SandboxMode {
    /// What the kernel offers; what it does not is said.
    BestEffort,
    /// Nothing starts without Landlock and seccomp.
    Enforce,
    /// None.
    Off,
}

/// `app.*`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct App {
    /// Program and arguments. Default: `app serve`, the program beside this one.
    pub command: Vec<String>,
    /// How long it may take until it is ready. Default: 60 s.
    #[serde(with = "humantime_serde")]
    pub start_timeout: Duration,
}

/// `migrator.*`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Migrator {
    /// Program and arguments before `status` and `up`. Default: `migrator`, the program beside this one.
    pub command: Vec<String>,
}

/// `health.*`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Health {
    /// The path that is asked for on the private socket. Default: `/health`.
    pub path: String,
    /// Time between two questions. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
    /// How long an answer may take. Default: 5 s.
    #[serde(with = "humantime_serde")]
    pub timeout: Duration,
    /// How many questions in a row may stay without an answer before the app counts as hung. Default: 3.
    pub failures: u32,
}

/// `watchdog.*`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Watchdog {
    /// How long an app that ever sent `WATCHDOG=1` may be silent. Default: 30 s.
    #[serde(with = "humantime_serde")]
    pub interval: Duration,
}

/// `restart.*`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Restart {
    /// The first wait before an app that ended is started again; it doubles with each end. Default: 500 ms.
    #[serde(with = "humantime_serde")]
    pub backoff: Duration,
    /// The longest wait. Default: 30 s.
    #[serde(with = "humantime_serde")]
    pub backoff_max: Duration,
    /// How many ends within the window are a crash loop. Default: 5.
    pub attempts: u32,
    /// The window. Default: 5 min.
    #[serde(with = "humantime_serde")]
    pub window: Duration,
}

/// `stop.*`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Stop {
    /// Time between TERM and KILL. Default: 7 s, since Docker sends KILL 10 s after its own TERM, and everything
    /// around the app's end has to fit in, too.
    #[serde(with = "humantime_serde")]
    pub grace: Duration,
}

/// `lock.*`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Lock {
    /// How long a start waits for the lock of the data directory. Default: 30 s.
    #[serde(with = "humantime_serde")]
    pub wait: Duration,
}

/// `snapshots.*`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Snapshots {
    /// How many of the last snapshots are kept. Default: 3.
    pub keep: usize,
    /// And those that the household wrote to within this time. Default: 7 days.
    #[serde(with = "humantime_serde")]
    pub keep_written: Duration,
}

/// The settings that the command line gives.
#[derive(Clone, Debug, Default)]
pub struct Flags {
    /// `--data-dir`
    pub data_dir: Option<PathBuf>,
    /// `--listen`
    pub listen: Option<String>,
}

/// The settings with their sources.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The settings.
    pub config: Config,
    settings: Vec<Setting>,
}

#[derive(Clone, Debug, Serialize)]
struct Setting {
    key: &'static str,
    value: Value,
    source: String,
}

/// Returns the data directory alone, absolute: all that a command needs that speaks to a running supervisor, or looks at
/// what is there. Never from the file, so that no mistake in it keeps a healthy supervisor from being asked.
///
/// # Errors
/// [`Cause::Configuration`] when the flag or variable that names it cannot be used.
pub fn data_dir(flags: &Flags) -> Result<PathBuf, Failure> {
    data_dir_from(flags, std::env::vars_os(), &current()?)
}

fn data_dir_from(
    flags: &Flags,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    current: &Path,
) -> Result<PathBuf, Failure> {
    let (data_dir, source) = sources::data_dir(flags, environment, current)?;
    let value = Value::from(data_dir.as_str());
    match keys::KEYS.iter().find(|key| key.name == "data_dir") {
        Some(key) if !key.allows(&value) => Err(key.refuse(&value, &source)),
        _ => Ok(data_dir.into()),
    }
}

fn current() -> Result<PathBuf, Failure> {
    std::env::current_dir().map_err(|error| Failure::io("cannot tell the current directory", &error))
}

impl Loaded {
    /// Loads the settings of this process.
    ///
    /// # Errors
    /// [`Cause::Configuration`] for what is not known or cannot be used; what keeps the file from being read.
    pub fn load(flags: &Flags) -> Result<Self, Failure> {
        let program =
            std::env::current_exe().map_err(|error| Failure::io("cannot tell where this program lies", &error))?;
        Self::from(flags, std::env::vars_os(), &current()?, program.parent().unwrap_or(Path::new("/")))
    }

    /// Loads the settings of a process with this environment, in the directory `current`, whose program lies in
    /// `programs`.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from(
        flags: &Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        current: &Path,
        programs: &Path,
    ) -> Result<Self, Failure> {
        let figment = sources::gather(flags, environment, current, programs)?;
        let mut settings = Vec::new();
        for key in keys::KEYS {
            let value = figment.find_value(key.name).map_err(|error| {
                Failure::new(Cause::Configuration, format!("the setting {} is missing: {error}", key.name))
            })?;
            let source = source(&figment, key.name);
            let value = serde_json::to_value(&value).unwrap_or_default();
            if !key.allows(&value) {
                return Err(key.refuse(&value, &source));
            }
            let value = if key.is_secret() && value != json!("") { json!("(set)") } else { value };
            settings.push(Setting { key: key.name, value, source });
        }
        let mut config: Config = figment.extract().map_err(|error| {
            Failure::new(
                Cause::Configuration,
                format!("the setting {} cannot be used: {}", error.path.join("."), error.kind),
            )
        })?;
        if config.restart.backoff > config.restart.backoff_max {
            let source = source(&figment, "restart.backoff");
            return Err(Failure::new(
                Cause::Configuration,
                format!("restart.backoff (from {source}) is longer than restart.backoff_max"),
            )
            .hint("restart.backoff is the first wait, and restart.backoff_max the longest"));
        }
        config.backup.dir = config.data_dir.join(&config.backup.dir);
        backup::check_places(&config).and_then(|()| household::check(&config)).map_err(|(key, wrong, hint)| {
            Failure::new(
                Cause::Configuration,
                format!("{key} (from {}) cannot be used: {wrong}", self::source(&figment, key)),
            )
            .hint(hint)
        })?;
        Ok(Self { config, settings })
    }

    /// Returns all settings as `{"format": 1, "settings": [{"key", "value", "source"}, …]}`, durations and lists as
    /// they were written.
    #[must_use]
    pub fn document(&self) -> Value {
        json!({ "format": FORMAT, "settings": self.settings })
    }
}

/// Returns the document of [`Loaded::document`] as a table for people.
#[must_use]
pub fn table(document: &Value) -> String {
    let cell = |value: &Value| match value.as_str() {
        Some(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => value.to_string(),
    };
    let settings = document["settings"].as_array().into_iter().flatten();
    let rows = settings.map(|setting| ["key", "value", "source"].map(|column| cell(&setting[column])));
    aligned(std::iter::once(["KEY", "VALUE", "SOURCE"].map(str::to_owned)).chain(rows))
}

/// Returns a table of all settings there are, with what is allowed: true whatever is set.
#[must_use]
pub fn known() -> String {
    let rows =
        keys::KEYS.iter().map(|key| [key.name.to_owned(), key.variable(), key.default.to_owned(), key.allowed()]);
    aligned(std::iter::once(["KEY", "IN THE ENVIRONMENT", "DEFAULT", "ALLOWED"].map(str::to_owned)).chain(rows))
}

/// Returns rows as lines with their columns under each other.
pub(crate) fn aligned<const COLUMNS: usize>(rows: impl Iterator<Item = [String; COLUMNS]>) -> String {
    let rows: Vec<_> = rows.collect();
    let widths: [usize; COLUMNS] =
        std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
    let line = |row: &[String; COLUMNS]| {
        let cells: Vec<_> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// Returns the name of where a setting came from.
fn source(figment: &Figment, key: &str) -> String {
    figment.find_metadata(key).map(|metadata| metadata.name.to_string()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
