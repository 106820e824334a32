//! Which database, and how is talked about it?
//!
//! Defaults, then the environment, then flags. Other `HEARTH_*` variables belong to the other
//! programs and are passed over.

use std::path::PathBuf;

use figment::Figment;
use figment::providers::{Env, Serialized};
use serde::{Deserialize, Serialize};
use tracing::Level;

/// The migrator's configuration.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Config {
    /// `HEARTH_DATABASE`, or `--database`.
    pub(crate) database: Option<PathBuf>,
    pub(crate) log: Log,
}

/// `HEARTH_LOG__FORMAT` and `HEARTH_LOG__LEVEL`.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) format: Format,
    pub(crate) level: LogLevel,
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
        let log = Env::prefixed("HEARTH_").only(&["log__format", "log__level"]).split("__");
        let mut config: Config = Figment::from(Serialized::defaults(Config::default()))
            .merge(log)
            .extract()
            .map_err(|error| explain(&error))?;
        // As the bytes they are: a path need not be UTF-8, and `1` or `[x]` is one too.
        config.database = database
            .or_else(|| std::env::var_os("HEARTH_DATABASE").map(PathBuf::from))
            .filter(|path| !path.as_os_str().is_empty());
        Ok(config)
    }

    /// Returns the live database of the data directory that `HEARTH_DATA_DIR` names: what is looked at when nothing else
    /// is asked for. Never what is migrated: nothing but the app changes a live database.
    pub(crate) fn live() -> Option<PathBuf> {
        let data = std::env::var_os("HEARTH_DATA_DIR").filter(|path| !path.is_empty())?;
        Some(PathBuf::from(data).join("live").join("app.db"))
    }
}

fn explain(error: &figment::Error) -> String {
    let key = error.path.iter().map(|part| part.to_uppercase()).collect::<Vec<_>>().join("__");
    format!("HEARTH_{key}: {}", error.kind.to_string().replace("``", "`"))
}
