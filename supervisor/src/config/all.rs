//! Which settings are there, and what is each by default?

use std::time::Duration;

use super::keys::{Key, Kind};

const fn key(name: &'static str, default: &'static str, kind: Kind, about: &'static str) -> Key {
    #[cfg(not(test))]
    let _ = about;
    Key {
        name,
        default,
        kind,
        #[cfg(test)]
        about,
    }
}

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
const JOIN: &[&str] = &["refuse", "guest", "member"];

/// All settings, in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    key("data_dir", "./data", Kind::Directory, "Where everything is kept. Not settable in the file, which lies in it."),
    key(
        "listen",
        "127.0.0.1:3000",
        Kind::Address,
        "The address people reach Hearth at. Beyond 127.0.0.1, everyone who can reach it gets to the sign-in page; and plain HTTP, without Tailscale or a proxy with a certificate, can be read on its way.",
    ),
    key(
        "http.public_url",
        "",
        Kind::PublicUrl,
        "Where people reach Hearth. Passkeys are bound to its name, and links in invitations begin with it.",
    ),
    key(
        "http.hosts",
        "[]",
        Kind::Hosts,
        "Further names that Hearth goes by. A request for any other name is answered with 421, so that no foreign web page reaches Hearth by a name of its own (DNS rebinding). IP addresses, names without a dot and that of `http.public_url` need not be named.",
    ),
    key(
        "auth.admin_email",
        "",
        Kind::Email,
        "With `auth.admin_password`: the owner that is made where there is none yet, instead of by the set-up code in the log.",
    ),
    key("auth.admin_password", "", Kind::Password(10, 128), "The owner's first password. Never shown."),
    key(
        "auth.tailscale",
        "off",
        Kind::Choice(&["off", "serve", "localapi"]),
        "Whether Tailscale signs people in ([TAILSCALE.md](TAILSCALE.md#signing-in-by-tailscale)): `serve` believes the headers of `tailscale serve` on `auth.tailscale_listen` alone, `localapi` asks tailscaled whose address it is.",
    ),
    key(
        "auth.tailscale_listen",
        "",
        Kind::Place,
        "For `serve`: where `tailscale serve` reaches Hearth, and nobody else does; who can connect there can be anybody. A unix socket is made with mode 0600, so that root (tailscaled) and Hearth's own user reach it.",
    ),
    key(
        "auth.tailscale_socket",
        "/var/run/tailscale/tailscaled.sock",
        Kind::Socket,
        "For `localapi`: tailscaled's socket. The app may then connect to unix sockets ([SECURITY.md](SECURITY.md)).",
    ),
    key(
        "auth.tailscale_join",
        "refuse",
        Kind::Choice(JOIN),
        "What becomes of a person of the tailnet whom Hearth does not know.",
    ),
    key(
        "auth.oidc_issuer",
        "",
        Kind::Issuer,
        "The provider of single sign-on (Pocket ID, Authelia, Keycloak), as its own documents name the issuer.",
    ),
    key("auth.oidc_client_id", "", Kind::Words(255), "As whom Hearth is registered there."),
    key("auth.oidc_client_secret", "", Kind::Secret, "The secret that belongs to it. Never shown."),
    key("auth.oidc_name", "single sign-on", Kind::Words(40), "What the sign-in page calls the provider."),
    key(
        "auth.oidc_join",
        "refuse",
        Kind::Choice(JOIN),
        "What becomes of a person of the provider's whom Hearth does not know.",
    ),
    key(
        "log.format",
        "text",
        Kind::Choice(&["text", "json"]),
        "`text` for people, `json` for one JSON document a line.",
    ),
    key(
        "log.level",
        "info",
        Kind::Choice(&["error", "warn", "info", "debug", "trace"]),
        "The least important lines that are shown.",
    ),
    key(
        "sandbox.mode",
        "best-effort",
        Kind::Choice(&["best-effort", "enforce", "off"]),
        "What the app, the migrator and the jobs are confined to ([SECURITY.md](SECURITY.md)): what the kernel offers, nothing less than all of it, or nothing.",
    ),
    key(
        "app.command",
        "app serve",
        Kind::Command,
        "The app, and its arguments. By default the program beside the supervisor.",
    ),
    key(
        "app.start_timeout",
        "60s",
        time(MS_100, DAY),
        "How long the app may take until it is ready, in probation too.",
    ),
    key("migrator.command", "migrator", Kind::Command, "The migrator. By default the program beside the supervisor."),
    key("health.path", "/health", Kind::UrlPath, "What the supervisor asks the app for, on its private socket."),
    key("health.interval", "5s", time(MS_10, HOUR), "How often."),
    key("health.timeout", "5s", time(MS_10, HOUR), "How long an answer may take."),
    key(
        "health.failures",
        "3",
        Kind::Number(1, 1000),
        "How many questions in a row may go without an answer before the app is ended and started again.",
    ),
    key(
        "watchdog.interval",
        "30s",
        time(MS_100, DAY),
        "How long the app may be silent, once it has sent a first sign of life.",
    ),
    key(
        "restart.backoff",
        "500ms",
        time(MS_10, HOUR),
        "The first wait before an app that ended is started again; it doubles each time.",
    ),
    key("restart.backoff_max", "30s", time(MS_10, DAY), "The longest such wait."),
    key(
        "restart.attempts",
        "5",
        Kind::Number(1, 1000),
        "How many ends within `restart.window` are a crash loop, which is held.",
    ),
    key("restart.window", "5m", time(MS_100, DAY), "See there."),
    key(
        "stop.grace",
        "7s",
        time(MS_100, HOUR),
        "Between TERM and KILL. Docker's own is 10 s, so keep it below that or raise `stop_grace_period` too.",
    ),
    key(
        "lock.wait",
        "30s",
        time(Duration::ZERO, DAY),
        "How long a start waits for a data directory that another supervisor, or what is left of it, has in use.",
    ),
    key("snapshots.keep", "3", Kind::Number(1, 1000), "How many snapshots are kept at least."),
    key(
        "snapshots.keep_written",
        "7d",
        time(Duration::ZERO, TEN_YEARS),
        "Snapshots that the household wrote to within this time are kept besides.",
    ),
    key(
        "backup.dir",
        "backups",
        Kind::DirectoryOfBackups,
        "Where backups lie. Not in `generations/`, `files/` or `supervisor/`.",
    ),
    key("backup.schedule", "0 3 * * *", Kind::Schedule, "When a backup is made by itself, in the time zone of `TZ`."),
    key("backup.jitter", "30m", time(Duration::ZERO, HALF_A_DAY), "Up to how much later; each night another."),
    key("backup.drill", "0 3 * * 0", Kind::Schedule, "From when on the next backup by schedule is also booted from."),
    key(
        "backup.keep_last",
        "3",
        Kind::Number(0, 10_000),
        "How many of the last backups are kept, of each reason (scheduled, manual).",
    ),
    key("backup.keep_daily", "7", Kind::Number(0, 10_000), "For how many days the last one of each is kept."),
    key("backup.keep_weekly", "4", Kind::Number(0, 10_000), "For how many weeks."),
    key("backup.keep_monthly", "12", Kind::Number(0, 10_000), "For how many months."),
    key("backup.keep_yearly", "3", Kind::Number(0, 10_000), "For how many years. All five 0: everything is kept."),
    key("backup.recipients", "[]", Kind::Recipients, "To whom backups are encrypted; none: they are not."),
    key(
        "backup.destinations",
        "[]",
        Kind::Destinations,
        "Where each backup is copied to; see [BACKUPS.md](BACKUPS.md).",
    ),
    key("backup.s3_access_key_id", "", Kind::Secret, "The access key for S3 destinations without `credentials=FILE`."),
    key("backup.s3_secret_access_key", "", Kind::Secret, "The secret that belongs to it. Never shown."),
    key(
        "update.check",
        "on",
        Kind::Choice(&["on", "off"]),
        "Whether the registry of `update.image` is asked once a day for a newer version: an anonymous GET of the list of tags, and nothing more. Nothing is ever downloaded or installed.",
    ),
    key(
        "update.image",
        "",
        Kind::Image,
        "The image whose versions are looked at; the container image names itself. Without one, as when run from source, nothing is asked. Plain HTTP is spoken to a registry on this very machine only; others are reached over HTTPS, through the proxy of `HTTPS_PROXY` if there is one.",
    ),
];
