//! Which database does the migrator work on, and how does it log?
//!
//! Defaults, then the environment, then flags; a blank value is none. Other `HEARTH_*` variables belong to the other
//! programs and are passed over, unless they are misspelt settings of the migrator's.

use std::ffi::OsString;
use std::path::PathBuf;

use figment::Figment;
use figment::providers::Serialized;
use serde::{Deserialize, Serialize};
use tracing::Level;

const DATABASE: &str = "HEARTH_DATABASE";
const DATA_DIR: &str = "HEARTH_DATA_DIR";
const LOG_FORMAT: &str = "HEARTH_LOG__FORMAT";
const LOG_LEVEL: &str = "HEARTH_LOG__LEVEL";
const LOG_TIMESTAMPS: &str = "HEARTH_LOG__TIMESTAMPS";

/// The migrator's configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Config {
    /// `HEARTH_DATABASE`, or `--database`.
    pub(crate) database: Option<PathBuf>,
    pub(crate) log: Log,
}

/// `HEARTH_LOG__FORMAT`, `HEARTH_LOG__LEVEL` and `HEARTH_LOG__TIMESTAMPS`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) format: Format,
    pub(crate) level: LogLevel,
    pub(crate) timestamps: Timestamps,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Format {
    #[default]
    Text,
    Json,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

/// Whether lines for people begin with the time: `auto` is the supervisor's to decide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Timestamps {
    #[default]
    Auto,
    Always,
    Never,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Level {
        match level {
            LogLevel::Error => Level::ERROR,
            LogLevel::Warn => Level::WARN,
            LogLevel::Info => Level::INFO,
            LogLevel::Debug => Level::DEBUG,
            LogLevel::Trace => Level::TRACE,
        }
    }
}

impl Config {
    /// Reads the configuration; `database` is the flag.
    ///
    /// # Errors
    ///
    /// A value that is not allowed, as a phrase that names it and where it came from.
    pub(crate) fn read(database: Option<PathBuf>) -> Result<Config, String> {
        let mut wrong: Vec<String> = std::env::vars_os().filter_map(|(name, _)| misspelt(name.to_str()?)).collect();
        let mut config = Config::default();
        let keys = [(LOG_FORMAT, "log.format"), (LOG_LEVEL, "log.level"), (LOG_TIMESTAMPS, "log.timestamps")];
        for (name, key) in keys {
            let Some(value) = variable(name) else { continue };
            let value = Serialized::global(key, value.to_string_lossy().into_owned());
            match Figment::from(Serialized::defaults(&config)).merge(value).extract() {
                Ok(read) => config = read,
                Err(error) => wrong.push(explain(&error)),
            }
        }
        if !wrong.is_empty() {
            return Err(wrong.join("; "));
        }
        // As the bytes they are: a path need not be UTF-8, and `1` or `[x]` is one too.
        config.database =
            database.or_else(|| variable(DATABASE).map(PathBuf::from)).filter(|path| !path.as_os_str().is_empty());
        Ok(config)
    }

    /// Returns the live database of the data directory that `HEARTH_DATA_DIR` names, else of `./data`, as with the other programs:
    /// what is looked at when nothing else is asked for. Never what is migrated: nothing but the app changes a live database.
    pub(crate) fn live() -> PathBuf {
        let data = variable(DATA_DIR).map_or_else(|| PathBuf::from("data"), PathBuf::from);
        data.join("live").join("app.db")
    }
}

/// Returns what a variable says; one that is blank says nothing.
fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.to_string_lossy().trim().is_empty())
}

/// Says of which setting of the migrator's this variable is a misspelling, if it is one: other separators, or a letter too
/// many, missing or changed. How Kubernetes describes a service to others is none.
fn misspelt(name: &str) -> Option<String> {
    const KNOWN: [&str; 5] = [DATABASE, DATA_DIR, LOG_FORMAT, LOG_LEVEL, LOG_TIMESTAMPS];
    let letters = |name: &str| -> String {
        name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_uppercase).collect()
    };
    if !name.starts_with("HEARTH_") || KNOWN.contains(&name) || name.contains("_SERVICE_") {
        return None;
    }
    if variable(name)?.to_string_lossy().contains("://") {
        return None;
    }
    let word = letters(name);
    let near = KNOWN.into_iter().find(|known| strsim::osa_distance(&word, &letters(known)) <= 1)?;
    Some(format!("there is no setting {name}; did you mean {near}?"))
}

fn explain(error: &figment::Error) -> String {
    let key = error.path.iter().map(|part| part.to_uppercase()).collect::<Vec<_>>().join("__");
    format!("HEARTH_{key}: {}", error.kind.to_string().replace("``", "`"))
}
