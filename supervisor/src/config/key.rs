//! What is a setting, and what is allowed for it?

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{cron, destination, image::Reference, recipient};
use crate::{
    failure::{Cause, Failure},
    process::endpoint::Endpoint,
};

/// One setting.
pub(super) struct Key {
    /// Its name in the file: `stop.grace`.
    pub(super) name: &'static str,
    /// Its default, as in the environment; a command's is found beside this program.
    pub(super) default: &'static str,
    pub(super) kind: Kind,
    /// What it does, for docs/CONFIGURATION.md, which a test makes of it; no program of ours carries it along.
    #[cfg(test)]
    pub(super) about: &'static str,
}

/// Of what kind its value is.
pub(super) enum Kind {
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
    /// An address with a port, or the path of a unix socket; or neither.
    Endpoint,
    /// The app's own, of which it says itself what is allowed: a line of text.
    Line(&'static str),
    /// The same, never shown; also from a file.
    SecretLine(&'static str),
    /// The same, a list; in the environment with commas between them.
    Lines(&'static str),
    Number(u64, u64),
    Time(Duration, Duration),
}

/// A setting of which it is not known yet whether it can be used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unchecked {
    /// Its name.
    pub key: String,
    /// Where it comes from.
    pub source: String,
    /// What is allowed for it.
    pub allowed: String,
    /// What its texts are to be.
    pub meaning: Meaning,
    /// Its value or values.
    pub texts: Vec<String>,
}

/// What a text of a setting is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Meaning {
    /// `off`, or a cron expression.
    Schedule,
    /// Whom age encrypts to.
    Recipient,
}

/// The longest secret, in bytes: those of S3 have 40.
const LONGEST_SECRET: usize = 1024;
/// The longest text for the app, in bytes: Linux takes 128 KiB for a variable (execve(2)).
const LONGEST_LINE: usize = 64 << 10;
/// The longest path of a health check that makes sense in a request line.
const LONGEST_PATH: usize = 1024;

impl Kind {
    /// Whether such a value is for nobody's eyes.
    pub(super) const fn is_secret(&self) -> bool {
        matches!(self, Self::Secret | Self::SecretLine(_))
    }
}

impl Key {
    /// Returns its name in the environment: `HEARTH_STOP__GRACE`.
    pub(super) fn variable(&self) -> String {
        format!("HEARTH_{}", self.name.to_uppercase().replace('.', "__"))
    }

    /// Whether its text in the environment is to be read as a number or list; else it is the value itself.
    pub(super) fn is_structured(&self) -> bool {
        matches!(self.kind, Kind::Number(..) | Kind::Command | Kind::Recipients | Kind::Destinations | Kind::Lines(_))
    }

    /// Whether its text in the environment is a list with commas, if it is none as in the file.
    pub(super) fn has_commas(&self) -> bool {
        matches!(self.kind, Kind::Lines(_))
    }

    /// Whether this is the setting of a command.
    pub(super) fn is_command(&self) -> bool {
        matches!(self.kind, Kind::Command)
    }

    /// Whether the app is handed it.
    pub(super) fn is_the_apps(&self) -> bool {
        self.name.starts_with("http.") || self.name.starts_with("auth.")
    }

    /// Whether it is taken only from where the app's uid cannot write.
    pub(super) fn is_guarded(&self) -> bool {
        let section = |name| self.name.starts_with(name);
        matches!(self.kind, Kind::Command | Kind::Recipients) || section("sandbox.") || section("auth.")
    }

    /// Whether its value is for nobody's eyes.
    pub(super) fn is_secret(&self) -> bool {
        self.kind.is_secret()
    }

    /// Says what exactly is wrong with a value, where that can be said.
    pub(super) fn wrong(&self, value: &Value) -> Option<String> {
        let check = |text: &str| match self.kind {
            Kind::Directory | Kind::DirectoryOfBackups | Kind::Destinations if unexpanded(text) => Some(format!(
                "{text:?} begins with {}, which only a shell replaces",
                text.split('/').next().unwrap_or(text)
            )),
            Kind::Schedule => cron::fields(text).err(),
            Kind::Recipients => recipient::kind(text).err(),
            Kind::Destinations => destination::check(text).err(),
            Kind::Image => Reference::parse(text).err(),
            _ => None,
        };
        match value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).find_map(check),
            value => value.as_str().and_then(check),
        }
    }

    /// Returns what a job has to check, where only a library can tell what a text means.
    pub(super) fn unchecked(&self, value: &Value, source: &str) -> Option<Unchecked> {
        let meaning = match self.kind {
            Kind::Schedule => Meaning::Schedule,
            Kind::Recipients => Meaning::Recipient,
            _ => return None,
        };
        let texts: Vec<String> = match value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            value => value
                .as_str()
                .filter(|text| *text != self.default && *text != "off")
                .map(str::to_owned)
                .into_iter()
                .collect(),
        };
        let (key, source, allowed) = (self.name.to_owned(), source.to_owned(), self.allowed());
        (!texts.is_empty()).then_some(Unchecked { key, source, allowed, meaning, texts })
    }

    /// Whether this value can be used.
    pub(super) fn allows(&self, value: &Value) -> bool {
        let text = value.as_str();
        match self.kind {
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
            Kind::Directory | Kind::DirectoryOfBackups => {
                text.is_some_and(|text| !text.is_empty() && text != "/" && !text.contains('\0') && !unexpanded(text))
            }
            Kind::Schedule => text.is_some_and(|text| cron::fields(text).is_ok()),
            Kind::Recipients => strings(value, |text| recipient::kind(text).is_ok()),
            Kind::Destinations => strings(value, |text| destination::check(text).is_ok()),
            Kind::Image => text.is_some_and(|text| text.is_empty() || Reference::parse(text).is_ok()),
            Kind::Secret => text
                .is_some_and(|text| text.len() <= LONGEST_SECRET && text.bytes().all(|byte| byte.is_ascii_graphic())),
            Kind::Endpoint => text.is_some_and(|text| text.is_empty() || Endpoint::parse(text).is_some()),
            Kind::Line(_) | Kind::SecretLine(_) => text.is_some_and(is_line),
            Kind::Lines(_) => strings(value, is_line),
            Kind::Number(from, to) => value.as_u64().is_some_and(|number| (from..=to).contains(&number)),
            Kind::Time(from, to) => text
                .and_then(|text| humantime::parse_duration(text).ok())
                .is_some_and(|time| (from..=to).contains(&time)),
        }
    }

    /// Says that a value, from this source, cannot be used.
    pub(super) fn refuse(&self, value: &Value, source: &str) -> Failure {
        let from = format!("{} (from {source}) cannot be used", self.name);
        // A secret is not repeated, and neither is what may be one in the wrong place.
        let message = match self.wrong(value) {
            _ if self.is_secret() => from,
            Some(wrong) => format!("{from}: {wrong}"),
            None => format!("{} = {value} (from {source}) cannot be used", self.name),
        };
        Failure::new(Cause::Configuration, message).hint(format!("allowed: {}", self.allowed()))
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
            Kind::Endpoint => {
                "the path of a unix socket, such as /run/hearth/tailscale.sock, or an IP address with a port, such as 127.0.0.2:3001".to_owned()
            }
            Kind::Line(allowed) | Kind::Lines(allowed) => allowed.to_owned(),
            Kind::SecretLine(allowed) => format!("{allowed}; {}_FILE names a file that holds it", self.variable()),
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

/// Whether this can be handed on as a variable of the environment.
fn is_line(text: &str) -> bool {
    text.len() <= LONGEST_LINE && !text.contains(char::is_control)
}

/// Whether this is a list of strings that all fit.
fn strings(value: &Value, fits: impl Fn(&str) -> bool) -> bool {
    value.as_array().is_some_and(|items| items.iter().all(|item| item.as_str().is_some_and(&fits)))
}

/// Whether a path begins with what a shell would have replaced, had it stood there unquoted: `~`, `$NAME`.
pub(super) fn unexpanded(path: &str) -> bool {
    path.starts_with(['~', '$'])
}

#[cfg(test)]
mod tests {
    use super::{super::table::KEYS, *};

    /// The table of docs/CONFIGURATION.md is made from the code: `HEARTH_UPDATE_SNAPSHOTS=1 cargo test -p supervisor --lib keys`.
    #[test]
    fn every_setting_is_documented_as_it_is() {
        const HEAD: &str =
            "| setting | in the environment | default | allowed | what it does |\n|---|---|---|---|---|\n";
        let row = |key: &Key| {
            let Key { name, default, about, .. } = key;
            let about = about.trim();
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
}
