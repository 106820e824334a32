//! Which settings does the app run with, and where did each come from?
//!
//! Defaults, then the environment (`HEARTH_DATABASE`, `HEARTH_LOG__LEVEL`, …), then flags; a blank value is none. The
//! supervisor hands its resolved values down as environment variables; other `HEARTH_*` variables belong to other
//! processes and are ignored here, unless they are misspelt settings of the app's. All mistakes are reported at once.

mod accounts;
mod environment;

use std::{ffi::OsString, net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;
use figment::{Figment, providers::Serialized};
use serde::{Deserialize, Deserializer, Serialize};

pub(crate) use self::accounts::{
    Admin, Auth, Http, Join, OidcSettings, PublicUrl, TailscaleListen, TailscaleSettings, is_loopback,
};

use self::environment::misspelt;
pub(crate) use self::environment::variable;
use crate::failure::Failure;

/// Settings of `app serve`; each is a `HEARTH_*` environment variable as well.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ServeArgs {
    /// The database, as migrated by the migrator [env: HEARTH_DATABASE]
    #[arg(long, value_name = "FILE")]
    pub(crate) database: Option<String>,
    /// The directory of attachments [env: HEARTH_FILES]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) files: Option<String>,
    /// Where to listen when no socket is inherited [env: HEARTH_LISTEN] [default: 127.0.0.1:3000]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<String>,
}

/// A key, the variable and flag that set it, and what it may be.
struct Key {
    name: &'static str,
    variable: &'static str,
    flag: Option<&'static str>,
    allowed: &'static str,
}

impl Key {
    const fn new(name: &'static str, variable: &'static str, allowed: &'static str) -> Self {
        Self { name, variable, flag: None, allowed }
    }

    /// Whether its value is never shown.
    fn is_secret(&self) -> bool {
        matches!(self.name, "auth.admin_password" | "auth.oidc_client_secret")
    }
}

const KEYS: [Key; 19] = [
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
    Key::new("log.format", "HEARTH_LOG__FORMAT", "text or json"),
    Key::new("log.level", "HEARTH_LOG__LEVEL", "error, warn, info, debug or trace"),
    Key::new("stop.grace", "HEARTH_STOP__GRACE", "a duration such as 8s or 1m 30s"),
    Key::new(
        "http.public_url",
        "HEARTH_HTTP__PUBLIC_URL",
        "where browsers find Hearth, such as https://hearth.example.org or, on this machine alone, http://localhost:3000",
    ),
    Key::new(
        "http.hosts",
        "HEARTH_HTTP__HOSTS",
        "the names that Hearth answers to besides that of http.public_url, with commas between them",
    ),
    Key::new("auth.admin_email", "HEARTH_AUTH__ADMIN_EMAIL", "the owner's e-mail address"),
    Key::new("auth.admin_password", "HEARTH_AUTH__ADMIN_PASSWORD", "the owner's first password"),
    Key::new("auth.tailscale", "HEARTH_AUTH__TAILSCALE", "off, serve or localapi"),
    Key::new(
        "auth.tailscale_listen",
        "HEARTH_AUTH__TAILSCALE_LISTEN",
        "an address and a port that nothing but `tailscale serve` can reach, or the absolute path of a unix socket",
    ),
    Key::new("auth.tailscale_socket", "HEARTH_AUTH__TAILSCALE_SOCKET", "the absolute path of tailscaled's socket"),
    Key::new("auth.tailscale_join", "HEARTH_AUTH__TAILSCALE_JOIN", "refuse, guest or member"),
    Key::new(
        "auth.oidc_issuer",
        "HEARTH_AUTH__OIDC_ISSUER",
        "the provider's address exactly as the provider itself writes it, such as https://id.example.org",
    ),
    Key::new("auth.oidc_client_id", "HEARTH_AUTH__OIDC_CLIENT_ID", "the id that the provider gave to Hearth"),
    Key::new(
        "auth.oidc_client_secret",
        "HEARTH_AUTH__OIDC_CLIENT_SECRET",
        "the secret that belongs to the client's id",
    ),
    Key::new("auth.oidc_name", "HEARTH_AUTH__OIDC_NAME", "the words on the button, at most 40 characters"),
    Key::new("auth.oidc_join", "HEARTH_AUTH__OIDC_JOIN", "refuse, guest or member"),
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
    /// Which names lead here.
    #[serde(skip)]
    pub(crate) http: Http,
    /// Which ways to sign in there are besides a password.
    #[serde(skip)]
    pub(crate) auth: Auth,
    /// Whether what is proven comes from a backup or a snapshot.
    #[serde(skip)]
    pub(crate) restored: bool,
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
        let mut wrong: Vec<Failure> = misspelt(&KEYS.each_ref().map(|key| key.variable));
        let mut values: Vec<(&str, String)> = Vec::new();
        for key in &KEYS {
            // As text: figment's own reading of variables makes numbers of what looks like one, and a password of
            // digits loses the zeros it begins with.
            match variable(key.variable).map(OsString::into_string) {
                Some(Ok(text)) => values.push((key.name, text)),
                Some(Err(_)) => wrong.push(Failure::new(format!("the value of {} is not UTF-8 text", key.variable))),
                None => {}
            }
        }
        let flags = [("database", &args.database), ("files", &args.files), ("listen", &args.listen)];
        values.extend(flags.into_iter().filter_map(|(key, value)| Some((key, value.clone()?))));
        // Each mistake is found without those before it.
        let read = loop {
            let figment = values.iter().fold(Figment::from(Serialized::defaults(DEFAULTS)), |figment, (key, value)| {
                figment.merge(Serialized::global(key, value))
            });
            let error = match (figment.extract::<Self>(), figment.extract::<accounts::Asked>()) {
                (Ok(config), Ok(asked)) => break Some((config, asked)),
                (Err(error), _) | (_, Err(error)) => error,
            };
            wrong.push(explain(&error, args));
            let (name, before) = (error.path.join("."), values.len());
            values.retain(|(key, _)| *key != name);
            if values.len() == before {
                break None;
            }
        };
        let (mut config, asked) = match read {
            Some(read) if wrong.is_empty() => read,
            _ => return Err(Failure::all(wrong)),
        };
        (config.http, config.auth) = asked.check()?;
        config.probation = is_told("HEARTH_PROBATION")?;
        config.restored = is_told("HEARTH_RESTORED")?;
        if config.restored && !config.probation {
            return Err(Failure::new("HEARTH_RESTORED is set, and HEARTH_PROBATION is not")
                .hint("the supervisor sets both, for the app that proves a restored database"));
        }
        Ok(config)
    }
}

/// Whether the supervisor says something by a variable that is 1 or not there.
fn is_told(variable: &str) -> Result<bool, Failure> {
    match std::env::var(variable).as_deref().map(str::trim) {
        Ok("1") => Ok(true),
        Ok("") => Ok(false),
        Ok(other) => Err(Failure::new(format!("{variable} is {other:?}, and it can only be 1 or not there"))),
        Err(_) => Ok(false),
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
        (_, _, Some(_)) if key.is_secret() => {
            format!("{} from {} cannot be used", key.name, key.variable)
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

/// Reads a path.
fn path<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text.is_empty() {
        return Err(serde::de::Error::custom("an empty path"));
    }
    Ok(PathBuf::from(text))
}
