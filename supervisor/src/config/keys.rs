//! Which settings are there, what is each by default, and what is allowed?

use std::{net::SocketAddr, time::Duration};

use serde_json::Value;

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
    Text,
    List,
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
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
// Years of 365.25 days, as the crate that reads and writes them has it.
const TEN_YEARS: Duration = Duration::from_secs(315_576_000);

/// All settings, in the order in which they are shown.
pub(super) const KEYS: &[Key] = &[
    key("data_dir", "./data", Kind::Directory),
    key("listen", "127.0.0.1:3000", Kind::Address),
    key("log.format", "text", Kind::Choice(&["text", "json"])),
    key("log.level", "info", Kind::Choice(&["error", "warn", "info", "debug", "trace"])),
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
    key("backup.dir", "backups", Kind::Text),
    key("backup.schedule", "0 3 * * *", Kind::Text),
    key("backup.jitter", "30m", time(Duration::ZERO, DAY)),
    key("backup.drill", "0 3 * * 0", Kind::Text),
    key("backup.keep_last", "3", Kind::Number(0, 1000)),
    key("backup.keep_daily", "7", Kind::Number(0, 1000)),
    key("backup.keep_weekly", "4", Kind::Number(0, 1000)),
    key("backup.keep_monthly", "12", Kind::Number(0, 1000)),
    key("backup.keep_yearly", "3", Kind::Number(0, 1000)),
    key("backup.recipients", "[]", Kind::List),
    key("backup.destinations", "[]", Kind::List),
    key("backup.s3_access_key_id", "", Kind::Text),
    key("backup.s3_secret_access_key", "", Kind::Text),
    key("snapshots.keep_written", "7d", time(Duration::ZERO, TEN_YEARS)),
];

/// The longest path of a health check that makes sense in a request line.
const LONGEST_PATH: usize = 1024;

impl Key {
    /// Returns its name in the environment: `HEARTH_STOP__GRACE`.
    pub(super) fn variable(&self) -> String {
        format!("HEARTH_{}", self.name.to_uppercase().replace('.', "__"))
    }

    /// Whether its text in the environment is to be read as a number or list; else it is the value itself.
    pub(super) fn is_structured(&self) -> bool {
        matches!(self.kind, Kind::Number(..) | Kind::Command | Kind::List)
    }

    /// Whether this is the setting of a command.
    pub(super) fn is_command(&self) -> bool {
        matches!(self.kind, Kind::Command)
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
            Kind::Text => text.is_some(),
            Kind::List => value.is_array(),
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
            Kind::Text | Kind::List => String::new(),
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
