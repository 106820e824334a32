//! Which words may a setting be that is a choice of a few, and what does each mean?
//!
//! The parser reads by these lists, messages name them, and `app contract` tells them to the supervisor.

use super::{LogFormat, LogLevel};

/// The words of a setting, and what each means.
pub(super) type Choice<T, const N: usize> = [(&'static str, T); N];

/// What becomes of somebody whom Hearth does not know yet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Join {
    #[default]
    Refuse,
    Guest,
    Member,
}

/// How Tailscale says who somebody is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum TailscaleMode {
    #[default]
    Off,
    Serve,
    Localapi,
}

pub(super) const LOG_FORMAT: Choice<LogFormat, 2> = [("text", LogFormat::Text), ("json", LogFormat::Json)];

pub(super) const LOG_LEVEL: Choice<LogLevel, 5> = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];

/// Whether lines for people begin with the time.
pub(super) const LOG_TIMESTAMPS: Choice<bool, 3> = [("auto", false), ("always", true), ("never", false)];

pub(super) const TAILSCALE: Choice<TailscaleMode, 3> =
    [("off", TailscaleMode::Off), ("serve", TailscaleMode::Serve), ("localapi", TailscaleMode::Localapi)];

pub(super) const JOIN: Choice<Join, 3> = [("refuse", Join::Refuse), ("guest", Join::Guest), ("member", Join::Member)];

/// Returns the words alone.
pub(super) const fn words<T, const N: usize>(choice: &Choice<T, N>) -> [&'static str; N] {
    let (mut words, mut index) = ([""; N], 0);
    while index < N {
        words[index] = choice[index].0;
        index += 1;
    }
    words
}
