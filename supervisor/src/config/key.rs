//! What is a setting, and what is allowed for it?

use std::{net::SocketAddr, time::Duration};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{cron, destination::Address, image::Reference, recipient};
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
        matches!(self.kind, Kind::Number(..) | Kind::Command) || self.is_list()
    }

    /// Whether it is a list of texts; in the environment also with commas between them.
    pub(super) fn is_list(&self) -> bool {
        matches!(self.kind, Kind::Recipients | Kind::Destinations | Kind::Lines(_))
    }

    /// Whether the app is handed it.
    pub(super) fn is_the_apps(&self) -> bool {
        ["http.", "auth.", "attachments."].iter().any(|section| self.name.starts_with(section))
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

    /// Checks a value.
    ///
    /// # Errors
    /// What is wrong with it; nothing more where what is allowed says it all.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let is_list = self.is_list();
        let fits = match (&self.kind, value) {
            (Kind::Number(from, to), value) => value.as_u64().is_some_and(|number| (*from..=*to).contains(&number)),
            (Kind::Command, Value::Array(words)) => {
                words.first().is_some_and(|program| program.as_str() != Some(""))
                    && words.iter().all(|word| word.as_str().is_some_and(|word| !word.contains('\0')))
            }
            (_, Value::Array(items)) if is_list => {
                items.iter().filter_map(Value::as_str).try_for_each(|text| self.check_text(text))?;
                items.iter().all(Value::is_string)
            }
            (_, Value::String(text)) => {
                self.check_text(text)?;
                !is_list
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(String::new()) }
    }

    fn check_text(&self, text: &str) -> Result<(), String> {
        let fits = match self.kind {
            Kind::Directory | Kind::DirectoryOfBackups | Kind::Destinations if unexpanded(text) => {
                let begins = text.split('/').next().unwrap_or(text);
                return Err(format!("{text:?} begins with {begins}, which only a shell replaces"));
            }
            Kind::Schedule => return cron::fields(text).map(drop),
            Kind::Recipients => return recipient::kind(text).map(drop),
            Kind::Destinations => return Address::parse(text).map(drop),
            Kind::Image | Kind::Endpoint if text.is_empty() => true,
            Kind::Image => return Reference::parse(text).map(drop),
            Kind::Endpoint => Endpoint::parse(text).is_some(),
            Kind::Address => text.parse::<SocketAddr>().is_ok(),
            Kind::Choice(choices) => choices.contains(&text),
            Kind::UrlPath => {
                let fits = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
                text.starts_with('/') && text.len() <= LONGEST_PATH && text.bytes().all(fits)
            }
            Kind::Directory | Kind::DirectoryOfBackups => !text.is_empty() && text != "/" && !text.contains('\0'),
            Kind::Secret => text.len() <= LONGEST_SECRET && text.bytes().all(|byte| byte.is_ascii_graphic()),
            Kind::Line(_) | Kind::SecretLine(_) | Kind::Lines(_) => {
                text.len() <= LONGEST_LINE && !text.contains(char::is_control)
            }
            Kind::Time(from, to) => humantime::parse_duration(text).is_ok_and(|time| (from..=to).contains(&time)),
            Kind::Command | Kind::Number(..) => false,
        };
        if fits { Ok(()) } else { Err(String::new()) }
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
                .filter(|text| ![self.default, "off"].contains(text))
                .map(str::to_owned)
                .into_iter()
                .collect(),
        };
        let (key, source, allowed) = (self.name.to_owned(), source.to_owned(), self.allowed());
        (!texts.is_empty()).then_some(Unchecked { key, source, allowed, meaning, texts })
    }

    /// Says that a value, from this source, cannot be used.
    pub(super) fn refuse(&self, value: &Value, source: &str, wrong: &str) -> Failure {
        let message = match wrong {
            // A secret is not repeated, and neither is what may be one in the wrong place.
            "" if self.is_secret() || matches!(self.kind, Kind::Recipients) => {
                format!("{} (from {source}) cannot be used", self.name)
            }
            "" => format!("{} = {value} (from {source}) cannot be used", self.name),
            wrong => format!("{} (from {source}) cannot be used: {wrong}", self.name),
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
            Kind::Recipients => {
                r#"a list of age recipients, such as ["age1…"]; in the environment with commas between them"#.to_owned()
            }
            Kind::Destinations => {
                r#"a list of directories and S3 buckets, such as ["/mnt/nas", "s3://bucket/prefix?endpoint=https://s3.example.org"]; in the environment with commas between them"#
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

/// Whether a path begins with what a shell would have replaced, had it stood there unquoted: `~`, `$NAME`.
pub(super) fn unexpanded(path: &str) -> bool {
    path.starts_with(['~', '$'])
}

#[cfg(test)]
mod tests {
    use super::{super::table::KEYS, *};

    /// The table of docs/CONFIGURATION.md is made from the code: `HEARTH_TEST_UPDATE_SNAPSHOTS=1 cargo test -p supervisor --lib keys`.
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
        if std::env::var_os("HEARTH_TEST_UPDATE_SNAPSHOTS").is_some() {
            std::fs::write(path, format!("{before}{HEAD}{table}\n{after}")).unwrap();
            return;
        }
        assert_eq!(format!("{there}\n"), table, "docs/CONFIGURATION.md is not what the code says; see above this test");
    }
}
