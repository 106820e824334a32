//! Which settings are there?
//!
//! Each setting is defined once, in the table below: its name, its type, its default, what is allowed, and what it does. The typed
//! [`Config`], the variables of the environment, `supervisor config` and docs/CONFIGURATION.md are made from it.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    choices::{LogFormat, LogLevel, SandboxMode, Switch, Tailscale},
    household::ForTheApp,
    key::{Key, Kind, Unchecked},
};

const fn time(from: Duration, to: Duration) -> Kind {
    Kind::Time(from, to)
}

const MS_10: Duration = Duration::from_millis(10);
const MS_100: Duration = Duration::from_millis(100);
const HOUR: Duration = Duration::from_secs(60 * 60);
const HALF_A_DAY: Duration = Duration::from_secs(12 * 60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
// Years of 365.25 days, as the crate that reads and writes them has it.
const TEN_YEARS: Duration = Duration::from_secs(315_576_000);

/// What may become of somebody who is known elsewhere, and not here.
const JOIN: Kind = Kind::Line("refuse, guest, member");

/// Makes the settings: top-level ones, then sections. An entry is its documentation, its name and type, its default as in
/// the environment, and its kind.
macro_rules! settings {
    (
        { $( $(#[doc = $about:literal])+ $(#[serde $serde:tt])* $name:ident: $type:ty = $default:literal, $kind:expr; )* }
        $(
            $(#[$meta:meta])+
            $section:ident: $Section:ident {
                $( $(#[doc = $inner_about:literal])+ $(#[serde $inner_serde:tt])*
                   $inner:ident: $inner_type:ty = $inner_default:literal, $inner_kind:expr; )*
            }
        )*
    ) => {
        /// The settings.
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
        pub struct Config {
            $( $(#[doc = $about])+ $(#[serde $serde])* pub $name: $type, )*
            $( #[doc = concat!("`", stringify!($section), ".*`")] pub $section: $Section, )*
            /// Those that a job has yet to check.
            #[serde(skip)]
            pub unchecked: Vec<Unchecked>,
            /// What the app is handed of `http` and `auth`, and checks itself.
            #[serde(skip)]
            pub for_the_app: ForTheApp,
        }

        $(
            $(#[$meta])+
            #[derive(Clone, PartialEq, Eq, Deserialize)]
            pub struct $Section {
                $( $(#[doc = $inner_about])+ $(#[serde $inner_serde])* pub $inner: $inner_type, )*
            }

            /// Without the secrets.
            impl fmt::Debug for $Section {
                fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                    let mut shown = f.debug_struct(stringify!($Section));
                    $( if !$inner_kind.is_secret() { shown.field(stringify!($inner), &self.$inner); } )*
                    shown.finish_non_exhaustive()
                }
            }
        )*

        /// All settings, in the order in which they are shown.
        pub(super) const KEYS: &[Key] = &[
            $( Key {
                name: stringify!($name), default: $default, kind: $kind,
                #[cfg(test)] about: concat!($($about),+),
            }, )*
            $( $( Key {
                name: concat!(stringify!($section), ".", stringify!($inner)), default: $inner_default, kind: $inner_kind,
                #[cfg(test)] about: concat!($($inner_about),+),
            }, )* )*
        ];
    };
}

settings! {
    {
        /// Where everything is kept. Not settable in the file, which lies in it.
        data_dir: PathBuf = "./data", Kind::Directory;
        /// The address people reach Hearth at. Beyond 127.0.0.1, everyone who can reach it gets to the sign-in page; and plain
        /// HTTP, without Tailscale or a proxy with a certificate, can be read on its way.
        listen: SocketAddr = "127.0.0.1:3000", Kind::Address;
    }

    /// Which names Hearth goes by. The app checks them.
    http: Http {
        /// Where people reach Hearth. Passkeys are bound to its name, and links in invitations begin with it.
        public_url: String = "", Kind::Line("https:// and a name, such as https://hearth.example.ts.net; or http://localhost:3000");
        /// Further names that Hearth goes by. A request for any other name is answered with 421, so that no foreign web page
        /// reaches Hearth by a name of its own (DNS rebinding). IP addresses, names without a dot and that of
        /// `http.public_url` need not be named.
        hosts: Vec<String> = "[]", Kind::Lines(r#"a list of names, such as ["hearth.example.org"]; in the environment with commas between them"#);
        /// The reverse proxies whose word is believed on the address of a client (`X-Forwarded-For`) and on the name that it
        /// asked for (`X-Forwarded-Host`); and from whom any number of connections may come. Name a proxy only if it sets
        /// both headers itself.
        trusted_proxies: Vec<String> = "[]", Kind::Lines(r#"a list of IP addresses and networks, such as ["172.18.0.2", "192.168.1.0/24"]; in the environment with commas between them"#);
    }

    /// Who may sign in how. The app checks it.
    auth: Auth {
        /// With `auth.admin_password`: the owner that is made where there is none yet, instead of by the set-up code in the
        /// log.
        admin_email: String = "", Kind::Line("an e-mail address, such as ada@example.org");
        /// The owner's first password. Never shown.
        admin_password: String = "", Kind::SecretLine("10 to 128 characters");
        /// Whether Tailscale signs people in ([TAILSCALE.md](TAILSCALE.md#signing-in-by-tailscale)): `serve` believes the
        /// headers of `tailscale serve` on `auth.tailscale_listen` alone, `localapi` asks tailscaled whose address it is.
        tailscale: Tailscale = "off", Kind::Choice(Tailscale::WORDS);
        /// For `serve`: where `tailscale serve` reaches Hearth, and nobody else does; who can connect there can be anybody.
        /// A unix socket is made with mode 0600, so that root (tailscaled) and Hearth's own user reach it.
        tailscale_listen: String = "", Kind::Endpoint;
        /// For `localapi`: tailscaled's socket. The app may then connect to unix sockets ([SECURITY.md](SECURITY.md)).
        tailscale_socket: PathBuf = "/var/run/tailscale/tailscaled.sock", Kind::Line("the path of a unix socket, such as /var/run/tailscale/tailscaled.sock");
        /// What becomes of a person of the tailnet whom Hearth does not know.
        tailscale_join: String = "refuse", JOIN;
        /// The provider of single sign-on (Pocket ID, Authelia, Keycloak), as its own documents name the issuer.
        oidc_issuer: String = "", Kind::Line("an address that begins with https://, or with http://localhost");
        /// As whom Hearth is registered there.
        oidc_client_id: String = "", Kind::Line("a line of up to 255 characters");
        /// The secret that belongs to it. Never shown.
        oidc_client_secret: String = "", Kind::SecretLine("printable ASCII");
        /// What the sign-in page calls the provider.
        oidc_name: String = "single sign-on", Kind::Line("a line of up to 40 characters");
        /// What becomes of a person of the provider's whom Hearth does not know.
        oidc_join: String = "refuse", JOIN;
    }

    /// What is logged, and how.
    #[derive(Copy)]
    log: Log {
        /// `text` for people, `json` for one JSON document a line.
        format: LogFormat = "text", Kind::Choice(LogFormat::WORDS);
        /// The least important lines that are shown.
        level: LogLevel = "info", Kind::Choice(LogLevel::WORDS);
    }

    /// What app, migrator and jobs are confined to.
    #[derive(Copy)]
    sandbox: Sandbox {
        /// What the app, the migrator and the jobs are confined to ([SECURITY.md](SECURITY.md)): what the kernel offers,
        /// nothing less than all of it, or nothing.
        mode: SandboxMode = "best-effort", Kind::Choice(SandboxMode::WORDS);
    }

    /// The app.
    app: App {
        /// The app, and its arguments. By default the program beside the supervisor.
        command: Vec<String> = "app serve", Kind::Command;
        /// How long the app may take until it is ready, in probation too.
        #[serde(with = "humantime_serde")]
        start_timeout: Duration = "60s", time(MS_100, DAY);
    }

    /// The migrator.
    migrator: Migrator {
        /// The migrator. By default the program beside the supervisor.
        command: Vec<String> = "migrator", Kind::Command;
    }

    /// How the app is asked whether it is healthy.
    health: Health {
        /// What the supervisor asks the app for, on its private socket.
        path: String = "/health", Kind::UrlPath;
        /// The time between two health checks.
        #[serde(with = "humantime_serde")]
        interval: Duration = "5s", time(MS_10, HOUR);
        /// How long an answer may take.
        #[serde(with = "humantime_serde")]
        timeout: Duration = "5s", time(MS_10, HOUR);
        /// How many questions in a row may go without an answer before the app is ended and started again.
        failures: u32 = "3", Kind::Number(1, 1000);
    }

    /// How the app shows that it is alive.
    watchdog: Watchdog {
        /// How long the app may be silent, once it has sent a first sign of life.
        #[serde(with = "humantime_serde")]
        interval: Duration = "30s", time(MS_100, DAY);
    }

    /// How an app that ended is started again.
    restart: Restart {
        /// The first wait before an app that ended is started again; it doubles each time.
        #[serde(with = "humantime_serde")]
        backoff: Duration = "500ms", time(MS_10, HOUR);
        /// The longest such wait.
        #[serde(with = "humantime_serde")]
        backoff_max: Duration = "30s", time(MS_10, DAY);
        /// How many ends within `restart.window` are a crash loop, which is held.
        attempts: u32 = "5", Kind::Number(1, 1000);
        /// The time in which the ends are counted that `restart.attempts` limits.
        #[serde(with = "humantime_serde")]
        window: Duration = "5m", time(MS_100, DAY);
    }

    /// How the app is stopped.
    stop: Stop {
        /// Between TERM and KILL. Docker's own is 10 s, so keep it below that or raise `stop_grace_period` too.
        #[serde(with = "humantime_serde")]
        grace: Duration = "7s", time(MS_100, HOUR);
    }

    /// How the data directory's lock is waited for.
    lock: Lock {
        /// How long a start waits for a data directory that another supervisor, or what is left of it, has in use.
        #[serde(with = "humantime_serde")]
        wait: Duration = "30s", time(Duration::ZERO, DAY);
    }

    /// Which snapshots are kept.
    snapshots: Snapshots {
        /// How many snapshots are kept at least.
        keep: usize = "3", Kind::Number(1, 1000);
        /// Snapshots that the household wrote to within this time are kept besides.
        #[serde(with = "humantime_serde")]
        keep_written: Duration = "7d", time(Duration::ZERO, TEN_YEARS);
    }

    /// When backups are made, where they go, and which are kept (as restic's `forget` does).
    #[derive(Serialize)]
    backup: Backup {
        /// Where backups lie. Not in `generations/`, `files/` or `supervisor/`.
        dir: PathBuf = "backups", Kind::DirectoryOfBackups;
        /// When a backup is made by itself, in the time zone of `TZ`.
        schedule: String = "0 3 * * *", Kind::Schedule;
        /// Up to how much later; each night another.
        #[serde(with = "humantime_serde")]
        jitter: Duration = "30m", time(Duration::ZERO, HALF_A_DAY);
        /// From when on the next backup by schedule is also booted from.
        drill: String = "0 3 * * 0", Kind::Schedule;
        /// How many of the last backups are kept, of each reason (scheduled, manual).
        keep_last: u32 = "3", Kind::Number(0, 10_000);
        /// For how many days the last one of each is kept.
        keep_daily: u32 = "7", Kind::Number(0, 10_000);
        /// For how many weeks.
        keep_weekly: u32 = "4", Kind::Number(0, 10_000);
        /// For how many months.
        keep_monthly: u32 = "12", Kind::Number(0, 10_000);
        /// For how many years. All five 0: everything is kept.
        keep_yearly: u32 = "3", Kind::Number(0, 10_000);
        /// To whom backups are encrypted; none: they are not.
        recipients: Vec<String> = "[]", Kind::Recipients;
        /// Where each backup is copied to; see [BACKUPS.md](BACKUPS.md).
        destinations: Vec<String> = "[]", Kind::Destinations;
        /// The access key for S3 destinations without `credentials=FILE`.
        s3_access_key_id: String = "", Kind::Secret;
        /// The secret that belongs to it. Never shown.
        s3_secret_access_key: String = "", Kind::Secret;
    }

    /// How it is found out whether there is a newer version.
    update: Update {
        /// Whether the registry of `update.image` is asked once a day for a newer version: an anonymous GET of the list of
        /// tags, and nothing more. Nothing is ever downloaded or installed.
        check: Switch = "on", Kind::Choice(Switch::WORDS);
        /// The image whose versions are looked at; the container image names itself. Without one, as when run from source,
        /// nothing is asked. Plain HTTP is spoken to a registry on this very machine only; others are reached over HTTPS,
        /// through the proxy of `HTTPS_PROXY` if there is one.
        image: String = "", Kind::Image;
    }
}
