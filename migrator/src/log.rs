//! What are people and programs told while an upgrade runs?
//!
//! Both are told the same [`Event`]s: programs as JSON documents on standard output, one a line
//! (docs/contracts/migrator-up.jsonl), people as lines of the log on standard error, in words
//! that are a contract too, since operators search for them.

use std::io::{self, Write};

use serde::Serialize;
use tracing::{Level, Subscriber, debug, info, warn};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use time::{OffsetDateTime, format_description::BorrowedFormatItem, macros::format_description};

use crate::config::{Format, Log, Timestamps};

/// The number in every document's `format`. A reader that finds another touches nothing.
pub(crate) const FORMAT: u32 = 1;

/// A step of an upgrade.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// The database is being looked at.
    Checking {
        /// Whose: the migrator's version.
        version: String,
    },
    /// This migration was applied before.
    Skipping {
        /// Its name.
        migration: String,
    },
    /// The upgrade goes on in spite of this, since the operator accepted it.
    Accepted {
        /// The sentence that was accepted.
        finding: String,
    },
    /// This migration begins.
    Applying {
        /// Its name.
        migration: String,
        /// Its place among those of this upgrade, from 1.
        number: usize,
        /// How many this upgrade has.
        of: usize,
    },
    /// This migration is so far in a long step.
    Progress {
        /// Its name.
        migration: String,
        /// The table that it goes through.
        table: String,
        /// The rows behind it.
        done: u64,
        /// All rows of the table.
        of: u64,
    },
    /// A step works that cannot tell how far it is.
    Working {
        /// The step, such as `applying m0002_accounts`.
        doing: String,
        /// For how long, in seconds.
        seconds: u64,
    },
    /// This migration is through. Nothing is committed yet.
    Applied {
        /// Its name.
        migration: String,
        /// Its place among those of this upgrade, from 1.
        number: usize,
        /// How many this upgrade has.
        of: usize,
        /// How long it took, in milliseconds.
        milliseconds: u64,
    },
    /// All is committed, and the database is closed.
    Complete {
        /// What was applied, in order; empty if nothing was pending.
        applied: Vec<String>,
        /// The fingerprint of the schema.
        schema: String,
    },
}

impl Event {
    /// Tells people, through the log.
    pub(crate) fn tell(&self) {
        match self {
            Event::Checking { .. } => info!("Checking database state..."),
            Event::Skipping { migration } => info!(migration, "Skipping: {migration}"),
            Event::Accepted { finding } => warn!("Accepted: {finding}"),
            Event::Applying { migration, number, of } => {
                info!(migration, number, of, "Applying: {migration}");
            }
            Event::Progress { migration, table, done, of } => {
                info!(migration, table, done, of, "{migration}: {done} of {of} rows of {table}");
            }
            // A sign of life for programs. People see that nothing else came.
            Event::Working { doing, seconds } => debug!(doing, seconds, "Still {doing}, for {seconds} s"),
            Event::Applied { migration, number, of, milliseconds } => {
                debug!(migration, number, of, milliseconds, "Applied: {migration} in {milliseconds} ms");
            }
            Event::Complete { applied, schema } => {
                info!(applied = applied.len(), schema, "All migrations complete!");
            }
        }
    }
}

/// Writes one document on a line of standard output.
///
/// # Errors
///
/// If nobody reads any more, or the disk it goes to is full.
pub(crate) fn print(document: &impl Serialize) -> io::Result<()> {
    #[derive(Serialize)]
    struct Document<'a, T> {
        format: u32,
        #[serde(flatten)]
        content: &'a T,
    }
    let mut line = serde_json::to_vec(&Document { format: FORMAT, content: document })?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// Starts the log on standard error. With `quiet` only warnings and errors go there.
pub(crate) fn start(log: Log, quiet: bool) {
    let level = if quiet { Level::WARN } else { log.level.into() };
    // What the libraries say of their inner life is for those who ask for every detail.
    let others = if level == Level::TRACE { Level::TRACE } else { Level::ERROR };
    let targets = Targets::new().with_default(others).with_target("migrator", level);
    let registry = tracing_subscriber::registry().with(targets);
    let layer = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    // That a log is running already (in a test that calls this twice) is no reason to stop.
    match log.format {
        Format::Text => registry
            .with(layer.event_format(Words { timestamps: log.timestamps == Timestamps::Always }))
            .try_init()
            .ok(),
        Format::Json => registry.with(layer.json().flatten_event(true)).try_init().ok(),
    };
}

/// The log contract's form: `[Migrate]` and the message, with the time before it where nobody else adds that.
struct Words {
    timestamps: bool,
}

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z ");

impl<S, N> FormatEvent<S, N> for Words
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &tracing::Event<'_>,
    ) -> std::fmt::Result {
        let mut message = Message(String::new());
        event.record(&mut message);
        if self.timestamps {
            writer.write_str(&OffsetDateTime::now_utc().format(TIME).map_err(|_| std::fmt::Error)?)?;
        }
        writeln!(writer, "[Migrate] {}", message.0)
    }
}

struct Message(String);

impl tracing::field::Visit for Message {
    fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
