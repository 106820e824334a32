//! When do the clocks of the time zone of `TZ` change?

use jiff::{SignedDuration, Timestamp};

use super::backup::schedule::zone;
use crate::{
    data::backup::printable,
    status::{Change, TimeZone},
};

/// How far back what is shown to people lies: events of accounts are kept for less.
const BACK: SignedDuration = SignedDuration::from_hours(5 * 366 * 24);
/// How long a supervisor runs without a start.
const AHEAD: SignedDuration = SignedDuration::from_hours(3 * 366 * 24);
/// No zone has more: Morocco's clocks change four times a year.
const MOST: usize = 64;

/// Returns the zone, with its changes in these years.
pub(super) fn time_zone() -> TimeZone {
    let (zone, _) = zone();
    let now = Timestamp::now();
    let from = now.checked_sub(BACK).unwrap_or(Timestamp::UNIX_EPOCH);
    let to = now.checked_add(AHEAD).unwrap_or(now);
    let info = zone.to_offset_info(from);
    let first =
        Change { from: from.as_second(), offset: info.offset().seconds().into(), name: printable(info.abbreviation()) };
    let later = zone.following(from).take_while(|change| change.timestamp() <= to).take(MOST).map(|change| Change {
        from: change.timestamp().as_second(),
        offset: change.offset().seconds().into(),
        name: printable(change.abbreviation()),
    });
    let name = zone.iana_name().map_or_else(|| first.name.clone(), printable);
    TimeZone { name, changes: std::iter::once(first).chain(later).collect() }
}
