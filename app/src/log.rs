//! What does the operator read while the app runs?
//!
//! Lines on standard error: `[App] Serving on http://127.0.0.1:3000`, or the same as JSON.

use std::{fmt, io, time::SystemTime};

use tracing::{Event, Level, Subscriber, field::Field};
use tracing_subscriber::{
    filter::{LevelFilter, Targets},
    fmt::{FmtContext, FormatEvent, FormatFields, format::Writer},
    layer::SubscriberExt,
    registry::LookupSpan,
    util::SubscriberInitExt,
};

use crate::config::{self, LogFormat, LogLevel};

/// What is said at every level: what the operator cannot do without.
pub(crate) const ALWAYS: &str = "app_always";

/// Starts the log; panics go to it as well.
pub(crate) fn start(config: config::Log) {
    let level = match config.level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    // The libraries' own words are for `trace` only, but for errors: at lower levels the app says what matters.
    let libraries = match config.level {
        LogLevel::Trace => LevelFilter::TRACE,
        _ => LevelFilter::ERROR.min(level),
    };
    let filter =
        Targets::new().with_default(libraries).with_target("app", level).with_target(ALWAYS, LevelFilter::INFO);
    // A closed standard error must not end the app: an internal error would be printed with eprintln!.
    match config.format {
        LogFormat::Text => tracing_subscriber::registry()
            .with(filter)
            .with(
                tracing_subscriber::fmt::layer()
                    .event_format(Text { timestamps: config.timestamps })
                    .with_writer(io::stderr)
                    .log_internal_errors(false),
            )
            .init(),
        LogFormat::Json => tracing_subscriber::registry()
            .with(filter)
            .with(
                tracing_subscriber::fmt::layer()
                    .json()
                    .flatten_event(true)
                    .with_current_span(false)
                    .with_span_list(false)
                    .with_writer(io::stderr)
                    .log_internal_errors(false),
            )
            .init(),
    }
    std::panic::set_hook(Box::new(|panic| {
        tracing::error!("This is a bug in Hearth: {panic}");
    }));
}

/// `[App] message key=value`, with the time before it where nobody else adds that.
struct Text {
    timestamps: bool,
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = match *event.metadata().level() {
            Level::ERROR => "error: ",
            Level::WARN => "warning: ",
            _ => "",
        };
        if self.timestamps {
            write!(writer, "{} ", humantime::format_rfc3339_millis(SystemTime::now()))?;
        }
        writeln!(writer, "[App] {level}{}{}", fields.message, fields.rest)
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    rest: String,
}

impl tracing::field::Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        use fmt::Write;
        // Writing to a String cannot fail.
        let _ = match field.name() {
            "message" => write!(self.message, "{value:?}"),
            name => write!(self.rest, " {name}={value:?}"),
        };
    }
}
