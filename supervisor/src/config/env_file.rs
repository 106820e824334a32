//! What is wrong in the `.env` of compose, before anything is started with it?
//!
//! Compose hands on what compose.yml names and drops all else without a word. So each line is checked here by the table of settings and
//! by what the compose files put in themselves, and then all lines together, as a start would. What the two versions of
//! compose read differently is a mistake, too.

use std::{net::IpAddr, path::Path};

use super::{
    Flags, Loaded,
    ids::WishedIds,
    key::Key,
    names::{self, COMPOSE, FILE, Name, PREFIX, describes_a_service, letters},
    sources::Variable,
    table::KEYS,
};
use crate::failure::{Cause, Failure};

/// What compose.yml sets itself, since its volumes and its port are there.
pub(super) const FIXED: [(&str, &str, &str); 3] = [
    ("data_dir", "/app/data", "HEARTH_DATA names the directory on this machine"),
    ("listen", "0.0.0.0:3000", "HEARTH_BIND and HEARTH_PORT name the address on this machine"),
    ("backup.dir", "/app/backups", "HEARTH_BACKUPS names the directory on this machine"),
];
/// What an image sets itself: its programs, and its name. Compose has no way to hand these on only when `.env` has them: it would take
/// the image's own value away.
pub(super) const OF_THE_IMAGE: [&str; 3] = ["app.command", "migrator.command", "update.image"];
/// What compose itself reads, and what its files hand to others.
const OF_COMPOSE: [&str; 6] =
    ["COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "TAILSCALE_IMAGE", "TS_AUTHKEY", "TS_HOSTNAME"];
/// Stands for a secret whose file is in the container, and cannot be read here; long enough for a password.
const UNREAD: &str = "in-a-file-of-its-own";
/// Where time zones are.
const ZONES: &str = "/usr/share/zoneinfo";

/// What was found in a file.
pub struct Checked {
    /// How many variables it sets.
    pub set: usize,
    /// The mistakes, each with its line.
    pub wrong: Vec<Failure>,
    /// What is no mistake, and may not be what was meant.
    pub warnings: Vec<String>,
    /// The settings that a start would have; none where there are mistakes.
    pub loaded: Option<Loaded>,
}

/// A line that sets a variable.
struct Line<'a> {
    name: &'a str,
    value: String,
    /// `line 3 of .env`
    place: String,
    /// Compose puts other variables in, so what it will be cannot be told here.
    put_together: bool,
}

/// What is wrong with a line: what, and what helps.
type Wrong = (String, String);

/// Checks the text of a file of this name.
pub fn check(text: &str, file: &str, programs: &Path) -> Checked {
    let mut checked = Checked { set: 0, wrong: Vec::new(), warnings: Vec::new(), loaded: None };
    let mut lines: Vec<Line<'_>> = Vec::new();
    for (number, written) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let place = format!("line {} of {file}", number + 1);
        match read(written) {
            Ok(None) => {}
            Ok(Some((name, value, put_together))) => lines.push(Line { name, value, place, put_together }),
            Err((message, hint)) => checked.wrong(format!("{message} ({place})"), hint),
        }
    }
    let mut variables = Vec::new();
    for line in &lines {
        match variable(line) {
            Ok(found) => variables.extend(found),
            Err((message, hint)) => checked.wrong(format!("{message} ({})", line.place), hint),
        }
    }
    checked.set = lines.iter().filter(|line| !line.value.trim().is_empty()).count();
    checked.warn_of(&lines);
    let fixed = FIXED.iter().filter_map(|(name, value, _)| {
        let key = KEYS.iter().find(|key| key.name == *name)?;
        let place = Some("in compose.yml".to_owned());
        Some(Variable { name: key.variable().into(), value: (*value).into(), place })
    });
    match Loaded::from_variables(&Flags::default(), fixed.chain(variables), Path::new("/"), programs) {
        Ok(loaded) => checked.loaded = Some(loaded),
        Err(wrong) => checked.wrong.extend(wrong),
    }
    // In the order of the file, in which they were not found.
    let count = text.lines().count();
    let line = |failure: &Failure| (1..=count).find(|line| failure.message.contains(&format!("line {line} of {file}")));
    checked.wrong.sort_by_cached_key(|failure| line(failure).unwrap_or(usize::MAX));
    checked
}

impl Checked {
    fn wrong(&mut self, message: String, hint: String) {
        self.wrong.push(Failure::new(Cause::Configuration, message).hint(hint));
    }

    fn warn_of(&mut self, lines: &[Line<'_>]) {
        let last = |name: &str| lines.iter().rev().find(|line| line.name == name);
        for (index, line) in lines.iter().enumerate() {
            if let Some(later) = lines[index + 1..].iter().find(|later| later.name == line.name) {
                self.warnings
                    .push(format!("{} is set twice ({}, {}); the last one counts", line.name, line.place, later.place));
            }
            if line.put_together {
                self.warnings.push(format!(
                    "{} ({}) has a value that compose puts together, and was not checked",
                    line.name, line.place
                ));
            }
            if line.name.starts_with(PREFIX) && describes_a_service(line.name, &line.value) && !is_of_compose(line.name)
            {
                self.warnings.push(format!("{} ({}) is no setting of Hearth and is not used", line.name, line.place));
            }
        }
        let value = |name: &str| last(name).map(|line| line.value.trim().to_owned()).filter(|value| !value.is_empty());
        let user = value("HEARTH_USER");
        let mut own = user.as_deref().unwrap_or("1001:1001").split(':').map(|id| id.parse().unwrap_or(u32::MAX));
        let own = (own.next().unwrap_or(1001), own.next().unwrap_or(0));
        if let Some(WishedIds { names, user }) = WishedIds::of(value("PUID"), value("PGID"), own) {
            let places: Vec<_> =
                ["PUID", "PGID"].into_iter().filter_map(last).map(|line| line.place.as_str()).collect();
            self.warnings.push(format!(
                "{names} not used ({}), since Hearth never runs as root to become another user; to run it as that user, write: \
                 HEARTH_USER={user}",
                places.join(", ")
            ));
        }
    }
}

fn is_of_compose(name: &str) -> bool {
    name.strip_prefix(PREFIX).is_some_and(|rest| COMPOSE.contains(&rest))
}

/// Reads a line as both versions of compose do: the name, the value, and whether compose puts other variables into that. What they
/// read differently is refused. No value is repeated: it may be a secret.
fn read(written: &str) -> Result<Option<(&str, String, bool)>, Wrong> {
    let line = written.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    const FORM: &str = "write NAME=value, and # before a comment";
    let line = line.strip_prefix("export ").unwrap_or(line);
    let Some((name, value)) = line.split_once('=') else {
        return Err(("there is no = in it".to_owned(), FORM.to_owned()));
    };
    let name = name.trim_end();
    let fits = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '.' | '-');
    if name.is_empty() || !name.chars().all(fits) {
        return Err(("what stands before the = is no name".to_owned(), FORM.to_owned()));
    }
    let value = value.trim();
    let (value, quote) = match value.chars().next().filter(|first| ['\'', '"'].contains(first)) {
        Some(quote) => {
            let rest = &value[1..];
            let end = rest
                .char_indices()
                .find(|(at, letter)| *letter == quote && !(quote == '"' && rest[..*at].ends_with('\\')))
                .map(|(at, _)| at);
            let (value, behind) = match end {
                Some(end) => (&rest[..end], rest[end + 1..].trim()),
                None => {
                    return Err((
                        format!("the value of {name} begins with a quote that is not closed"),
                        format!("close the {quote} on the same line"),
                    ));
                }
            };
            if !behind.is_empty() && !behind.starts_with('#') {
                return Err((
                    format!("the value of {name} goes on behind its quotes"),
                    "put quotes around the whole value; a quote inside needs the other kind around it".to_owned(),
                ));
            }
            (value.replace("\\\"", "\""), Some(quote))
        }
        None => {
            let comment = [" #", "\t#"].into_iter().filter_map(|start| value.find(start)).min();
            (comment.map_or(value, |comment| value[..comment].trim_end()).to_owned(), None)
        }
    };
    let braces = value.contains("${");
    let bare = value.replace("${", "").contains('$');
    if bare && quote != Some('\'') || braces && (bare || quote == Some('\'')) {
        return Err((
            format!("the value of {name} has a $, which one version of compose takes for itself and another does not"),
            "put single quotes around the value, where it has no ${ in it; a secret is better in a file that NAME_FILE names"
                .to_owned(),
        ));
    }
    Ok(Some((name, value, braces)))
}

/// Checks a line by itself; returns the setting that it is.
fn variable(line: &Line<'_>) -> Result<Option<Variable>, Wrong> {
    let Line { name, value, place, put_together } = line;
    if !name.starts_with(PREFIX) {
        return others(line).map(|()| None);
    }
    let no_setting = |hint: String| (format!("there is no setting {name}"), hint);
    let set = |name: String, value: &str| {
        Some(Variable { name: name.into(), value: value.into(), place: Some(place.clone()) })
    };
    match names::identify(name, value) {
        Name::Setting(key) => {
            handed_on(key)?;
            Ok(if *put_together { None } else { set(key.variable(), value) })
        }
        Name::SecretFile(_) | Name::File if value.trim().is_empty() || *put_together => Ok(None),
        Name::SecretFile(_) | Name::File if !value.starts_with('/') => Err((
            format!("{name} = {value:?} cannot be used"),
            "it names a file by its absolute path in the container, such as /run/secrets/hearth".to_owned(),
        )),
        Name::SecretFile(key) => Ok(set(key.variable(), UNREAD)),
        Name::File => Ok(None),
        Name::Compose if value.trim().is_empty() || *put_together => Ok(None),
        Name::Compose => match of_compose(&name[PREFIX.len()..], value.trim()) {
            (true, _) => Ok(None),
            (false, allowed) => Err((format!("{name} = {value:?} cannot be used"), format!("allowed: {allowed}"))),
        },
        Name::Told => Err(no_setting("the supervisor tells it to the app itself; leave it out".to_owned())),
        Name::NearMiss(meant) => Err(no_setting(format!("did you mean {meant}?"))),
        Name::Unknown if describes_a_service(name, value) => Ok(None),
        Name::Unknown => Err(no_setting(match nearest(name) {
            Some(meant) => format!("did you mean {meant}? All settings: supervisor config"),
            None => format!("all settings: supervisor config; a variable of your own gets a name without {PREFIX}"),
        })),
    }
}

/// Says what to do where `.env` has a setting that compose.yml sets itself or leaves to the image.
fn handed_on(key: &Key) -> Result<(), Wrong> {
    let wrong =
        |why: &str, hint: String| Err((format!("{} does not reach Hearth from here: {why}", key.variable()), hint));
    if let Some((_, value, instead)) = FIXED.iter().find(|(name, ..)| *name == key.name) {
        return wrong(&format!("compose.yml sets it to {value}"), (*instead).to_owned());
    }
    if OF_THE_IMAGE.contains(&key.name) {
        return wrong(
            "compose does not pass it on, since the image sets it itself",
            "if you mean it, set it in a compose file of your own, such as local.yml, under services: web: environment:"
                .to_owned(),
        );
    }
    Ok(())
}

/// Checks what is not named like a setting: a misspelt name of compose's, or a setting without what it begins with.
fn others(line: &Line<'_>) -> Result<(), Wrong> {
    let Line { name, value, put_together, .. } = line;
    let value = value.trim();
    let wrong = |allowed: &str| Err((format!("{name} = {value:?} cannot be used"), format!("allowed: {allowed}")));
    match *name {
        _ if value.is_empty() || *put_together => {}
        "TZ" if !names_a_zone(value, Path::new(ZONES)) => {
            return wrong("the name of a time zone, such as Europe/Berlin");
        }
        "COMPOSE_PROJECT_NAME" if !is_word(value, |letter| letter.is_ascii_lowercase() || "_-".contains(letter)) => {
            return wrong("small letters, digits, - and _, such as hearth");
        }
        _ => {}
    }
    if OF_COMPOSE.contains(name) || ["TZ", "PUID", "PGID"].contains(name) {
        return Ok(());
    }
    let upper = name.to_ascii_uppercase();
    let own = COMPOSE.map(|name| format!("{PREFIX}{name}"));
    let known = OF_COMPOSE.iter().map(|name| (*name).to_owned()).chain(own).chain(KEYS.iter().map(Key::variable));
    let meant = known
        .filter(|known| {
            let without = known.contains("__") && known.strip_prefix(PREFIX) == Some(&upper);
            without || strsim::osa_distance(&upper, known) <= if known.len() < 10 { 1 } else { 2 }
        })
        .min_by_key(|known| strsim::osa_distance(&upper, known));
    match meant {
        Some(meant) => Err((format!("there is no setting {name}"), format!("did you mean {meant}?"))),
        None => Ok(()),
    }
}

/// Returns the variable that a name of Hearth's was most probably meant to be: more than [`names::identify`] guesses, since here a
/// name that is not known does nothing.
fn nearest(name: &str) -> Option<String> {
    let word = letters(name);
    let own = COMPOSE.map(|name| format!("{PREFIX}{name}"));
    let near = own
        .into_iter()
        .chain(KEYS.iter().map(Key::variable))
        .chain([FILE.to_owned()])
        .map(|known| (strsim::osa_distance(&word, &letters(&known)), known))
        .filter(|(distance, known)| *distance <= (letters(known).len() / 4).max(1))
        .min();
    near.map(|(_, known)| known).or_else(|| {
        let ends = |key: &&Key| {
            let last = key.name.rsplit('.').next().unwrap_or_default();
            strsim::osa_distance(&word, &letters(&last.to_uppercase())) <= 1
        };
        let meant: Vec<_> = KEYS.iter().filter(ends).collect();
        match meant[..] {
            [key] => Some(key.variable()),
            _ => None,
        }
    })
}

/// Whether a value is one for what the compose files put in under this name; and what is allowed.
fn of_compose(name: &str, value: &str) -> (bool, &'static str) {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    match name {
        "IMAGE" => {
            (!value.contains(char::is_whitespace), "the name of an image, such as ghcr.io/hearth-home/hearth:latest")
        }
        "USER" => {
            let ids: Vec<&str> = value.split(':').collect();
            (ids.len() <= 2 && ids.into_iter().all(digits), "a uid, or uid:gid, as numbers, such as 99:100")
        }
        "BIND" | "TAILNET_IP" => {
            (value.trim_matches(['[', ']']).parse::<IpAddr>().is_ok(), "an IP address, such as 127.0.0.1")
        }
        "PORT" => (value.parse::<u16>().is_ok_and(|port| port > 0), "a port from 1 to 65535, such as 3000"),
        "DATA" | "BACKUPS" | "TAILSCALE" => {
            let is_path = ["/", "./", "../", "~/"].iter().any(|start| value.starts_with(start));
            let is_volume = ["app-data", "app-backups"].contains(&value);
            (
                (is_path || is_volume) && !value.contains(':'),
                "a directory of this machine that begins with / or ./, such as /srv/hearth/data",
            )
        }
        "MEMORY" => {
            let number = value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
            let unit = value[number.len()..].to_ascii_lowercase();
            (
                digits(number) && ["", "b", "k", "m", "g", "kb", "mb", "gb"].contains(&unit.as_str()),
                "a number with its unit, such as 512m or 1g",
            )
        }
        "VOLUMES" => (
            is_word(value, |letter| letter.is_ascii_alphabetic() || "_.-".contains(letter)),
            "letters, digits, -, _ and ., such as hearth",
        ),
        _ => (true, ""),
    }
}

/// Whether this is a name of digits and such letters, which begins with a letter or digit.
fn is_word(text: &str, fits: impl Fn(char) -> bool) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphanumeric() && (first.is_ascii_digit() || fits(first)))
        && text.chars().all(|letter| letter.is_ascii_digit() || fits(letter))
}

/// Whether `TZ` names a zone, as far as can be told: a rule (`CET-1CEST`) is left alone, and all is where there are no zones.
fn names_a_zone(name: &str, zones: &Path) -> bool {
    let name = name.strip_prefix(':').unwrap_or(name);
    let is_rule =
        name.contains([',', '<']) || !name.contains('/') && name.contains(|letter: char| letter.is_ascii_digit());
    is_rule || name.starts_with('/') || !zones.is_dir() || (!name.contains("..") && zones.join(name).is_file())
}

#[cfg(test)]
#[path = "env_file_tests.rs"]
mod tests;
