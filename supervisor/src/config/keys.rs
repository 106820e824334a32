//! Which settings are there, what is each by default, and what is allowed?

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;

use crate::{
    backup::{destination::Destination, encryption, schedule::Schedule},
    update::Reference,
};

/// One setting.
pub(super) struct Key {
    /// Its name in the file: `stop.grace`.
    pub(super) name: &'static str,
    /// Its default, as in the environment; a command's is found beside this program.
    pub(super) default: &'static str,
    kind: Kind,
    /// What it does, for docs/CONFIGURATION.md, which a test makes of it; no program of ours carries it along.
    #[cfg(test)]
    about: &'static str,
}

enum Kind {
    Directory,
    Address,
    Choice(&'static [&'static str]),
    UrlPath,
    Command,
    /// Below the data directory if it is relative.
    DirectoryOfBackups,
    Schedule,
    Recipients,
    Destinations,
    /// The name of an image, without its tag; or none.
    Image,
    /// Never shown; also from the file that the variable with `_FILE` at its end names.
    Secret,
    Number(u64, u64),
    Time(Duration, Duration),
}

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

/// All settings, in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    key("data_dir", "./data", Kind::Directory, "Where everything is kept. Not settable in the file, which lies in it."),
    key(
        "listen",
        "127.0.0.1:3000",
        Kind::Address,
        "The address people reach Hearth at. Beyond 127.0.0.1, everyone who can reach it can read and change everything, until there are accounts.",
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

/// The longest secret, in bytes: those of S3 have 40.
const LONGEST_SECRET: usize = 1024;
/// The longest path of a health check that makes sense in a request line.
const LONGEST_PATH: usize = 1024;

impl Key {
    /// Returns its name in the environment: `HEARTH_STOP__GRACE`.
    pub(super) fn variable(&self) -> String {
        format!("HEARTH_{}", self.name.to_uppercase().replace('.', "__"))
    }

    /// Whether its text in the environment is to be read as a number or list; else it is the value itself.
    pub(super) fn is_structured(&self) -> bool {
        matches!(self.kind, Kind::Number(..) | Kind::Command | Kind::Recipients | Kind::Destinations)
    }

    /// Whether this is the setting of a command.
    pub(super) fn is_command(&self) -> bool {
        matches!(self.kind, Kind::Command)
    }

    /// Whether it is taken only from where the app's uid cannot write.
    pub(super) fn is_guarded(&self) -> bool {
        matches!(self.kind, Kind::Command | Kind::Recipients) || self.name.starts_with("sandbox.")
    }

    /// Whether its value is for nobody's eyes.
    pub(super) fn is_secret(&self) -> bool {
        matches!(self.kind, Kind::Secret)
    }

    /// Says what exactly is wrong with a value, where that can be said.
    pub(super) fn wrong(&self, value: &Value) -> Option<String> {
        let check = |text: &str| match self.kind {
            Kind::Schedule => Schedule::parse(text).err(),
            Kind::Recipients => encryption::check_recipient(text).err(),
            Kind::Destinations => Destination::check(text).err(),
            Kind::Image => Reference::parse(text).err(),
            _ => None,
        };
        match value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).find_map(check),
            value => value.as_str().and_then(check),
        }
    }

    /// Whether this value can be used.
    pub(super) fn allows(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self.kind {
            Kind::Directory => text.is_some_and(|text| !text.is_empty() && text != "/" && !text.contains('\0')),
            Kind::Address => text.is_some_and(|text| text.parse::<SocketAddr>().is_ok()),
            Kind::Choice(choices) => text.is_some_and(|text| choices.contains(&text)),
            Kind::UrlPath => text.is_some_and(|text| {
                text.starts_with('/')
                    && text.len() <= LONGEST_PATH
                    && text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#')
            }),
            Kind::Command => value.as_array().is_some_and(|words| {
                words.first().is_some_and(|program| program.as_str() != Some(""))
                    && words.iter().all(|word| word.as_str().is_some_and(|word| !word.contains('\0')))
            }),
            Kind::DirectoryOfBackups => {
                text.is_some_and(|text| !text.is_empty() && text != "/" && !text.contains('\0'))
            }
            Kind::Schedule => text.is_some_and(|text| Schedule::parse(text).is_ok()),
            Kind::Recipients => strings(value, |text| encryption::check_recipient(text).is_ok()),
            Kind::Destinations => strings(value, |text| Destination::check(text).is_ok()),
            Kind::Image => text.is_some_and(|text| text.is_empty() || Reference::parse(text).is_ok()),
            Kind::Secret => text
                .is_some_and(|text| text.len() <= LONGEST_SECRET && text.bytes().all(|byte| byte.is_ascii_graphic())),
            Kind::Number(from, to) => value.as_u64().is_some_and(|number| (from..=to).contains(&number)),
            Kind::Time(from, to) => text
                .and_then(|text| humantime::parse_duration(text).ok())
                .is_some_and(|time| (from..=to).contains(&time)),
        }
    }

    /// Says what is allowed, with an example.
    pub(super) fn allowed(&self) -> String {
        match self.kind {
            Kind::Directory => format!("a directory other than /, such as {}", self.default),
            Kind::Address => format!("an IP address with a port, such as {}, 0.0.0.0:3000 or [::]:3000", self.default),
            Kind::Choice(choices) => choices.join(", "),
            Kind::UrlPath => format!("a path that begins with /, such as {}", self.default),
            Kind::Command => {
                r#"a list of program and arguments, such as ["/usr/local/bin/program", "argument"]"#.to_owned()
            }
            Kind::DirectoryOfBackups => {
                "a directory, such as /mnt/backups; a relative one lies in the data directory".to_owned()
            }
            Kind::Schedule => {
                format!("a cron expression of five fields (minute hour day month weekday), such as {}, or off", self.default)
            }
            Kind::Recipients => "a list of age recipients, such as [\"age1…\"]".to_owned(),
            Kind::Destinations => {
                r#"a list of directories and S3 buckets, such as ["/mnt/nas", "s3://bucket/prefix?endpoint=https://s3.example.org"]"#
                    .to_owned()
            }
            Kind::Image => "the name of an image without a tag, such as ghcr.io/owner/name".to_owned(),
            Kind::Secret => {
                format!("printable text without spaces; {}_FILE names a file that holds it", self.variable())
            }
            Kind::Number(from, to) => format!("a whole number from {from} to {to}"),
            Kind::Time(from, to) => format!(
                "a time from {} to {} with its unit, such as {}",
                humantime::format_duration(from),
                humantime::format_duration(to),
                self.default,
            ),
        }
    }
}

/// Whether this is a list of strings that all fit.
fn strings(value: &Value, fits: impl Fn(&str) -> bool) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(|item| item.as_str().is_some_and(&fits)))
}

/// Returns the candidate that a misspelt word was most probably meant to be.
pub(super) fn nearest(word: &str, candidates: impl Iterator<Item = String>) -> Option<String> {
    candidates
        .map(|candidate| (distance(word, &candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len() / 4 + 1)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Returns how many letters must be put in, taken out or changed (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = changed.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The table of docs/CONFIGURATION.md is made from the code: `HEARTH_UPDATE_SNAPSHOTS=1 cargo test -p supervisor --lib keys`.
    #[test]
    fn every_setting_is_documented_as_it_is() {
        const HEAD: &str =
            "| setting | in the environment | default | allowed | what it does |\n|---|---|---|---|---|\n";
        let row = |key: &Key| {
            let Key { name, default, about, .. } = key;
            format!("| `{name}` | `{}` | `{default}` | {} | {about} |\n", key.variable(), key.allowed())
        };
        let table: String = KEYS.iter().map(row).collect();
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CONFIGURATION.md");
        let document = std::fs::read_to_string(path).unwrap();
        let (before, rest) = document.split_once(HEAD).expect("the table's head");
        let (there, after) = rest.split_once("\n\n").expect("an end of the table");
        if std::env::var_os("HEARTH_UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, format!("{before}{HEAD}{table}\n{after}")).unwrap();
            return;
        }
        assert_eq!(format!("{there}\n"), table, "docs/CONFIGURATION.md is not what the code says; see above this test");
    }

    #[test]
    fn near_misses_are_found_and_far_ones_not() {
        let names = || KEYS.iter().map(|key| key.name.to_owned());
        assert_eq!(nearest("stop.grase", names()).as_deref(), Some("stop.grace"));
        assert_eq!(nearest("datadir", names()).as_deref(), Some("data_dir"));
        assert_eq!(nearest("theme.colour", names()), None);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
