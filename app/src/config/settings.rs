//! What does each setting say, where does it come from, and what is wrong with it?

use std::{collections::BTreeMap, ffi::OsString, path::PathBuf};

use serde::Serialize;

use super::{
    ServeArgs,
    choices::{Choice, JOIN, LOG_FORMAT, LOG_LEVEL, LOG_TIMESTAMPS, TAILSCALE, words},
    environment::{misspelt, variable},
};
use crate::failure::Failure;

/// What a setting may be.
#[derive(Debug, Clone, Copy)]
enum Allowed {
    /// One of these words.
    Words(&'static [&'static str]),
    /// What this sentence says.
    Text(&'static str),
}
use Allowed::{Text, Words};

/// All settings, and what each may be.
const KEYS: [(&str, Allowed); 23] = [
    ("database", Text("the path of a database that the migrator has created")),
    ("files", Text("the path of the directory of attachments")),
    ("listen", Text("an address and a port, such as 127.0.0.1:3000 or [::]:3000")),
    ("log.format", Words(&const { words(&LOG_FORMAT) })),
    ("log.level", Words(&const { words(&LOG_LEVEL) })),
    ("log.timestamps", Words(&const { words(&LOG_TIMESTAMPS) })),
    ("stop.grace", Text("a duration such as 8s or 1m 30s")),
    ("http.public_url", Text("https:// and a name, such as https://hearth.example.ts.net; or http://localhost:3000")),
    ("http.hosts", Text("further names, such as hearth.example.org, separated by commas")),
    (
        "http.trusted_proxies",
        Text("IP addresses and networks, such as 172.18.0.2 or 192.168.1.0/24, separated by commas"),
    ),
    ("auth.admin_email", Text("an e-mail address, such as ada@example.org")),
    ("auth.admin_password", Text("10 to 128 characters; HEARTH_AUTH__ADMIN_PASSWORD_FILE names a file that holds it")),
    ("auth.tailscale", Words(&const { words(&TAILSCALE) })),
    (
        "auth.tailscale_listen",
        Text("an address and a port that only `tailscale serve` can reach, or the absolute path of a unix socket"),
    ),
    ("auth.tailscale_socket", Text("the path of a unix socket, such as /var/run/tailscale/tailscaled.sock")),
    ("auth.tailscale_join", Words(&const { words(&JOIN) })),
    ("auth.oidc_issuer", Text("the issuer URL exactly as the provider documents it, such as https://id.example.org")),
    ("auth.oidc_client_id", Text("a line of up to 255 characters: the client ID of Hearth at the provider")),
    (
        "auth.oidc_client_secret",
        Text("printable ASCII; HEARTH_AUTH__OIDC_CLIENT_SECRET_FILE names a file that holds it"),
    ),
    ("auth.oidc_name", Text("a line of up to 40 characters")),
    ("auth.oidc_join", Words(&const { words(&JOIN) })),
    ("attachments.max_size", Text("a size from 1 byte to 1 TiB, such as 500MB or 2GiB")),
    ("attachments.quota", Text("a size, such as 50GiB")),
];

/// A setting as the supervisor has to know it to pass it on.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Known {
    /// Its variable in the environment.
    name: String,
    /// The words it may be, where it is a choice of words.
    #[serde(skip_serializing_if = "Option::is_none")]
    values: Option<&'static [&'static str]>,
}

impl Known {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn values(&self) -> Option<&'static [&'static str]> {
        self.values
    }
}

/// Returns all settings that this version reads, in the order of its documentation.
pub(crate) fn known() -> Vec<Known> {
    let known = |(name, allowed): &(&str, Allowed)| Known {
        name: in_environment(name),
        values: match allowed {
            Words(words) => Some(words),
            Text(_) => None,
        },
    };
    KEYS.iter().map(known).collect()
}

/// Those whose value is never shown.
const SECRETS: [&str; 2] = ["auth.admin_password", "auth.oidc_client_secret"];

/// The supervisor's word on where the variables come from that an operator has not set by that name: `NAME=source`, one a line.
const SOURCES: &str = "HEARTH_SOURCES";

/// Why a text cannot be used, where what is allowed says it all.
pub(super) const UNFIT: &str = "";

/// The settings that are set, and the mistakes in them.
#[derive(Default)]
pub(super) struct Settings {
    /// By its name, the text of each and where it comes from.
    set: BTreeMap<&'static str, (String, String)>,
    pub(super) wrong: Vec<Failure>,
}

impl Settings {
    /// Returns those of the environment, and of the command line over them.
    pub(super) fn of_process(args: &ServeArgs) -> Self {
        let mut settings = Self { wrong: misspelt(&KEYS.map(|(name, _)| in_environment(name))), ..Self::default() };
        let sources = std::env::var(SOURCES).unwrap_or_default();
        for (name, _) in KEYS {
            let own = in_environment(name);
            match variable(&own).map(OsString::into_string) {
                Some(Ok(text)) => {
                    let source = sources.lines().find_map(|line| line.strip_prefix(&own)?.strip_prefix('='));
                    settings.set(name, &text, source.unwrap_or(&own));
                }
                Some(Err(_)) => settings.wrong.push(Failure::new(format!("the value of {own} is not UTF-8 text"))),
                None => {}
            }
        }
        for (name, flag) in [("database", &args.database), ("files", &args.files), ("listen", &args.listen)] {
            if let Some(text) = flag {
                settings.set(name, text, &format!("--{name}"));
            }
        }
        settings
    }

    pub(super) fn set(&mut self, name: &'static str, text: &str, source: &str) {
        self.set.insert(name, (text.to_owned(), source.to_owned()));
    }

    /// Reads a setting; none where it is not set, and where it cannot be used.
    pub(super) fn read<T, E: Into<String>>(
        &mut self,
        name: &str,
        read: impl FnOnce(&str) -> Result<T, E>,
    ) -> Option<T> {
        let (text, source) = self.set.get(name)?;
        let why: String = match read(text) {
            Ok(value) => return Some(value),
            Err(why) => why.into(),
        };
        let message = match why.is_empty() {
            false => format!("{name} (from {source}) cannot be used: {why}"),
            true if SECRETS.contains(&name) => format!("{name} (from {source}) cannot be used"),
            true => format!("{name} = {text:?} (from {source}) cannot be used"),
        };
        self.wrong.push(Failure::new(message).hint(format!("allowed: {}", allowed(name))));
        None
    }

    /// Reads a path that must be set.
    pub(super) fn needed(&mut self, name: &str) -> Option<PathBuf> {
        if !self.set.contains_key(name) {
            let hint = format!("{} or --{name} is {}", in_environment(name), allowed(name));
            self.wrong.push(Failure::new(format!("{name} is not set")).hint(hint));
        }
        self.read(name, |text| (!text.is_empty()).then(|| text.into()).ok_or(UNFIT))
    }

    /// Checks that with one setting there is another.
    pub(super) fn together(&mut self, name: &str, other: &str, hint: &str) {
        if let Some((_, source)) = self.set.get(name)
            && !self.set.contains_key(other)
        {
            let message = format!("{name} (from {source}) cannot be used: it needs {other}");
            self.wrong.push(Failure::new(message).hint(hint));
        }
    }

    /// Whether the supervisor says something by a variable that is 1 or not there.
    pub(super) fn is_told(&mut self, name: &str) -> bool {
        match variable(name) {
            Some(text) if text.to_string_lossy().trim() == "1" => true,
            Some(text) => {
                self.wrong.push(Failure::new(format!("{name} is {text:?}, but it must be 1 or unset")));
                false
            }
            None => false,
        }
    }
}

/// Returns a setting's name in the environment: `HEARTH_STOP__GRACE`.
fn in_environment(name: &str) -> String {
    format!("HEARTH_{}", name.to_uppercase().replace('.', "__"))
}

pub(super) fn allowed(name: &str) -> String {
    match KEYS.iter().find(|(known, _)| *known == name) {
        Some((_, Words(words))) => words.join(", "),
        Some((_, Text(text))) => (*text).to_owned(),
        None => String::new(),
    }
}

/// Returns how one of these words is read.
pub(super) fn choice<T, const N: usize>(words: Choice<T, N>) -> impl FnOnce(&str) -> Result<T, &'static str> {
    move |text| words.into_iter().find(|(word, _)| *word == text).map(|(_, value)| value).ok_or(UNFIT)
}
