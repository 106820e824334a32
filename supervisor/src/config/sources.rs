//! What does each source say?

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Error, Figment, Metadata, Profile, Provider,
    providers::{Format, Toml},
    value::{Dict, Map, Value},
};

use super::{
    Flags,
    keys::{KEYS, Key, nearest},
    trust,
};
use crate::failure::{Cause, Failure};

/// What begins each of Hearth's variables.
const PREFIX: &str = "HEARTH_";
/// The variable that names the file.
const FILE: &str = "HEARTH_CONFIG";
/// The variable that names the data directory.
const DATA_DIR: &str = "HEARTH_DATA_DIR";
/// The longest file that is read, in bytes: far more than all settings take, and far less than hurts PID 1.
const LONGEST: u64 = 256 << 10;

/// What the name of a variable ends with that names a file with a secret.
const FROM_FILE: &str = "_FILE";
/// The longest such file, in bytes.
const LONGEST_SECRET: u64 = 4096;

/// What one source says.
struct Layer {
    /// Its name for people: `default`, a path, `HEARTH_LISTEN`, `--listen`.
    source: String,
    dict: Dict,
}

impl Layer {
    fn new(source: impl Into<String>) -> Self {
        Self { source: source.into(), dict: Dict::new() }
    }

    fn with(mut self, key: &str, value: Value) -> Self {
        set(&mut self.dict, key, value);
        self
    }
}

impl Provider for Layer {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.source.clone())
    }

    fn data(&self) -> Result<Map<Profile, Dict>, Error> {
        Ok(Profile::Default.collect(self.dict.clone()))
    }
}

/// Puts a value at a dotted key.
fn set(dict: &mut Dict, key: &str, value: Value) {
    match key.split_once('.') {
        None => {
            dict.insert(key.to_owned(), value);
        }
        Some((section, rest)) => {
            let mut inner = match dict.remove(section) {
                Some(Value::Dict(_, inner)) => inner,
                _ => Dict::new(),
            };
            set(&mut inner, rest, value);
            dict.insert(section.to_owned(), Value::from(inner));
        }
    }
}

/// Puts all sources together, the later over the earlier.
pub(super) fn gather(
    flags: &Flags,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    current: &Path,
    programs: &Path,
) -> Result<Figment, Failure> {
    let (file, mut later) = variables(environment)?;
    later.extend(given(flags)?);
    // The directory comes first of all: the file lies in it.
    let (data_dir, _) = named(&later).unwrap_or(("./data", "default"));
    let data_dir = absolute(current, data_dir)?;
    for layer in &mut later {
        if let Some(value) = layer.dict.get_mut("data_dir")
            && value.as_str().is_some_and(|text| !text.is_empty())
        {
            *value = Value::from(data_dir.clone());
        }
    }
    let file = match file {
        Some(name) => read(Path::new(&absolute(current, &name)?), true)?,
        None => read(&Path::new(&data_dir).join("config.toml"), false)?,
    };
    if let Some(file) = &file {
        guard(file, &later)?;
    }
    let mut figment = Figment::from(defaults(data_dir, programs));
    for layer in file.into_iter().chain(later) {
        figment = figment.merge(layer);
    }
    Ok(figment)
}

/// Returns the data directory alone and where that came from, whatever all other settings are.
pub(super) fn data_dir(
    flags: &Flags,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    current: &Path,
) -> Result<(String, String), Failure> {
    let (_, mut layers) = variables(environment.into_iter().filter(|(name, _)| name == DATA_DIR))?;
    layers.extend(given(&Flags { data_dir: flags.data_dir.clone(), listen: None })?);
    let (data_dir, source) = named(&layers).unwrap_or(("./data", "default"));
    // Empty, it is not the current directory, but a mistake.
    let data_dir = if data_dir.is_empty() { String::new() } else { absolute(current, data_dir)? };
    Ok((data_dir, source.to_owned()))
}

/// Returns the data directory that the last of these names, and where.
fn named(layers: &[Layer]) -> Option<(&str, &str)> {
    layers.iter().rev().find_map(|layer| Some((layer.dict.get("data_dir")?.as_str()?, layer.source.as_str())))
}

fn absolute(current: &Path, path: &str) -> Result<String, Failure> {
    // `components` drops the `.` of `./data`; `..` is the file system's to resolve.
    let path: PathBuf = current.join(path).components().collect();
    path.into_os_string().into_string().map_err(|path| {
        Failure::new(Cause::Configuration, format!("the path {} is not UTF-8 text", path.display()))
            .hint("Hearth hands paths on as text; put the data directory at a path that is text")
    })
}

fn defaults(data_dir: String, programs: &Path) -> Layer {
    let mut layer = Layer::new("default");
    for key in KEYS {
        let value = if key.is_command() { command(key.default, programs) } else { from_text(key, key.default) };
        layer = layer.with(key.name, value);
    }
    layer.with("data_dir", Value::from(data_dir))
}

/// Returns a command with the program beside this one.
fn command(words: &str, programs: &Path) -> Value {
    let mut words = words.split(' ');
    let program = programs.join(words.next().unwrap_or_default()).display().to_string();
    Value::from(std::iter::once(program).chain(words.map(str::to_owned)).map(Value::from).collect::<Vec<_>>())
}

/// Reads a value as it stands in the environment: a list or number is understood as in the file, all else is text
/// as it is. Not by figment's own parser of such values: that one panics on some text (0.10.19, a quoted string with
/// characters of several bytes) and has no limit for nested lists.
fn from_text(key: &Key, text: &str) -> Value {
    if key.is_structured()
        && let Ok(data) = Toml::string(&format!("value = {text}")).data()
        && let Some(value) = data.into_values().next().and_then(|mut dict| dict.remove("value"))
    {
        return value;
    }
    if key.has_commas() {
        let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
        return Value::from(names.map(Value::from).collect::<Vec<_>>());
    }
    Value::from(text)
}

/// Returns the name of the file, and a layer for each variable.
fn variables(
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(Option<String>, Vec<Layer>), Failure> {
    let mut file = None;
    let mut layers: Vec<Layer> = Vec::new();
    let mut files = Vec::new();
    for (name, value) in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)).map(str::to_owned) else { continue };
        if cfg!(feature = "faults") && name == "HEARTH_FAULT" {
            continue;
        }
        let secret =
            name.strip_suffix(FROM_FILE).and_then(|of| KEYS.iter().find(|key| key.is_secret() && key.variable() == of));
        if let Some(key) = secret {
            layers.push(Layer::new(name.clone()).with(key.name, Value::from(secret_in(&name, Path::new(&value))?)));
            files.push(key.variable());
            continue;
        }
        let key = KEYS.iter().find(|key| key.variable() == name);
        if key.is_none() && name != FILE {
            return Err(unknown(&name, "the environment", KEYS.iter().map(Key::variable)));
        }
        let Some(text) = value.to_str() else {
            return Err(Failure::new(Cause::Configuration, format!("the value of {name} is not UTF-8 text")));
        };
        // An image that was built without the name that it is published under sets it so.
        if text.is_empty() && key.is_some_and(|key| (key.default.is_empty() || key.has_commas()) && !key.is_secret()) {
            continue;
        }
        if text.is_empty() {
            let hint = match key {
                Some(key) => {
                    format!("allowed: {}; take the variable away for the default, {}", key.allowed(), key.default)
                }
                None => {
                    "it names the file with the settings; take the variable away for config.toml in the data directory"
                        .to_owned()
                }
            };
            return Err(
                Failure::new(Cause::Configuration, format!("{name} is set in the environment and empty")).hint(hint)
            );
        }
        match key {
            Some(key) => layers.push(Layer::new(name).with(key.name, from_text(key, text))),
            None => file = Some(text.to_owned()),
        }
    }
    if let Some(twice) = files.iter().find(|name| layers.iter().any(|layer| layer.source == **name)) {
        return Err(Failure::new(
            Cause::Configuration,
            format!("{twice} and {twice}{FROM_FILE} are both set in the environment"),
        )
        .hint("one of them is enough; the file is the better one, since others cannot see it"));
    }
    Ok((file, layers))
}

/// Reads a secret from a file of its own, as container runtimes hand them over; the end of its line does not belong to it.
fn secret_in(variable: &str, path: &Path) -> Result<String, Failure> {
    let wrong = |what: &str| {
        Failure::new(Cause::Configuration, format!("the file {}, which {variable} names, {what}", path.display()))
            .hint("it holds the secret and nothing else")
    };
    let stat = fs::metadata(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => wrong("is not there"),
        _ => Failure::io(format!("cannot read the file {}, which {variable} names", path.display()), &error),
    })?;
    // A FIFO would keep PID 1 waiting.
    if !stat.is_file() || stat.len() > LONGEST_SECRET {
        return Err(wrong("is no regular file, or far too long for a secret"));
    }
    let text = fs::read(path).map_err(|error| {
        Failure::io(format!("cannot read the file {}, which {variable} names", path.display()), &error)
    })?;
    let text = String::from_utf8(text).map_err(|_| wrong("is not UTF-8 text"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if text.is_empty() { Err(wrong("is empty")) } else { Ok(text.to_owned()) }
}

fn given(flags: &Flags) -> Result<Vec<Layer>, Failure> {
    let mut layers = Vec::new();
    if let Some(path) = &flags.data_dir {
        let Some(text) = path.to_str() else {
            return Err(Failure::new(
                Cause::Configuration,
                format!("the value of --data-dir, {}, is not UTF-8 text", path.display()),
            ));
        };
        layers.push(Layer::new("--data-dir").with("data_dir", Value::from(text)));
    }
    if let Some(listen) = &flags.listen {
        layers.push(Layer::new("--listen").with("listen", Value::from(listen.as_str())));
    }
    Ok(layers)
}

/// Reads the file, if it is there; one that was named must be.
fn read(path: &Path, named: bool) -> Result<Option<Layer>, Failure> {
    let shown = path.display();
    let stat = match fs::metadata(path) {
        Ok(stat) => stat,
        Err(error) if error.kind() == io::ErrorKind::NotFound && !named => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failure::new(Cause::Configuration, format!("there is no file {shown}, which {FILE} names")));
        }
        Err(error) => return Err(Failure::io(format!("cannot read the settings in {shown}"), &error)),
    };
    // A FIFO would keep PID 1 waiting.
    if !stat.is_file() || stat.len() > LONGEST {
        return Err(Failure::new(
            Cause::Configuration,
            format!("{shown} is not a file with settings: it is no regular file, or longer than {LONGEST} bytes"),
        ));
    }
    let text = fs::read(path).map_err(|error| Failure::io(format!("cannot read the settings in {shown}"), &error))?;
    let text = String::from_utf8(text)
        .map_err(|_| Failure::new(Cause::Configuration, format!("{shown} is not UTF-8 text")))?;
    parse(&text, &shown.to_string()).map(Some)
}

/// Checks that what is guarded does not come from a file that the app's uid could have written. What a later source sets is
/// not taken from the file anyway.
fn guard(file: &Layer, later: &[Layer]) -> Result<(), Failure> {
    let sets = |layer: &Layer, key: &Key| Value::from(layer.dict.clone()).find(key.name).is_some();
    let taken: Vec<&Key> = KEYS
        .iter()
        .filter(|key| key.is_guarded() && sets(file, key) && !later.iter().any(|layer| sets(layer, key)))
        .collect();
    let path = Path::new(&file.source);
    // Most files have none of them, and then nothing is looked at.
    let Some(writable) = (!taken.is_empty()).then(|| trust::writable(path)).flatten() else { return Ok(()) };
    let list = |words: Vec<String>| words.join(" and ");
    let names = list(taken.iter().map(|key| key.name.to_owned()).collect());
    let variables = list(taken.iter().map(|key| key.variable()).collect());
    Err(trust::refuse(&names, &variables, path, &writable))
}

/// Reads the text of a file.
fn parse(text: &str, path: &str) -> Result<Layer, Failure> {
    let data = Toml::string(text).data().map_err(|error| {
        // TOML's error shows the place over several lines: the first says where, the last says what.
        let words = error.kind.to_string();
        let mut lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("it cannot be understood").to_owned();
        let words = lines.next_back().map_or(first.clone(), |last| format!("{first}: {last}"));
        Failure::new(Cause::Configuration, format!("{path} is not TOML: {words}"))
    })?;
    let layer = Layer { source: path.to_owned(), dict: data.into_values().next().unwrap_or_default() };
    if layer.dict.contains_key("data_dir") {
        return Err(Failure::new(
            Cause::Configuration,
            format!("data_dir cannot be set in {path}, since that file is found by it"),
        )
        .hint("set it with HEARTH_DATA_DIR or --data-dir"));
    }
    check(&layer.dict, "", path)?;
    Ok(layer)
}

/// Checks that each key of a file is known, and that sections are sections.
fn check(dict: &Dict, section: &str, path: &str) -> Result<(), Failure> {
    for (name, value) in dict {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        if KEYS.iter().any(|known| known.name == key) {
            continue;
        }
        let is_section =
            KEYS.iter().any(|known| known.name.strip_prefix(&key).is_some_and(|rest| rest.starts_with('.')));
        match value {
            Value::Dict(_, inner) if is_section => check(inner, &key, path)?,
            _ if is_section => {
                return Err(Failure::new(
                    Cause::Configuration,
                    format!("{key} in {path} is a section, and not a value"),
                )
                .hint(format!("write [{key}] on a line of its own, and its settings below it")));
            }
            _ => return Err(unknown(&key, path, KEYS.iter().map(|key| key.name.to_owned()))),
        }
    }
    Ok(())
}

fn unknown(name: &str, place: &str, known: impl Iterator<Item = String>) -> Failure {
    let failure = Failure::new(Cause::Configuration, format!("there is no setting {name} (in {place})"));
    match nearest(name, known) {
        Some(near) => failure.hint(format!("did you mean {near}? All settings: supervisor config")),
        None => failure.hint("all settings: supervisor config"),
    }
}
