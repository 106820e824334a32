//! Which settings are in force, and where did each come from?
//!
//! Defaults < `config.toml` in the data directory (or the file that `HEARTH_CONFIG` names) < environment < flags.
//! `data_dir` and `listen` stand at the top (`HEARTH_DATA_DIR`), all others in a section (`HEARTH_STOP__GRACE` is
//! `stop.grace`); a blank value counts as not set. A value that is not allowed, or a misspelt setting, is an error that names
//! the setting, its source and what is allowed; all errors are shown at once. Other variables that begin with `HEARTH_` get a
//! warning.

mod backup;
mod choices;
pub(crate) mod cron;
pub mod destination;
pub mod env_file;
mod household;
pub mod ids;
pub mod image;
mod key;
mod names;
pub(crate) mod recipient;
mod sources;
mod table;
mod tailscale;
mod trust;

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use figment::Figment;
use serde::Serialize;
use serde_json::{Value, json};

pub use self::{
    choices::{LogFormat, LogLevel, LogTimestamps, SandboxMode, Switch, Tailscale},
    household::{ForTheApp, hosts_in},
    key::{Meaning, Unchecked},
    table::{
        App, Auth, Backup, Config, Health, Http, Lock, Log, Migrator, Restart, Sandbox, Snapshots, Stop, Update,
        Upgrade, Watchdog,
    },
};
use self::{
    sources::{DEFAULT, Gathered, Variable},
    table::KEYS,
};
use crate::failure::{Cause, Failure};

/// The format of [`Loaded::document`].
const FORMAT: u32 = 1;

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
    /// What is not as it should be, and no reason not to start, as sentences.
    pub warnings: Vec<String>,
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
    match KEYS.iter().find(|key| key.name == "data_dir").map(|key| (key, key.check(&value))) {
        Some((key, Err(wrong))) => Err(key.refuse(&value, &source, &wrong)),
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
    pub fn from(
        flags: &Flags,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        current: &Path,
        programs: &Path,
    ) -> Result<Self, Failure> {
        let environment = environment.into_iter().map(Variable::of_process);
        Self::from_variables(flags, environment, current, programs).map_err(all)
    }

    /// The same of variables that may stand elsewhere; with each mistake by itself.
    fn from_variables(
        flags: &Flags,
        environment: impl IntoIterator<Item = Variable>,
        current: &Path,
        programs: &Path,
    ) -> Result<Self, Vec<Failure>> {
        let Gathered { figment, unknown, mut wrong } = sources::gather(flags, environment, current, programs);
        let (mut settings, mut unchecked) = (Vec::new(), Vec::new());
        let mut for_the_app = ForTheApp::default();
        for key in KEYS {
            // Every key has a default.
            let Ok(value) = figment.find_value(key.name) else { continue };
            let source = source(&figment, key.name);
            let value = serde_json::to_value(&value).unwrap_or_default();
            wrong.extend(key.check(&value).err().map(|wrong| key.refuse(&value, &source, &wrong)));
            unchecked.extend(key.unchecked(&value, &source));
            if source != DEFAULT {
                for_the_app.add(key, &value, &source);
            }
            let value = if key.is_secret() && value != json!("") { json!("(set)") } else { value };
            settings.push(Setting { key: key.name, value, source });
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        let mut config: Config = figment.extract().map_err(|error| {
            vec![Failure::new(
                Cause::Configuration,
                format!("the setting {} cannot be used: {}", error.path.join("."), error.kind),
            )]
        })?;
        config.backup.dir = config.data_dir.join(&config.backup.dir);
        (config.unchecked, config.for_the_app) = (unchecked, for_the_app);
        let checks = [check_restart(&config), backup::check_places(&config), tailscale::check_listen(&config)];
        let wrong: Vec<_> = checks
            .into_iter()
            .filter_map(Result::err)
            .map(|(key, wrong, hint)| {
                let message = format!("{key} (from {}) cannot be used: {wrong}", self::source(&figment, key));
                Failure::new(Cause::Configuration, message).hint(hint)
            })
            .collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self { config, warnings: unknown_variables(&unknown).into_iter().collect(), settings })
    }

    /// Tells the log what is to be warned of.
    pub fn warn(&self) {
        for warning in &self.warnings {
            tracing::warn!(target: "Supervisor", "{warning}");
        }
    }

    /// Returns all settings as `{"format": 1, "settings": [{"key", "value", "source"}, …]}`, durations and lists as
    /// they were written.
    pub fn document(&self) -> Value {
        json!({ "format": FORMAT, "settings": self.settings })
    }
}

/// A mistake between settings: which one, what is wrong with it, and what helps.
type Mistake = (&'static str, String, &'static str);

fn check_restart(config: &Config) -> Result<(), Mistake> {
    if config.restart.backoff <= config.restart.backoff_max {
        return Ok(());
    }
    let hint = "restart.backoff is the first wait, and restart.backoff_max the longest";
    Err(("restart.backoff", "it is longer than restart.backoff_max".to_owned(), hint))
}

/// Makes one failure of all, of which there is at least one.
pub(crate) fn all(wrong: Vec<Failure>) -> Failure {
    all_in(wrong, "the settings")
}

/// The same, of those that were found in a file of this name.
pub(crate) fn all_in(mut wrong: Vec<Failure>, file: &str) -> Failure {
    if wrong.len() == 1 {
        return wrong.remove(0);
    }
    let lines = wrong.iter().map(|failure| match &failure.hint {
        Some(hint) => format!("\n  {}; {hint}", failure.message),
        None => format!("\n  {}", failure.message),
    });
    let message = format!("{} mistakes in {file}:{}", wrong.len(), lines.collect::<String>());
    Failure::new(Cause::Configuration, message).hint("all settings: supervisor config")
}

/// Says in one sentence which variables are not used.
fn unknown_variables(names: &[String]) -> Option<String> {
    let be = match names {
        [] => return None,
        [_] => "is no setting of Hearth and is",
        _ => "are no settings of Hearth and are",
    };
    Some(format!("{} in the environment {be} not used (all settings: supervisor config)", names.join(", ")))
}

/// Returns the document of [`Loaded::document`] as a table for people.
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
pub fn known() -> String {
    let rows = KEYS.iter().map(|key| [key.name.to_owned(), key.variable(), key.default.to_owned(), key.allowed()]);
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
