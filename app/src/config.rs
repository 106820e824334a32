//! Which settings does the app run with, and where did each come from?
//!
//! Defaults, then the environment (`HEARTH_DATABASE`, `HEARTH_LOG__LEVEL`, …), then flags. The supervisor hands
//! its resolved values down as environment variables; other `HEARTH_*` variables belong to other processes and
//! are ignored here.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use figment::{
    Figment,
    providers::{Env, Serialized},
};
use serde::{Deserialize, Deserializer, Serialize};

use crate::{cli::ServeArgs, failure::Failure};

/// A key, the variable and flag that set it, and what it may be.
struct Key {
    name: &'static str,
    variable: &'static str,
    flag: Option<&'static str>,
    allowed: &'static str,
}

const KEYS: [Key; 6] = [
    Key {
        name: "database",
        variable: "HEARTH_DATABASE",
        flag: Some("--database"),
        allowed: "the path of a database that the migrator set up",
    },
    Key {
        name: "files",
        variable: "HEARTH_FILES",
        flag: Some("--files"),
        allowed: "the path of the directory of attachments",
    },
    Key {
        name: "listen",
        variable: "HEARTH_LISTEN",
        flag: Some("--listen"),
        allowed: "an address and a port, such as 127.0.0.1:3000 or [::]:3000",
    },
    Key { name: "log.format", variable: "HEARTH_LOG__FORMAT", flag: None, allowed: "text or json" },
    Key { name: "log.level", variable: "HEARTH_LOG__LEVEL", flag: None, allowed: "error, warn, info, debug or trace" },
    Key { name: "stop.grace", variable: "HEARTH_STOP__GRACE", flag: None, allowed: "a duration such as 8s or 1m 30s" },
];

/// Everything `app serve` needs to know.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct Config {
    #[serde(deserialize_with = "path")]
    pub(crate) database: PathBuf,
    #[serde(deserialize_with = "path")]
    pub(crate) files: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) log: Log,
    pub(crate) stop: Stop,
    /// Whether the supervisor is proving this app on a staged database: private socket only, nothing written.
    #[serde(skip)]
    pub(crate) probation: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: LogLevel,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Stop {
    /// Time between the supervisor's TERM and its KILL.
    #[serde(with = "humantime_serde")]
    pub(crate) grace: Duration,
}

#[derive(Serialize)]
struct Defaults {
    listen: &'static str,
    log: Log,
    stop: Stop,
}

const DEFAULTS: Defaults = Defaults {
    listen: "127.0.0.1:3000",
    log: Log { format: LogFormat::Text, level: LogLevel::Info },
    stop: Stop {
        // Docker sends KILL 10 s after TERM; 8 s leaves the supervisor room.
        grace: Duration::from_secs(8),
    },
};

impl Config {
    /// Returns the settings from defaults, environment and flags.
    pub(crate) fn read(args: &ServeArgs) -> Result<Self, Failure> {
        let known = KEYS.map(|key| &key.variable["HEARTH_".len()..]);
        let mut figment =
            Figment::from(Serialized::defaults(DEFAULTS)).merge(Env::prefixed("HEARTH_").only(&known).split("__"));
        for (key, value) in [("database", &args.database), ("files", &args.files), ("listen", &args.listen)] {
            if let Some(value) = value {
                figment = figment.merge(Serialized::global(key, value));
            }
        }
        let mut config: Self = figment.extract().map_err(|error| explain(&error, args))?;
        config.probation = match std::env::var("HEARTH_PROBATION").as_deref() {
            Ok("1") => true,
            Ok(other) => {
                return Err(Failure::new(format!("HEARTH_PROBATION is {other:?}, and it can only be 1 or not there")));
            }
            Err(_) => false,
        };
        Ok(config)
    }
}

/// Turns figment's error into the key, where its value came from and what is allowed.
fn explain(error: &figment::Error, args: &ServeArgs) -> Failure {
    let name = match &error.kind {
        figment::error::Kind::MissingField(field) => field.to_string(),
        _ => error.path.join("."),
    };
    let Some(key) = KEYS.iter().find(|key| key.name == name) else {
        return Failure::new(format!("the settings cannot be read: {error}"));
    };
    let by_flag = match key.name {
        "database" => args.database.as_ref(),
        "files" => args.files.as_ref(),
        "listen" => args.listen.as_ref(),
        _ => None,
    };
    let from_environment = std::env::var(key.variable).ok();
    let message = match (by_flag, key.flag, from_environment) {
        (Some(value), Some(flag), _) => {
            format!("{} from {flag} is {value:?}, which cannot be used", key.name)
        }
        (_, _, Some(value)) => format!("{} from {} is {value:?}, which cannot be used", key.name, key.variable),
        _ => format!("{} is not set", key.name),
    };
    let place = match key.flag {
        Some(flag) => format!("{} or {flag}", key.variable),
        None => key.variable.to_owned(),
    };
    Failure::new(message).hint(format!("{} ({place}) is {}", key.name, key.allowed))
}

/// Reads a path whatever figment took it for: a directory may be called `2026`.
fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Scalar {
        Text(String),
        Number(i64),
        Flag(bool),
    }
    let text = match Scalar::deserialize(deserializer)? {
        Scalar::Text(text) => text,
        Scalar::Number(number) => number.to_string(),
        Scalar::Flag(flag) => flag.to_string(),
    };
    if text.is_empty() {
        return Err(serde::de::Error::custom("an empty path"));
    }
    Ok(PathBuf::from(text))
}
