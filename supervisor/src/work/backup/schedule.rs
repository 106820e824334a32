//! When is a scheduled backup due, and when is one overdue?
//!
//! A schedule is a cron expression in the household's time zone. What it means when the clock is put forward or back an
//! hour: a nightly time that there is not that night comes with the first moment there is after it, and one that there is
//! twice comes once. A schedule of every hour (`*` in the second field) goes by the hours that pass.
//!
//! [`plan`] says what follows from the schedule and from what was done so far:
//!
//! - A backup is **due** when a time of the schedule has passed since the last attempt. However many have passed while
//!   nothing could run, they are one backup, and the app has a minute to itself after a start.
//! - Each time is put off by a **jitter** of its own: up to `backup.jitter`, and never more than half the way to the next
//!   time. It follows from the instance and the time, so that it is the same however often it is asked for.
//! - An attempt without a verified backup is **tried again** when as long again has passed as the attempt was late, and an
//!   hour at least (after 1, 2, 4, 8 ... hours): soon for what passes by itself, seldom for what does not. The next time of
//!   the schedule is never missed for that.
//! - One is **overdue** when a time has passed since the last verified backup, its jitter, and an hour; or six hours, if it
//!   was at least begun, for a large one takes its time and a failed one is told anyway. Where the schedule's period is
//!   shorter than that, it is the period.
//! - A clock that was put back must neither stop the backups nor set off one after the other. What is written down of a
//!   time that is yet to come says nothing; what then counts is since when the supervisor runs.

use std::{ffi::OsStr, path::Path, time::Duration};

use cronexpr::{Crontab, FallbackTimezoneOption, MakeTimestamp, ParseOptions};
use jiff::{
    SignedDuration, Timestamp,
    civil::DateTime,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use crate::{
    config::cron::{self, ALLOWED},
    data::durable::read_small,
};

/// How long the app has to itself after a start, before a missed backup is made: it opens its database then, and
/// whatever upgraded the image has work of its own.
const SETTLE: SignedDuration = SignedDuration::from_mins(1);
/// How soon a failed backup is tried again at the earliest, and how late one may begin before it is overdue.
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// How long a backup that was begun may take, verification included, before it is overdue: 200 GB at 10 MB/s.
const LONGEST_RUN: SignedDuration = SignedDuration::from_hours(6);
/// How far back the clocks may just have been put, with room to spare: the largest jump of a zone so far was a day
/// (Samoa crossed the date line in 2011).
const LARGEST_JUMP: SignedDuration = SignedDuration::from_hours(26);
/// The longest file of a time zone that is read, in bytes; the longest of the IANA's has 4 KiB.
const LONGEST_ZONE: u64 = 64 << 10;
/// The times between which a schedule is followed; outside the clock is no clock, and arithmetic on dates may overflow.
const YEARS: std::ops::Range<i16> = 1900..9000;

/// When something is done by itself.
#[derive(Clone, Debug)]
pub struct Schedule(Option<Cron>);

#[derive(Clone, Debug)]
struct Cron {
    /// In UTC, for only the reading of the clock is matched; the zone is another's matter.
    fields: Crontab,
    /// Whether it comes each hour.
    hourly: bool,
}

impl Schedule {
    /// Reads `off`, or a cron expression of five fields: minute, hour, day of the month, month, day of the week. Allowed
    /// are numbers, names (`jan`, `mon`), `*`, lists (`1,15`), ranges (`1-5`) and steps (`*/2`), as in crontab(5).
    pub fn parse(text: &str) -> Result<Self, String> {
        let Some(fields) = cron::fields(text)? else { return Ok(Self(None)) };
        let mut options = ParseOptions::default();
        options.fallback_timezone_option = FallbackTimezoneOption::UTC;
        let cron = cronexpr::parse_crontab_with(&fields.join(" "), options)
            .map_err(|_| format!("{:?} cannot be read; {ALLOWED}", text.trim()))?;
        // From here the next four years have a 29 February.
        if cron.find_next(MakeTimestamp(Timestamp::UNIX_EPOCH)).is_err() {
            return Err(format!("{:?} never comes: there is no such day; {ALLOWED}", text.trim()));
        }
        Ok(Self(Some(Cron { fields: cron, hourly: fields[1] == "*" })))
    }

    /// Whether nothing is ever done by itself.
    pub fn is_off(&self) -> bool {
        self.0.is_none()
    }

    /// Returns the first time of the schedule after this one, or `None` if it is off, or none comes within four years.
    pub fn next_after(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let cron = self.0.as_ref()?;
        if !YEARS.contains(&zone.to_datetime(after).year()) {
            return None;
        }
        if cron.hourly { cron.next_passing(after, zone) } else { cron.next_reading(after, zone) }
    }
}

impl Cron {
    /// Returns the next reading of a clock that matches.
    fn next(&self, after: DateTime) -> Option<DateTime> {
        let after = Offset::UTC.to_timestamp(after).ok()?;
        Some(self.fields.find_next(MakeTimestamp(after)).ok()?.datetime())
    }

    /// Each reading of the clock comes once: the first of two, and for one that there is not, the moment after the gap.
    fn next_reading(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut reading = zone.to_datetime(after);
        // What the clock shows now it may have shown before, and what comes in place of a gap may have a reading from
        // before the gap's end.
        let before = after.checked_sub(LARGEST_JUMP).ok()?;
        if zone.to_offset(before) != zone.to_offset(after) {
            reading = zone.to_datetime(before).min(reading);
        }
        loop {
            reading = self.next(reading)?;
            let at = first_moment(reading, zone)?;
            if at > after {
                return Some(at);
            }
        }
    }

    /// The clock is matched as it runs, with the hour that comes twice and without the one that does not come.
    fn next_passing(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut after = after;
        // Stretches without a change of the clock, one after the other; a zone has two in a year, and four in one with a
        // month of fasting.
        for _ in 0..100 {
            let offset = zone.to_offset(after);
            let next = offset.to_timestamp(self.next(offset.to_datetime(after))?).ok()?;
            match zone.following(after).next() {
                // The change itself may be a time of the schedule.
                Some(change) if change.timestamp() <= next => {
                    let at = change.timestamp();
                    let new = change.offset();
                    let before = new.to_datetime(at).checked_sub(SignedDuration::from_nanos(1)).ok()?;
                    if self.next(before)? == new.to_datetime(at) {
                        return Some(at);
                    }
                    after = at;
                }
                _ => return Some(next),
            }
        }
        None
    }
}

/// Returns the moment at which the clock first shows this, or passes over it.
fn first_moment(reading: DateTime, zone: &TimeZone) -> Option<Timestamp> {
    let ambiguous = zone.to_ambiguous_timestamp(reading);
    match ambiguous.offset() {
        AmbiguousOffset::Unambiguous { offset } => offset.to_timestamp(reading).ok(),
        AmbiguousOffset::Fold { before, .. } => before.to_timestamp(reading).ok(),
        AmbiguousOffset::Gap { before, .. } => {
            let within = before.to_timestamp(reading).ok()?;
            let change = zone.preceding(within.checked_add(SignedDuration::from_nanos(1)).ok()?).next();
            Some(change.map_or(within, |change| change.timestamp()))
        }
    }
}

/// What was done so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Past {
    /// Since when backups are made by schedule here.
    pub since: Timestamp,
    /// When the newest verified backup was begun, for whatever reason it was made.
    pub last_success: Option<Timestamp>,
    /// When a scheduled backup was last begun.
    pub last_attempt: Option<Timestamp>,
    /// When a backup was last drilled with success.
    pub last_drill: Option<Timestamp>,
}

/// What follows from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// When the next scheduled backup begins; not later than now if it is due. `None`: never.
    pub next_at: Option<Timestamp>,
    /// Whether it is due now.
    pub due: bool,
    /// Whether the next one is also to be booted from.
    pub drill: bool,
    /// Since when one is overdue: the time of the schedule for which there is no backup.
    pub overdue_since: Option<Timestamp>,
}

/// Says what is to be done now. `salt` is the instance's own, so that each has its own jitter; `running_since` is by the
/// clock of now.
#[expect(
    clippy::too_many_arguments,
    reason = "it has no state of its own, so that all can be said in a table of tests"
)]
pub fn plan(
    schedule: &Schedule,
    drill: &Schedule,
    jitter: Duration,
    salt: u64,
    past: &Past,
    running_since: Timestamp,
    now: Timestamp,
    zone: &TimeZone,
) -> Plan {
    let off = Plan { next_at: None, due: false, drill: false, overdue_since: None };
    let jittered = |at: Timestamp| at.saturating_add(jitter_of(at, schedule, jitter, salt, zone)).unwrap_or(at);
    // Without any time that can be counted from, it begins at once.
    let running = Some(running_since).filter(|at| *at <= now);
    let counted = |at: Timestamp| if at <= now { Some(at) } else { running };
    let base = counted(past.last_attempt.unwrap_or(past.since));
    let regular = match base {
        Some(base) => match schedule.next_after(base, zone) {
            Some(at) => jittered(at),
            None => return off,
        },
        None if schedule.is_off() => return off,
        None => now,
    };
    let next = regular.min(retry(schedule, past, now, zone).unwrap_or(regular));
    let next = checkpointed(running).map_or(next, |checkpointed| checkpointed.max(next));
    let drill = match counted(past.last_drill.unwrap_or(past.since)) {
        Some(base) => drill.next_after(base, zone).is_some_and(|at| at <= now.max(next)),
        None => !drill.is_off(),
    };
    Plan {
        next_at: Some(next),
        due: next <= now,
        drill,
        overdue_since: overdue(schedule, past, running, now, zone, jittered),
    }
}

/// Returns until when the app has to itself what it started with.
fn checkpointed(running: Option<Timestamp>) -> Option<Timestamp> {
    running?.checked_add(SETTLE).ok()
}

/// Returns when an attempt that failed is made again. One that still runs looks like it; but then another is not begun.
fn retry(schedule: &Schedule, past: &Past, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    let attempt = past.last_attempt.filter(|at| *at <= now)?;
    if past.last_success.is_some_and(|at| at >= attempt) {
        return None;
    }
    // Late by the last time before it: each day has its first try, and those that follow are ever further apart.
    let since = past.last_success.unwrap_or(past.since).min(attempt);
    let late =
        last_between(schedule, since, attempt, zone).map_or(SignedDuration::ZERO, |at| attempt.duration_since(at));
    attempt.checked_add(late.max(HOUR)).ok()
}

/// Returns the last time of the schedule after `from` and not after `to`.
fn last_between(schedule: &Schedule, from: Timestamp, to: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
    // The reach is doubled until something is in it, so that a short period is not walked through for years.
    let mut reach = SignedDuration::from_mins(2);
    let first = loop {
        let start = to.checked_sub(reach).unwrap_or(from).max(from);
        match schedule.next_after(start, zone).filter(|at| *at <= to) {
            Some(first) => break first,
            None if start <= from => return None,
            None => reach = reach.saturating_mul(2),
        }
    };
    let mut last = first;
    while let Some(next) = schedule.next_after(last, zone).filter(|at| *at <= to) {
        last = next;
    }
    Some(last)
}

/// Returns the time of the schedule for which there ought to be a backup by now, and is none.
fn overdue(
    schedule: &Schedule,
    past: &Past,
    running: Option<Timestamp>,
    now: Timestamp,
    zone: &TimeZone,
    jittered: impl Fn(Timestamp) -> Timestamp,
) -> Option<Timestamp> {
    let last = past.last_success.unwrap_or(past.since);
    let base = if last <= now { last } else { running? };
    let since = schedule.next_after(base, zone)?;
    let period = schedule.next_after(since, zone).map_or(LONGEST_RUN, |next| next.duration_since(since));
    let begun = past.last_attempt.is_some_and(|at| at >= since && at <= now);
    let patience = if begun { LONGEST_RUN } else { HOUR };
    // After downtime, the backup that makes up for it is waited for.
    let start = checkpointed(running).map_or(jittered(since), |checkpointed| checkpointed.max(jittered(since)));
    let deadline = start.checked_add(patience.min(period)).ok()?;
    (deadline < now).then_some(since)
}

/// Returns by how much this time of the schedule is put off, in whole seconds.
fn jitter_of(at: Timestamp, schedule: &Schedule, most: Duration, salt: u64, zone: &TimeZone) -> SignedDuration {
    let period = schedule.next_after(at, zone).map_or(SignedDuration::MAX, |next| next.duration_since(at));
    let most = SignedDuration::try_from(most).unwrap_or(SignedDuration::MAX).min(period / 2).as_secs();
    let Ok(most @ 1..) = u64::try_from(most) else { return SignedDuration::ZERO };
    let mut hash = blake3::Hasher::new();
    hash.update(&salt.to_le_bytes()).update(&at.as_second().to_le_bytes());
    let mut first = [0; 8];
    hash.finalize_xof().fill(&mut first);
    SignedDuration::from_secs((u64::from_le_bytes(first) % (most + 1)).cast_signed())
}

/// Returns the household's time zone: that of `TZ`, else that of the system, else UTC; and a sentence for the log if `TZ`
/// names none.
pub fn zone() -> (TimeZone, Option<String>) {
    zone_of(std::env::var_os("TZ").as_deref())
}

fn zone_of(tz: Option<&OsStr>) -> (TimeZone, Option<String>) {
    match tz {
        None => (TimeZone::try_system().unwrap_or(TimeZone::UTC), None),
        Some(name) if name.is_empty() => (TimeZone::UTC, None),
        Some(name) => match named(name) {
            Some(zone) => (zone, None),
            None => {
                let name = name.to_string_lossy();
                let sentence = format!(
                    "TZ names no time zone ({name}), so the schedule and the days are those of UTC; it must be a name such as Europe/Berlin"
                );
                (TimeZone::UTC, Some(sentence))
            }
        },
    }
}

/// As the C library reads it: a name, which may be the end of a path, a rule (`CET-1CEST,M3.5.0,M10.5.0/3`), or a file.
fn named(name: &OsStr) -> Option<TimeZone> {
    let name = name.to_str()?;
    let name = name.strip_prefix(':').unwrap_or(name);
    let short = name.rsplit_once("zoneinfo/").map_or(name, |(_, short)| short);
    if let Ok(zone) = TimeZone::get(short).or_else(|_| TimeZone::posix(name)) {
        return Some(zone);
    }
    // The operator's own path, which may be a link (/etc/localtime).
    let path = Path::new(name).is_absolute().then(|| Path::new(name).canonicalize().ok()).flatten()?;
    TimeZone::tzif(name, &read_small(&path, LONGEST_ZONE).ok()?).ok()
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
