//! How does the log reach the operator's eyes?
//!
//! On standard error, a line an event: `[Migrate] Applying: m0002_accounts`, with the time before it where nobody else adds that
//! ([`has_timestamps`]). The tag is the event's target where that is a name for people (`Supervisor`, `Migrate`, `Backup`,
//! `Update`, `App`); events from anywhere in the code are the `Supervisor`'s. With `log.format = "json"` the same events are
//! JSON lines, with a timestamp.
//!
//! This is a subscriber of its own, without tracing-subscriber's registry and formatter: Hearth has no spans, and
//! PID 1's memory is nearly all program text. What takes the lines (`output`) never waits for their reader.

mod output;

use std::{
    ffi::OsStr,
    fmt::{self, Write},
    os::fd::AsFd,
    sync::{Mutex, PoisonError},
    time::SystemTime,
};

use nix::sys::stat::fstat;

use output::Output;
use serde::Serialize;
use tracing::{
    Event, Level, Metadata, Subscriber,
    field::{Field, Visit},
    level_filters::LevelFilter,
    span,
    subscriber::Interest,
};

use crate::{
    config::{Log, LogFormat, LogLevel, LogTimestamps},
    data::access::in_container,
};

/// The tags that people read; every other target is the supervisor's own code.
const TAGS: [&str; 5] = [SUPERVISOR, "Migrate", "App", "Backup", "Update"];
const SUPERVISOR: &str = "Supervisor";
/// The field that stands on a line of its own.
const HINT: &str = "hint";

/// Sends the events of this process to standard error. Once in a process; a second time changes nothing.
pub fn init(log: &Log) {
    let timestamps = has_timestamps(log.timestamps);
    let (level, output) = (filter(log.level), Mutex::new(Output::stderr()));
    let logger = Logger { format: log.format, timestamps, level, output };
    // It fails only when there is one already.
    let _ = tracing::subscriber::set_global_default(logger);
}

/// Whether each line for people begins with the time. Systemd's journal has a time for each line and shows it; a container's engine
/// has one too and shows it when asked to (`logs -t`), as do the pages of a NAS. There a second one would only stand beside it.
pub fn has_timestamps(wanted: LogTimestamps) -> bool {
    match wanted {
        LogTimestamps::Always => true,
        LogTimestamps::Never => false,
        LogTimestamps::Auto => {
            let journal = std::env::var_os("JOURNAL_STREAM");
            !in_container() && !journal.is_some_and(|journal| is_journal(&journal, std::io::stderr()))
        }
    }
}

/// Whether this descriptor is the one that `JOURNAL_STREAM` names by device and inode: systemd.exec(5). What systemd started may have
/// been given another one since.
fn is_journal(journal: &OsStr, descriptor: impl AsFd) -> bool {
    fstat(descriptor).is_ok_and(|stat| *journal == *format!("{}:{}", stat.st_dev, stat.st_ino))
}

fn filter(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}

/// Whether these are Hearth's own events; all others are of libraries, which are shown only when they warn.
fn is_own(target: &str) -> bool {
    let inside = target.strip_prefix(env!("CARGO_CRATE_NAME"));
    TAGS.contains(&target) || inside.is_some_and(|path| path.is_empty() || path.starts_with("::"))
}

struct Logger {
    format: LogFormat,
    /// Whether lines for people begin with the time.
    timestamps: bool,
    /// The least important that is shown.
    level: LevelFilter,
    output: Mutex<Output>,
}

impl Subscriber for Logger {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.enabled(metadata) { Interest::always() } else { Interest::never() }
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(self.level)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        let shown = if is_own(metadata.target()) { self.level } else { self.level.min(LevelFilter::WARN) };
        metadata.is_event() && *metadata.level() <= shown
    }

    fn event(&self, event: &Event<'_>) {
        let line = match self.format {
            LogFormat::Text => self.time() + &text(event),
            LogFormat::Json => {
                let mut line = Json::begin(*event.metadata().level(), tag(event.metadata().target()));
                event.record(&mut line);
                line.end()
            }
        };
        let mut output = self.output.lock().unwrap_or_else(PoisonError::into_inner);
        output.write(&line, |dropped| match self.format {
            LogFormat::Text => self.time() + &dropped_line(self.format, dropped),
            LogFormat::Json => dropped_line(self.format, dropped),
        });
    }

    // No span is ever enabled.
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

impl Logger {
    fn time(&self) -> String {
        if self.timestamps {
            format!("{} ", humantime::format_rfc3339_millis(SystemTime::now()))
        } else {
            String::new()
        }
    }
}

fn tag(target: &str) -> &str {
    if TAGS.contains(&target) { target } else { SUPERVISOR }
}

/// Returns the line, or two with a hint, for people.
fn text(event: &Event<'_>) -> String {
    let mut fields = Text::default();
    event.record(&mut fields);
    let severity = match *event.metadata().level() {
        Level::ERROR => "error: ",
        Level::WARN => "warning: ",
        _ => "",
    };
    let hint = fields.hint.map(|hint| format!("hint: {hint}\n")).unwrap_or_default();
    format!("[{}] {severity}{}{}\n{hint}", tag(event.metadata().target()), fields.message, fields.others)
}

/// Returns the line that says how many lines nobody read.
fn dropped_line(format: LogFormat, dropped: u64) -> String {
    let message = format!("{dropped} lines of this log were dropped, since nobody read them");
    match format {
        LogFormat::Text => format!("[{SUPERVISOR}] warning: {message}\n"),
        LogFormat::Json => {
            let mut line = Json::begin(Level::WARN, SUPERVISOR);
            line.add("message", &message);
            line.end()
        }
    }
}

/// The fields of an event as text, control characters escaped.
#[derive(Default)]
struct Text {
    message: String,
    others: String,
    hint: Option<String>,
}

impl Text {
    fn add(&mut self, field: &Field, value: &str) {
        match field.name() {
            "message" => escape(&mut self.message, value),
            HINT => escape(self.hint.get_or_insert_default(), value),
            name => {
                let quote = if value.is_empty() || value.contains([' ', '"', '=']) { "\"" } else { "" };
                let _ = write!(self.others, " {name}={quote}");
                escape(&mut self.others, &if quote.is_empty() { value.to_owned() } else { value.replace('"', "\\\"") });
                self.others.push_str(quote);
            }
        }
    }
}

impl Visit for Text {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, &format!("{value:?}"));
    }
}

/// Appends text so that it can neither end the line nor steer a terminal nor turn the order of what is read: what an
/// app says of itself comes from outside.
fn escape(line: &mut String, text: &str) {
    for letter in text.chars() {
        let turns = matches!(letter, '\u{2028}' | '\u{2029}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if letter.is_control() || turns {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
    }
}

/// A JSON object that is being written, its members in the order in which they come.
struct Json(String);

impl Json {
    fn begin(level: Level, target: &str) -> Self {
        let level = level.as_str().to_ascii_lowercase();
        let timestamp = humantime::format_rfc3339_millis(SystemTime::now());
        Self(format!(r#"{{"timestamp":"{timestamp}","level":"{level}","target":"{target}""#))
    }

    fn add<T: Serialize>(&mut self, name: &str, value: T) {
        if let (Ok(name), Ok(value)) = (serde_json::to_string(name), serde_json::to_string(&value)) {
            let _ = write!(self.0, ",{name}:{value}");
        }
    }

    fn end(mut self) -> String {
        self.0.push_str("}\n");
        self.0
    }
}

impl Visit for Json {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field.name(), value);
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field.name(), value);
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.add(field.name(), value);
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field.name(), value);
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field.name(), value);
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field.name(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, io::Read};

    use tracing::{debug, error, info, warn};

    use super::*;

    /// Returns what the events that `act` makes look like.
    fn logged(format: LogFormat, level: LogLevel, act: impl FnOnce()) -> String {
        logged_at(false, format, level, act)
    }

    fn logged_at(timestamps: bool, format: LogFormat, level: LogLevel, act: impl FnOnce()) -> String {
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let logger = Logger { format, timestamps, level: filter(level), output: Mutex::new(Output::to(writer)) };
        tracing::subscriber::with_default(logger, act);
        let mut lines = String::new();
        File::from(reader).read_to_string(&mut lines).unwrap();
        lines
    }

    #[test]
    fn severity_fields_and_hint_are_shown() {
        let lines = logged(LogFormat::Text, LogLevel::Debug, || {
            info!(target: "Migrate", "Applying: {}", "m0002_accounts");
            warn!("the clock is behind");
            error!(target: "App", hint = "start v0.6.0", "the database is newer");
            debug!(phase = "held", why = "no \"space\"", count = 3, ?SUPERVISOR, "entering");
        });
        assert_eq!(
            lines,
            "[Migrate] Applying: m0002_accounts\n\
             [Supervisor] warning: the clock is behind\n\
             [App] error: the database is newer\nhint: start v0.6.0\n\
             [Supervisor] entering phase=held why=\"no \\\"space\\\"\" count=3 SUPERVISOR=\"\\\"Supervisor\\\"\"\n"
        );
    }

    #[test]
    fn a_line_begins_with_the_time_where_nobody_else_adds_it() {
        let lines = logged_at(true, LogFormat::Text, LogLevel::Info, || error!(hint = "mount it", "it is away"));
        let (time, rest) = lines.split_once(' ').unwrap();
        assert_eq!(time.len(), "2026-11-24T22:30:00.000Z".len());
        assert!(humantime::parse_rfc3339(time).is_ok(), "{lines}");
        assert_eq!(rest, "[Supervisor] error: it is away\nhint: mount it\n");
        let (reader, writer) = nix::unistd::pipe().unwrap();
        let stat = fstat(&writer).unwrap();
        assert!(is_journal(format!("{}:{}", stat.st_dev, stat.st_ino).as_ref(), &reader), "a pipe is one file");
        for other in ["", "0:0", &format!("{}:{}0", stat.st_dev, stat.st_ino), &format!("{}", stat.st_ino)] {
            assert!(!is_journal(other.as_ref(), &writer), "{other}");
        }
    }

    #[test]
    fn only_what_is_important_enough_is_shown() {
        let lines = logged(LogFormat::Text, LogLevel::Warn, || {
            info!("not this");
            warn!("this");
            info!(target: "hyper::proto", "nor this");
        });
        assert_eq!(lines, "[Supervisor] warning: this\n");
        let lines =
            logged(LogFormat::Text, LogLevel::Trace, || info!(target: "hyper::proto", "libraries only when they warn"));
        assert_eq!(lines, "");
        let lines = logged(LogFormat::Text, LogLevel::Trace, || {
            debug!("this");
            debug!(target: "supervisory", "not this");
            warn!(target: "hyper::proto", "and this");
        });
        assert_eq!(lines, "[Supervisor] this\n[Supervisor] warning: and this\n");
    }

    #[test]
    fn what_comes_from_outside_cannot_forge_lines_or_steer_a_terminal() {
        let lines = logged(LogFormat::Text, LogLevel::Info, || {
            info!("says: {}", "fine\n[Supervisor] held\x1b[2J\u{9b}\u{202e}é");
        });
        assert_eq!(lines, "[Supervisor] says: fine\\n[Supervisor] held\\u{1b}[2J\\u{9b}\\u{202e}é\n");
    }

    #[test]
    fn json_lines_hold_the_same() {
        let lines = logged(LogFormat::Json, LogLevel::Info, || {
            warn!(target: "Migrate", hint = "a\n\"b\"", count = 3, done = true, "Applying: {}", "m0002");
        });
        let line: serde_json::Value = serde_json::from_str(&lines).unwrap();
        assert!(humantime::parse_rfc3339(line["timestamp"].as_str().unwrap()).is_ok());
        let (_, rest) = lines.split_once(",\"level\"").unwrap();
        assert_eq!(
            rest,
            ":\"warn\",\"target\":\"Migrate\",\"message\":\"Applying: m0002\",\"hint\":\"a\\n\\\"b\\\"\",\"count\":3,\"done\":true}\n"
        );
    }
}
