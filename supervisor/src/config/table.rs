//! Which settings are there?
//!
//! Each setting is defined once, in the table below: its name, its type, its default, what is allowed, and what it does. The typed
//! [`Config`], the variables of the environment, `supervisor config` and docs/CONFIGURATION.md are made from it.

use std::{fmt, net::SocketAddr, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

use super::{
    choices::{LogFormat, LogLevel, LogTimestamps, SandboxMode, Switch, Tailscale},
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
        /// The directory of all data. Cannot be set in the file, which is in this directory.
        data_dir: PathBuf = "./data", Kind::Directory;
        /// The address at which Hearth listens. If it is not 127.0.0.1, everyone who can reach it gets to the sign-in page.
        /// Plain HTTP can be read on its way unless Tailscale or a proxy with a certificate encrypts it.
        listen: SocketAddr = "127.0.0.1:3000", Kind::Address;
    }

    /// Which names Hearth goes by. The app checks them.
    http: Http {
        /// The address at which people reach Hearth. Passkeys are bound to its name, and links in invitations begin with it.
        public_url: String = "", Kind::Line("https:// and a name, such as https://hearth.example.ts.net; or http://localhost:3000");
        /// Further names at which people reach Hearth. Hearth answers a request for any other name with 421, so that no
        /// stranger's web page reaches it under its own name (DNS rebinding). IP addresses, names without a dot and the name in
        /// `http.public_url` are always allowed.
        hosts: Vec<String> = "[]", Kind::Lines(r#"a list of names, such as ["hearth.example.org"]; in the environment with commas between them"#);
        /// The [reverse proxies](REVERSE-PROXY.md) that Hearth trusts to tell the address of a client (`X-Forwarded-For`) and
        /// the name that the client requested (`X-Forwarded-Host`). Any number of connections may come from them. Name a
        /// proxy only if it sets both headers itself.
        trusted_proxies: Vec<String> = "[]", Kind::Lines(r#"a list of IP addresses and networks, such as ["172.18.0.2", "192.168.1.0/24"]; in the environment with commas between them"#);
    }

    /// Who may sign in how. The app checks it.
    auth: Auth {
        /// The e-mail of the owner to create if there is no user yet, instead of the set-up code. Needs `auth.admin_password`.
        admin_email: String = "", Kind::Line("an e-mail address, such as ada@example.org");
        /// The owner's first password. Never shown.
        admin_password: String = "", Kind::SecretLine("10 to 128 characters");
        /// How Tailscale signs people in ([TAILSCALE.md](TAILSCALE.md#signing-in-by-tailscale)): `serve` trusts the headers of
        /// `tailscale serve`, only on `auth.tailscale_listen`; `localapi` asks tailscaled whose address it is.
        tailscale: Tailscale = "off", Kind::Choice(Tailscale::WORDS);
        /// For `serve`: the address at which only `tailscale serve` reaches Hearth. Anybody else who can connect there can sign
        /// in as anybody. A unix socket is created with mode 0600, for root (tailscaled) and Hearth's own user.
        tailscale_listen: String = "", Kind::Endpoint;
        /// For `localapi`: the socket of tailscaled. With `localapi` the app can connect to unix sockets
        /// ([SECURITY.md](SECURITY.md)).
        tailscale_socket: PathBuf = "/var/run/tailscale/tailscaled.sock", Kind::Line("the path of a unix socket, such as /var/run/tailscale/tailscaled.sock");
        /// Whether a user of the tailnet who has no account in Hearth is refused, or joins as a guest or member.
        tailscale_join: String = "refuse", JOIN;
        /// The issuer URL of the single sign-on provider (Pocket ID, Authelia, Keycloak), exactly as the provider documents it.
        oidc_issuer: String = "", Kind::Line("an address that begins with https://, or with http://localhost");
        /// The client ID of Hearth at the provider.
        oidc_client_id: String = "", Kind::Line("a line of up to 255 characters");
        /// The client secret of Hearth at the provider. Never shown.
        oidc_client_secret: String = "", Kind::SecretLine("printable ASCII");
        /// The name of the provider on the sign-in page.
        oidc_name: String = "single sign-on", Kind::Line("a line of up to 40 characters");
        /// Whether a user of the provider who has no account in Hearth is refused, or joins as a guest or member.
        oidc_join: String = "refuse", JOIN;
    }

    /// What the attachments of records may take. The app checks it.
    attachments: Attachments {
        /// The largest file that can be attached to a record.
        max_size: String = "2GiB", Kind::Line("a size from 1 byte to 1 TiB, such as 500MB or 2GiB");
        /// How many bytes all attachments together may have, counted as they were uploaded. Without a quota the disk is the limit.
        quota: String = "", Kind::Line("a size, such as 50GiB");
    }

    /// What is logged, and how.
    #[derive(Copy)]
    log: Log {
        /// `text` for people, or `json` for one JSON document per line.
        format: LogFormat = "text", Kind::Choice(LogFormat::WORDS);
        /// The lowest level that is logged.
        level: LogLevel = "info", Kind::Choice(LogLevel::WORDS);
        /// Whether each line of the format `text` begins with the time, in UTC: `auto` adds it unless systemd's journal or a container
        /// engine does (`docker compose logs -t` shows the engine's). JSON lines always have it.
        timestamps: LogTimestamps = "auto", Kind::Choice(LogTimestamps::WORDS);
    }

    /// What app, migrator and jobs are confined to.
    #[derive(Copy)]
    sandbox: Sandbox {
        /// How the app, the migrator and the jobs are sandboxed ([SECURITY.md](SECURITY.md)): `best-effort` uses what the
        /// kernel offers, `enforce` starts nothing without the whole sandbox, and `off` turns it off.
        mode: SandboxMode = "best-effort", Kind::Choice(SandboxMode::WORDS);
    }

    /// The app.
    app: App {
        /// The app and its arguments. The default is the program beside the supervisor.
        command: Vec<String> = "app serve", Kind::Command;
        /// How long the app may take to become ready, also in probation.
        #[serde(with = "humantime_serde")]
        start_timeout: Duration = "60s", time(MS_100, DAY);
    }

    /// The migrator.
    migrator: Migrator {
        /// The migrator and its arguments. The default is the program beside the supervisor.
        command: Vec<String> = "migrator", Kind::Command;
    }

    /// How the app is asked whether it is healthy.
    health: Health {
        /// The path of the health check on the app's private socket.
        path: String = "/health", Kind::UrlPath;
        /// The time between two health checks.
        #[serde(with = "humantime_serde")]
        interval: Duration = "5s", time(MS_10, HOUR);
        /// How long a response to a health check may take.
        #[serde(with = "humantime_serde")]
        timeout: Duration = "5s", time(MS_10, HOUR);
        /// How many health checks in a row may fail before the supervisor stops the app and starts it again.
        failures: u32 = "3", Kind::Number(1, 1000);
    }

    /// How the app shows that it is alive.
    watchdog: Watchdog {
        /// How long the app may go without a watchdog notification, after it has sent the first one.
        #[serde(with = "humantime_serde")]
        interval: Duration = "30s", time(MS_100, DAY);
    }

    /// How an app that ended is started again.
    restart: Restart {
        /// The wait before the supervisor restarts an app that exited. It doubles with each restart.
        #[serde(with = "humantime_serde")]
        backoff: Duration = "500ms", time(MS_10, HOUR);
        /// The longest wait before a restart.
        #[serde(with = "humantime_serde")]
        backoff_max: Duration = "30s", time(MS_10, DAY);
        /// How many exits of the app within `restart.window` count as a crash loop; Hearth is then held.
        attempts: u32 = "5", Kind::Number(1, 1000);
        /// The time within which `restart.attempts` are counted.
        #[serde(with = "humantime_serde")]
        window: Duration = "5m", time(MS_100, DAY);
    }

    /// How the app is stopped.
    stop: Stop {
        /// The grace period between TERM and KILL. Docker's is 10 s, so keep this one shorter, or raise `stop_grace_period`
        /// too.
        #[serde(with = "humantime_serde")]
        grace: Duration = "7s", time(MS_100, HOUR);
    }

    /// How the data directory's lock is waited for.
    lock: Lock {
        /// How long a start waits while another supervisor, or a process that it left behind, uses the data directory.
        #[serde(with = "humantime_serde")]
        wait: Duration = "30s", time(Duration::ZERO, DAY);
    }

    /// Which snapshots are kept.
    snapshots: Snapshots {
        /// The number of newest snapshots that are always kept.
        keep: usize = "3", Kind::Number(1, 1000);
        /// Snapshots to which the household wrote within this time are kept as well.
        #[serde(with = "humantime_serde")]
        keep_written: Duration = "7d", time(Duration::ZERO, TEN_YEARS);
    }

    /// When backups are made, where they go, and which are kept (as restic's `forget` does).
    #[derive(Serialize)]
    backup: Backup {
        /// The directory of the backups. It cannot be in `generations/`, `files/` or `supervisor/`.
        dir: PathBuf = "backups", Kind::DirectoryOfBackups;
        /// When Hearth makes backups, in the time zone of `TZ`.
        schedule: String = "0 3 * * *", Kind::Schedule;
        /// The longest delay of a scheduled backup; the delay differs each night.
        #[serde(with = "humantime_serde")]
        jitter: Duration = "30m", time(Duration::ZERO, HALF_A_DAY);
        /// When a drill becomes due: the next scheduled backup is then also booted from.
        drill: String = "0 3 * * 0", Kind::Schedule;
        /// How many of the newest backups are kept, counted separately for scheduled and manual ones.
        keep_last: u32 = "3", Kind::Number(0, 10_000);
        /// For how many days the last backup of each day is kept.
        keep_daily: u32 = "7", Kind::Number(0, 10_000);
        /// For how many weeks the last backup of each week is kept.
        keep_weekly: u32 = "4", Kind::Number(0, 10_000);
        /// For how many months the last backup of each month is kept.
        keep_monthly: u32 = "12", Kind::Number(0, 10_000);
        /// For how many years the last backup of each year is kept. If all five are 0, everything is kept.
        keep_yearly: u32 = "3", Kind::Number(0, 10_000);
        /// The age recipients to whom backups are encrypted. Without any, backups are not encrypted.
        recipients: Vec<String> = "[]", Kind::Recipients;
        /// The places to which each backup is copied; see [BACKUPS.md](BACKUPS.md).
        destinations: Vec<String> = "[]", Kind::Destinations;
        /// The access key for S3 destinations without `credentials=FILE`.
        s3_access_key_id: String = "", Kind::Secret;
        /// The secret access key that belongs to it. Never shown.
        s3_secret_access_key: String = "", Kind::Secret;
    }

    /// What happens while a new version is tried, and when it fails.
    #[derive(Copy)]
    upgrade: Upgrade {
        /// Whether the last good version serves while a new one is rehearsed, and serves on if the new one fails
        /// ([UPGRADING.md](UPGRADING.md)). `off` stops the app for the whole upgrade, and holds Hearth if the upgrade fails.
        fallback: Switch = "on", Kind::Choice(Switch::WORDS);
    }

    /// How it is found out whether there is a newer version.
    update: Update {
        /// Whether Hearth asks the registry of `update.image` once a day for a newer version, with an anonymous GET of the list
        /// of tags. It never downloads or installs anything.
        check: Switch = "on", Kind::Choice(Switch::WORDS);
        /// The image whose versions are checked; the container image sets its own name. If it is not set, as when Hearth runs
        /// from source, nothing is checked. Hearth uses plain HTTP only for a registry on this machine, and HTTPS for others,
        /// through the proxy of `HTTPS_PROXY` if that is set.
        image: String = "", Kind::Image;
    }
}
