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

const fn key(name: &'static str, default: &'static str, kind: Kind) -> Key {
    Key { name, default, kind }
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
    key("data_dir", "./data", Kind::Directory),
    key("listen", "127.0.0.1:3000", Kind::Address),
    key("log.format", "text", Kind::Choice(&["text", "json"])),
    key("log.level", "info", Kind::Choice(&["error", "warn", "info", "debug", "trace"])),
    key("sandbox.mode", "best-effort", Kind::Choice(&["best-effort", "enforce", "off"])),
    key("app.command", "app serve", Kind::Command),
    key("app.start_timeout", "60s", time(MS_100, DAY)),
    key("migrator.command", "migrator", Kind::Command),
    key("health.path", "/health", Kind::UrlPath),
    key("health.interval", "5s", time(MS_10, HOUR)),
    key("health.timeout", "5s", time(MS_10, HOUR)),
    key("health.failures", "3", Kind::Number(1, 1000)),
    key("watchdog.interval", "30s", time(MS_100, DAY)),
    key("restart.backoff", "500ms", time(MS_10, HOUR)),
    key("restart.backoff_max", "30s", time(MS_10, DAY)),
    key("restart.attempts", "5", Kind::Number(1, 1000)),
    key("restart.window", "5m", time(MS_100, DAY)),
    key("stop.grace", "7s", time(MS_100, HOUR)),
    key("lock.wait", "30s", time(Duration::ZERO, DAY)),
    key("snapshots.keep", "3", Kind::Number(1, 1000)),
    key("snapshots.keep_written", "7d", time(Duration::ZERO, TEN_YEARS)),
    key("backup.dir", "backups", Kind::DirectoryOfBackups),
    key("backup.schedule", "0 3 * * *", Kind::Schedule),
    key("backup.jitter", "30m", time(Duration::ZERO, HALF_A_DAY)),
    key("backup.drill", "0 3 * * 0", Kind::Schedule),
    key("backup.keep_last", "3", Kind::Number(0, 10_000)),
    key("backup.keep_daily", "7", Kind::Number(0, 10_000)),
    key("backup.keep_weekly", "4", Kind::Number(0, 10_000)),
    key("backup.keep_monthly", "12", Kind::Number(0, 10_000)),
    key("backup.keep_yearly", "3", Kind::Number(0, 10_000)),
    key("backup.recipients", "[]", Kind::Recipients),
    key("backup.destinations", "[]", Kind::Destinations),
    key("backup.s3_access_key_id", "", Kind::Secret),
    key("backup.s3_secret_access_key", "", Kind::Secret),
    key("update.check", "on", Kind::Choice(&["on", "off"])),
    key("update.image", "", Kind::Image),
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

    #[test]
    fn every_setting_is_documented_as_it_is() {
        let document = include_str!("../../../docs/CONFIGURATION.md");
        for key in KEYS {
            let row = format!("| `{}` | `{}` | `{}` | {} |", key.name, key.variable(), key.default, key.allowed());
            assert!(document.contains(&row), "docs/CONFIGURATION.md lacks the row\n{row}");
        }
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
