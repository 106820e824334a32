//! Which settings does the app run with?
//!
//! Defaults, then the environment (`HEARTH_DATABASE`, `HEARTH_LOG__LEVEL`, …), then flags. The supervisor hands down what is set
//! for the app as environment variables, unread: all of it is checked here. Other `HEARTH_*` variables belong to other
//! processes and are ignored, unless they are misspelt settings of the app's. All mistakes are reported at once.

mod accounts;
mod choices;
mod environment;
mod file;
mod settings;
mod size;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::Args;

pub(crate) use self::{
    accounts::{
        Admin, Auth, Http, OidcSettings, PASSWORD_LONGEST, PASSWORD_SHORTEST, PublicUrl, TailscaleListen,
        TailscaleSettings, host_name, is_loopback,
    },
    choices::Join,
    environment::variable,
    file::public_url,
    settings::{Known, known},
    size::in_words,
};
use self::{
    choices::{LOG_FORMAT, LOG_LEVEL, LOG_TIMESTAMPS},
    settings::{Settings, UNFIT, choice},
};
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

/// Everything `app serve` needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Config {
    pub(crate) database: PathBuf,
    pub(crate) files: PathBuf,
    pub(crate) listen: SocketAddr,
    pub(crate) log: Log,
    pub(crate) stop: Stop,
    /// Which names lead here.
    pub(crate) http: Http,
    /// Which ways to sign in there are besides a password.
    pub(crate) auth: Auth,
    /// What attachments may take.
    pub(crate) attachments: Attachments,
    /// Whether what is proven comes from a backup or a snapshot.
    pub(crate) restored: bool,
    /// Whether the supervisor is proving this app on a staged database: private socket only, nothing written.
    pub(crate) probation: bool,
    /// Whether this program serves in place of a newer one whose upgrade failed.
    pub(crate) fallback: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Log {
    pub(crate) format: LogFormat,
    pub(crate) level: LogLevel,
    /// Whether lines for people begin with the time: `auto` is the supervisor's to decide.
    pub(crate) timestamps: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogLevel {
    Error,
    Warn,
    Info,
    Debug,
    Trace,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stop {
    /// Time between the supervisor's TERM and its KILL.
    pub(crate) grace: Duration,
}

/// What attachments may take, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Attachments {
    /// The largest.
    pub(crate) max_size: u64,
    /// All together; without one, the disk is the limit.
    pub(crate) quota: Option<u64>,
}

/// A film from a phone, of some minutes.
const MAX_SIZE: u64 = 2 << 30;
/// No file system holds larger ones that are worth a name.
const LARGEST_MAX_SIZE: u64 = 1 << 40;

/// Docker sends KILL 10 s after TERM; 8 s leaves the supervisor room.
const GRACE: Duration = Duration::from_secs(8);

impl Config {
    /// Returns the settings from defaults, environment and flags.
    ///
    /// # Errors
    /// All mistakes.
    pub(crate) fn read(args: &ServeArgs) -> Result<Self, Vec<Failure>> {
        let mut settings = Settings::of_process(args);
        let database = settings.needed("database");
        let files = settings.needed("files");
        let mut config = Self::of(&mut settings);
        config.database = database.unwrap_or_default();
        config.files = files.unwrap_or_default();
        config.probation = settings.is_told("HEARTH_PROBATION");
        config.restored = settings.is_told("HEARTH_RESTORED");
        config.fallback = settings.is_told("HEARTH_FALLBACK");
        if config.restored && !config.probation {
            settings.wrong.push(
                Failure::new("HEARTH_RESTORED is set without HEARTH_PROBATION")
                    .hint("the supervisor sets both while the app is proven on a restored database"),
            );
        }
        if settings.wrong.is_empty() { Ok(config) } else { Err(settings.wrong) }
    }

    /// Returns the settings, whatever the database is.
    ///
    /// # Errors
    /// All mistakes.
    pub(crate) fn without_a_database() -> Result<Self, Vec<Failure>> {
        let mut settings = Settings::of_process(&ServeArgs::default());
        let config = Self::of(&mut settings);
        if settings.wrong.is_empty() { Ok(config) } else { Err(settings.wrong) }
    }

    fn of(settings: &mut Settings) -> Self {
        let listen = settings.read("listen", |text| text.parse().map_err(|_| UNFIT));
        let format = settings.read("log.format", choice(LOG_FORMAT));
        let level = settings.read("log.level", choice(LOG_LEVEL));
        let timestamps = settings.read("log.timestamps", choice(LOG_TIMESTAMPS));
        let grace = settings.read("stop.grace", |text| humantime::parse_duration(text).map_err(|_| UNFIT));
        let (http, auth) = accounts::read(settings);
        let max_size = |text: &str| size::parse(text).filter(|bytes| (1..=LARGEST_MAX_SIZE).contains(bytes));
        let max_size = settings.read("attachments.max_size", |text| max_size(text).ok_or(UNFIT));
        let quota = settings.read("attachments.quota", |text| size::parse(text).ok_or(UNFIT));
        Self {
            database: PathBuf::new(),
            files: PathBuf::new(),
            listen: listen.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 3000))),
            log: Log {
                format: format.unwrap_or(LogFormat::Text),
                level: level.unwrap_or(LogLevel::Info),
                timestamps: timestamps.unwrap_or(false),
            },
            stop: Stop { grace: grace.unwrap_or(GRACE) },
            http,
            auth,
            attachments: Attachments { max_size: max_size.unwrap_or(MAX_SIZE), quota },
            restored: false,
            probation: false,
            fallback: false,
        }
    }
}
