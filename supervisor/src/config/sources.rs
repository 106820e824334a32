//! Which settings come from the file, the environment and the flags?

use std::{
    ffi::OsString,
    fs, io,
    path::{Path, PathBuf},
};

use figment::{
    Error, Figment, Metadata, Profile, Provider,
    providers::{Format, Toml},
    util::nest,
    value::{Dict, Map, Value},
};

use super::{
    Flags,
    key::{Key, Kind, unexpanded},
    names::{self, FILE, FROM_FILE, Name, PREFIX},
    table::KEYS,
    trust,
};
use crate::failure::{Cause, Failure};

/// What a default comes from.
pub(super) const DEFAULT: &str = "default";
/// The variable that names the data directory.
const DATA_DIR: &str = "HEARTH_DATA_DIR";
/// The longest file that is read, in bytes: far more than all settings take, and far less than hurts PID 1.
const LONGEST: u64 = 256 << 10;
/// The longest file with a secret, in bytes.
const LONGEST_SECRET: u64 = 4096;

/// A variable, and where it stands if that is not the environment: `line 3 of .env`.
pub(super) struct Variable {
    pub(super) name: OsString,
    pub(super) value: OsString,
    pub(super) place: Option<String>,
}

impl Variable {
    pub(super) fn of_process((name, value): (OsString, OsString)) -> Self {
        Self { name, value, place: None }
    }
}

/// What all sources say together.
pub(super) struct Gathered {
    pub(super) figment: Figment,
    /// Variables that begin like Hearth's and are nothing that is known.
    pub(super) unknown: Vec<String>,
    /// What is wrong.
    pub(super) wrong: Vec<Failure>,
}

/// What one source says.
struct Layer {
    /// Its name for people: `default`, a path, `HEARTH_LISTEN`, `--listen`.
    source: String,
    dict: Dict,
}

impl Layer {
    fn new(source: impl Into<String>, key: &str, value: Value) -> Self {
        Self { source: source.into(), dict: nest(key, value).into_dict().unwrap_or_default() }
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

/// Puts all sources together, the later over the earlier.
pub(super) fn gather(
    flags: &Flags,
    environment: impl IntoIterator<Item = Variable>,
    current: &Path,
    programs: &Path,
) -> Gathered {
    let mut environment = variables(environment);
    let mut wrong = std::mem::take(&mut environment.wrong);
    let mut later = environment.layers;
    later.extend(given(flags).unwrap_or_else(|failure| {
        wrong.push(failure);
        Vec::new()
    }));
    // The directory comes first of all: the file lies in it.
    let (data_dir, _) = named(&later).unwrap_or(("./data", DEFAULT));
    let data_dir = absolute(current, data_dir).unwrap_or_else(|failure| {
        wrong.push(failure);
        String::new()
    });
    for layer in &mut later {
        if let Some(value) = layer.dict.get_mut("data_dir")
            && value.as_str().is_some_and(|text| !text.is_empty())
        {
            *value = Value::from(data_dir.clone());
        }
    }
    let file = match environment.file {
        Some(name) => absolute(current, &name).and_then(|path| read(Path::new(&path), true, &mut wrong)),
        None => read(&Path::new(&data_dir).join("config.toml"), false, &mut wrong),
    };
    let file = file.unwrap_or_else(|failure| {
        wrong.push(failure);
        None
    });
    if let Some(Err(failure)) = file.as_ref().map(|file| guard(file, &later)) {
        wrong.push(failure);
    }
    let defaults = KEYS.iter().map(|key| Layer::new(DEFAULT, key.name, default(key, programs)));
    let data_dir = Layer::new(DEFAULT, "data_dir", data_dir.into());
    let figment = defaults.chain([data_dir]).chain(file).chain(later).fold(Figment::new(), Figment::merge);
    Gathered { figment, unknown: environment.unknown, wrong }
}

/// Returns the data directory alone and where that came from, whatever all other settings are.
pub(super) fn data_dir(
    flags: &Flags,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
    current: &Path,
) -> Result<(String, String), Failure> {
    let named_so = environment.into_iter().filter(|(name, _)| name == DATA_DIR);
    let Environment { mut layers, wrong, .. } = variables(named_so.map(Variable::of_process));
    if let Some(failure) = wrong.into_iter().next() {
        return Err(failure);
    }
    layers.extend(given(&Flags { data_dir: flags.data_dir.clone(), listen: None })?);
    let (data_dir, source) = named(&layers).unwrap_or(("./data", DEFAULT));
    // Empty, it is not the current directory, but a mistake.
    let data_dir = if data_dir.is_empty() { String::new() } else { absolute(current, data_dir)? };
    Ok((data_dir, source.to_owned()))
}

/// Returns the data directory that the last of these names, and where.
fn named(layers: &[Layer]) -> Option<(&str, &str)> {
    layers.iter().rev().find_map(|layer| Some((layer.dict.get("data_dir")?.as_str()?, layer.source.as_str())))
}

fn absolute(current: &Path, path: &str) -> Result<String, Failure> {
    // Left as it is, for what is wrong with it to be seen.
    if unexpanded(path) {
        return Ok(path.to_owned());
    }
    // `components` drops the `.` of `./data`; `..` is the file system's to resolve.
    let path: PathBuf = current.join(path).components().collect();
    path.into_os_string().into_string().map_err(|path| {
        Failure::new(Cause::Configuration, format!("the path {} is not UTF-8 text", path.display()))
            .hint("Hearth hands paths on as text; put the data directory at a path that is text")
    })
}

/// Returns a key's default; a command is the program beside this one.
fn default(key: &Key, programs: &Path) -> Value {
    if !matches!(key.kind, Kind::Command) {
        return from_text(key, key.default);
    }
    let mut words = key.default.split(' ');
    let program = programs.join(words.next().unwrap_or_default()).display().to_string();
    Value::from(std::iter::once(program).chain(words.map(str::to_owned)).map(Value::from).collect::<Vec<_>>())
}

/// Reads a value as it stands in the environment: a list or number is understood as in the file, all else is text
/// as it is. Not by figment's own parser of such values: that one panics on some text (0.10.19, a quoted string with
/// characters of several bytes) and has no limit for nested lists.
fn from_text(key: &Key, text: &str) -> Value {
    let written = key.is_structured().then(|| Toml::string(&format!("value = {text}")).data().ok()).flatten();
    let written = written.and_then(|data| data.into_values().next()?.remove("value"));
    match (key.is_list(), written) {
        (false, Some(value)) | (true, Some(value @ Value::Array(..))) => value,
        (false, None) => Value::from(text),
        // Without brackets it is one, or several with commas between them; quotes around it may be of the file it stood in.
        (true, written) => match written.as_ref().and_then(Value::as_str).unwrap_or(text).trim() {
            // Brackets that are not closed are no name.
            text if text.starts_with('[') => Value::from(text),
            text => {
                let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
                Value::from(names.map(Value::from).collect::<Vec<_>>())
            }
        },
    }
}

/// Whether a value is there and says nothing: a field that was left blank in a form, `NAME=` in a file. It is not set.
fn is_blank(text: &str) -> bool {
    text.trim().is_empty()
}

/// What the environment says.
#[derive(Default)]
struct Environment {
    /// The name of the file of settings.
    file: Option<String>,
    /// One for each variable.
    layers: Vec<Layer>,
    unknown: Vec<String>,
    wrong: Vec<Failure>,
}

fn variables(environment: impl IntoIterator<Item = Variable>) -> Environment {
    let mut found = Environment::default();
    let mut files = Vec::new();
    for Variable { name, value, place } in environment {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)).map(str::to_owned) else { continue };
        if is_blank(&value.to_string_lossy()) {
            continue;
        }
        match (names::identify(&name, &value.to_string_lossy()), value.to_str()) {
            (Name::Compose | Name::Told, _) => {}
            (Name::Unknown, _) => found.unknown.push(name),
            (Name::NearMiss(meant), _) => found.wrong.push(
                Failure::new(Cause::Configuration, format!("there is no setting {name} (in the environment)"))
                    .hint(format!("did you mean {meant}? All settings: supervisor config")),
            ),
            (Name::SecretFile(key), _) => {
                match secret_in(&name, Path::new(&value)) {
                    Ok(secret) => found.layers.push(Layer::new(name, key.name, Value::from(secret))),
                    Err(failure) => found.wrong.push(failure),
                }
                files.push(key.variable());
            }
            (_, None) => {
                let message = format!("the value of {name} is not UTF-8 text");
                found.wrong.push(Failure::new(Cause::Configuration, message));
            }
            (Name::Setting(key), Some(text)) => {
                let source = place.map_or(name.clone(), |place| format!("{name}, {place}"));
                found.layers.push(Layer::new(source, key.name, from_text(key, text)));
            }
            (Name::File, Some(text)) => found.file = Some(text.to_owned()),
        }
    }
    let twice = files.iter().filter(|name| found.layers.iter().any(|layer| layer.source == **name));
    found.wrong.extend(twice.map(|twice| {
        Failure::new(Cause::Configuration, format!("{twice} and {twice}{FROM_FILE} are both set in the environment"))
            .hint("one of them is enough; the file is the better one, since others cannot see it")
    }));
    found
}

/// Reads a secret from a file of its own, as container runtimes hand them over; the end of its line does not belong to it.
fn secret_in(variable: &str, path: &Path) -> Result<String, Failure> {
    let file = format!("the file {}, which {variable} names", path.display());
    let wrong = |what: &str| {
        Failure::new(Cause::Configuration, format!("{file}, {what}")).hint("it holds the secret and nothing else")
    };
    let unreadable = |error: io::Error| Failure::reading(path, format!("cannot read {file}"), &error);
    let text = read_text(path, LONGEST_SECRET, &unreadable, &wrong)?.ok_or_else(|| wrong("is not there"))?;
    let text = text.trim_end_matches(['\r', '\n']);
    if is_blank(text) { Err(wrong("is empty")) } else { Ok(text.to_owned()) }
}

/// Reads a file of at most so many bytes, without the mark that some editors put before the text; nothing, where none is.
fn read_text(
    path: &Path,
    longest: u64,
    unreadable: &dyn Fn(io::Error) -> Failure,
    wrong: &dyn Fn(&str) -> Failure,
) -> Result<Option<String>, Failure> {
    let stat = match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        stat => stat.map_err(unreadable)?,
    };
    // A FIFO would keep PID 1 waiting.
    if !stat.is_file() || stat.len() > longest {
        return Err(wrong(&format!("is no regular file, or longer than {longest} bytes")));
    }
    match String::from_utf8(fs::read(path).map_err(unreadable)?) {
        Ok(text) => Ok(Some(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))),
        Err(error) if [b"\xff\xfe", b"\xfe\xff"].iter().any(|mark| error.as_bytes().starts_with(*mark)) => {
            Err(wrong("is UTF-16 text; save it as UTF-8"))
        }
        Err(_) => Err(wrong("is not UTF-8 text")),
    }
}

fn given(flags: &Flags) -> Result<Vec<Layer>, Failure> {
    let mut layers = Vec::new();
    if let Some(path) = &flags.data_dir {
        let text = path.to_str().ok_or_else(|| {
            let message = format!("the value of --data-dir, {}, is not UTF-8 text", path.display());
            Failure::new(Cause::Configuration, message)
        })?;
        layers.push(Layer::new("--data-dir", "data_dir", text.into()));
    }
    layers.extend(flags.listen.as_deref().map(|listen| Layer::new("--listen", "listen", listen.into())));
    Ok(layers)
}

/// Reads the file, if it is there; one that was named must be.
fn read(path: &Path, named: bool, wrong: &mut Vec<Failure>) -> Result<Option<Layer>, Failure> {
    let shown = path.display();
    let refuse = |message: String| Failure::new(Cause::Configuration, message);
    let unusable = |what: &str| refuse(format!("the file of settings {shown} {what}"));
    // Whose it is, a command says itself: the file is in the data directory.
    let unreadable = |error: io::Error| Failure::io(format!("cannot read the settings in {shown}"), &error);
    match (read_text(path, LONGEST, &unreadable, &unusable)?, fs::read_link(path)) {
        (Some(text), _) => parse(&text, &shown.to_string(), wrong).map(Some),
        (None, Ok(target)) => {
            Err(refuse(format!("the settings {shown} are a link to {}, where nothing is", target.display()))
                .hint("put the file there (a disk that is not mounted?), or remove the link to do without one"))
        }
        (None, Err(_)) if named => Err(refuse(format!("there is no file {shown}, which {FILE} names"))),
        (None, Err(_)) => Ok(None),
    }
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
fn parse(text: &str, path: &str, wrong: &mut Vec<Failure>) -> Result<Layer, Failure> {
    let data = Toml::string(text).data().map_err(|error| {
        // TOML's error shows the place over several lines: the first says where, the last says what.
        let words = error.kind.to_string();
        let mut lines = words.lines().map(str::trim).filter(|line| !line.is_empty());
        let first = lines.next().unwrap_or("it cannot be understood").to_owned();
        let words = lines.next_back().map_or(first.clone(), |last| format!("{first}: {last}"));
        Failure::new(Cause::Configuration, format!("{path} is not TOML: {words}"))
    })?;
    let mut layer = Layer { source: path.to_owned(), dict: data.into_values().next().unwrap_or_default() };
    if layer.dict.remove("data_dir").is_some() {
        let message = format!("data_dir cannot be set in {path}, since that file is found by it");
        wrong.push(Failure::new(Cause::Configuration, message).hint("set it with HEARTH_DATA_DIR or --data-dir"));
    }
    layer.dict = check(layer.dict, "", path, wrong);
    Ok(layer)
}

/// Returns the settings of a file that are known and not blank; what is not known, and a section that is none, is wrong.
fn check(dict: Dict, section: &str, path: &str, wrong: &mut Vec<Failure>) -> Dict {
    let mut checked = Dict::new();
    for (name, value) in dict {
        let key = if section.is_empty() { name.clone() } else { format!("{section}.{name}") };
        let is_section =
            KEYS.iter().any(|known| known.name.strip_prefix(&key).is_some_and(|rest| rest.starts_with('.')));
        match value {
            value if KEYS.iter().any(|known| known.name == key) => {
                if !value.as_str().is_some_and(is_blank) {
                    checked.insert(name, value);
                }
            }
            Value::Dict(tag, inner) if is_section => {
                checked.insert(name, Value::Dict(tag, check(inner, &key, path, wrong)));
            }
            _ if is_section => wrong.push(
                Failure::new(Cause::Configuration, format!("{key} in {path} is a section, and not a value"))
                    .hint(format!("write [{key}] on a line of its own, and its settings below it")),
            ),
            _ => {
                let hint = match names::nearest(&key, KEYS.iter().map(|key| key.name)) {
                    Some(near) => format!("did you mean {near}? All settings: supervisor config"),
                    None => "all settings: supervisor config".to_owned(),
                };
                let message = format!("there is no setting {key} (in {path})");
                wrong.push(Failure::new(Cause::Configuration, message).hint(hint));
            }
        }
    }
    checked
}
