//! Which time do the household's clocks show?
//!
//! PID 1 and the app know no time zones: their data alone would be a tenth of PID 1. A job reads the zone of `TZ` at each start and says
//! when its clocks change, some years back and ahead. What is written down and what programs read stays in UTC.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

/// The length of a moment in whole seconds, `2026-11-24T22:30:00Z`.
const MOMENT: usize = 20;

/// A time zone, as far as it is needed to show moments of these years.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeZone {
    /// `Europe/Berlin`; empty as long as none is known.
    pub name: String,
    /// How far the clocks are ahead of UTC, in the order in time. Before the first, the first counts.
    pub changes: Vec<Change>,
}

/// From when on the clocks are so far ahead of UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// In seconds since 1970.
    pub from: i64,
    /// In seconds.
    pub offset: i64,
    /// What people call it: `CET`.
    pub name: String,
}

impl TimeZone {
    /// Returns a text with each moment in it, which is in UTC, as the clocks show it: `2026-11-24 23:30:00 CET`.
    pub fn localized(&self, text: &str) -> String {
        let mut shown = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(year) = rest.find(|letter: char| letter.is_ascii_digit()) {
            let (before, from) = rest.split_at(year);
            shown.push_str(before);
            let moment = from.get(..MOMENT).and_then(|moment| self.local(moment));
            let end = match &moment {
                Some(_) => MOMENT,
                // Past the whole number: its end may look like a year.
                None => from.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(from.len()),
            };
            shown.push_str(moment.as_deref().unwrap_or(&from[..end]));
            rest = &from[end..];
        }
        shown + rest
    }

    /// Returns what the clocks show at a moment; `None` if the text is none, or no zone is known.
    fn local(&self, moment: &str) -> Option<String> {
        let at = humantime::parse_rfc3339(moment).ok()?.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs();
        let at = i64::try_from(at).ok()?;
        let change = self.changes.iter().rev().find(|change| change.from <= at).or(self.changes.first())?;
        let clocks = u64::try_from(at.checked_add(change.offset)?).ok()?;
        let clocks = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(clocks))?;
        let clocks = humantime::format_rfc3339_seconds(clocks).to_string();
        Some(format!("{} {} {}", clocks.get(..10)?, clocks.get(11..19)?, change.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_is_the_contracts() {
        let golden = include_str!("../../../docs/contracts/time-zone.json").trim();
        let zone: TimeZone = serde_json::from_str(golden).unwrap();
        assert_eq!(serde_json::to_string(&zone).unwrap(), golden);
        assert_eq!(zone.localized("2026-10-25T00:30:00Z"), "2026-10-25 02:30:00 CEST");
    }

    #[test]
    fn moments_in_a_text_are_shown_as_the_clocks_show_them() {
        let change = |from: &str, hours: i64, name: &str| Change {
            from: humantime::parse_rfc3339(from).unwrap().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs()
                as i64,
            offset: hours * 3600,
            name: name.into(),
        };
        let changes = vec![change("2026-03-29T01:00:00Z", 2, "CEST"), change("2026-10-25T01:00:00Z", 1, "CET")];
        let berlin = TimeZone { name: "Europe/Berlin".into(), changes };
        for (text, shown) in [
            ("", ""),
            ("2026-11-24T23:30:00Z", "2026-11-25 00:30:00 CET"),
            ("serving since 2026-10-25T00:59:59Z.", "serving since 2026-10-25 02:59:59 CEST."),
            ("2026-10-25T01:00:00Z and 2020-01-01T00:00:00Z", "2026-10-25 02:00:00 CET and 2020-01-01 02:00:00 CEST"),
            ("2026-11-24T03-12-07Z-scheduled (17 B)", "2026-11-24T03-12-07Z-scheduled (17 B)"),
            ("22026-11-24T23:30:00Z, é2026-11-24T23:3é", "22026-11-24T23:30:00Z, é2026-11-24T23:3é"),
        ] {
            assert_eq!(berlin.localized(text), shown);
            assert_eq!(TimeZone::default().localized(text), text, "where no zone is known");
        }
        let west = TimeZone { name: "x".into(), changes: vec![change("2000-01-01T00:00:00Z", -5, "EST")] };
        assert_eq!(west.localized("2026-01-01T00:00:00Z"), "2025-12-31 19:00:00 EST");
    }
}
