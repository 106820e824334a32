//! Which time do the household's clocks show?
//!
//! The supervisor knows the time zone of `TZ`, and when its clocks change these years; it says so when it asks how the app is. Until then,
//! and without a supervisor, times are shown in UTC. The API and the database always have UTC.

use std::sync::{PoisonError, RwLock};

use serde::Deserialize;
use time::{Duration, OffsetDateTime};

/// The longest document that is taken, in bytes.
const LONGEST: usize = 8 << 10;
/// No clocks are further away from UTC, in seconds.
const FURTHEST: i64 = 26 * 60 * 60;

/// The zone of this process.
static ZONE: RwLock<Option<TimeZone>> = RwLock::new(None);

/// A time zone, as docs/contracts/time-zone.json describes it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct TimeZone {
    name: String,
    changes: Vec<Change>,
}

/// From when on the clocks are so far ahead of UTC.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
struct Change {
    from: i64,
    offset: i64,
    name: String,
}

impl TimeZone {
    /// Reads the supervisor's document; one that cannot be is none.
    pub(crate) fn read(document: &[u8]) -> Option<Self> {
        let zone: Self = serde_json::from_slice(document.get(..LONGEST.min(document.len()))?).ok()?;
        let fits = |change: &Change| change.offset.abs() <= FURTHEST;
        (!zone.changes.is_empty() && zone.changes.iter().all(fits)).then_some(zone)
    }

    /// Shows times in this zone from here on; `None`: in UTC.
    pub(crate) fn remember(zone: Option<Self>) {
        let known = ZONE.read().unwrap_or_else(PoisonError::into_inner);
        if *known != zone {
            drop(known);
            *ZONE.write().unwrap_or_else(PoisonError::into_inner) = zone;
        }
    }

    /// Returns the name of the zone that times are shown in.
    pub(crate) fn name() -> String {
        let zone = ZONE.read().unwrap_or_else(PoisonError::into_inner);
        zone.as_ref().map_or_else(|| "UTC".to_owned(), |zone| zone.name.clone())
    }

    /// Returns what the clocks show at a moment, and what that time is called.
    pub(super) fn of_process(at: OffsetDateTime) -> (OffsetDateTime, String) {
        let zone = ZONE.read().unwrap_or_else(PoisonError::into_inner);
        zone.as_ref().and_then(|zone| zone.clocks(at)).unwrap_or_else(|| (at, "UTC".to_owned()))
    }

    fn clocks(&self, at: OffsetDateTime) -> Option<(OffsetDateTime, String)> {
        let is_before = |change: &&Change| change.from <= at.unix_timestamp();
        let change = self.changes.iter().rev().find(is_before).or(self.changes.first())?;
        Some((at.checked_add(Duration::seconds(change.offset))?, change.name.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datetime::Timestamp;

    #[test]
    fn the_clocks_are_those_of_the_contracts_zone() {
        let zone = TimeZone::read(include_bytes!("../../../docs/contracts/time-zone.json")).unwrap();
        for (at, clocks) in [
            ("2026-11-24T23:30:00Z", "2026-11-25T00:30:00.000Z CET"),
            ("2026-10-25T00:59:59Z", "2026-10-25T02:59:59.000Z CEST"),
            ("2026-10-25T01:00:00Z", "2026-10-25T02:00:00.000Z CET"),
            ("1999-01-01T00:00:00Z", "1999-01-01T01:00:00.000Z CET"),
        ] {
            let (shown, name) = zone.clocks(at.parse::<Timestamp>().unwrap().0).unwrap();
            assert_eq!(format!("{} {name}", Timestamp(shown)), clocks, "{at}");
        }
        for wrong in [
            "",
            "{}",
            r#"{"name":"x","changes":[]}"#,
            r#"{"name":"x","changes":[{"from":0,"offset":99999999,"name":"x"}]}"#,
        ] {
            assert_eq!(TimeZone::read(wrong.as_bytes()), None, "{wrong}");
        }
        let late = "9999-12-31T23:59:59Z".parse::<Timestamp>().unwrap();
        assert_eq!(zone.clocks(late.0), None, "no year has five digits");
    }
}
