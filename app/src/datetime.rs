//! How are days and moments written?
//!
//! Both as text whose order is the order in time, in the database as in the API: `2026-11-24` and
//! `2026-11-24T22:30:00.000Z`, always with milliseconds and in UTC. A moment that comes in may have any form of RFC 3339: its
//! own offset, any number of digits of a second or none, small letters, and a leap second. Not a blank in place of the T,
//! which the grammar (5.6) does not have: in an address it is what becomes of an offset's `+` that was not encoded.

mod zone;

use std::{fmt, str::FromStr};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use sea_orm::DeriveValueType;
use time::{
    Date, Duration, OffsetDateTime, UtcOffset,
    format_description::{BorrowedFormatItem, well_known::Rfc3339},
    macros::format_description,
};

pub(crate) use self::zone::TimeZone;

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A day of the calendar, without a time or zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
#[sea_orm(value_type = "String", column_type = "Text")]
pub(crate) struct Day(Date);

impl Day {
    /// Returns the day so many days later.
    pub(crate) fn after(self, days: i64) -> Self {
        Self(self.0.saturating_add(Duration::days(days)))
    }
}

/// A moment, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
#[sea_orm(value_type = "String", column_type = "Text")]
pub(crate) struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// Returns the current moment.
    pub(crate) fn now() -> Self {
        let now = OffsetDateTime::now_utc();
        Self(now.truncate_to_millisecond())
    }

    /// Returns the moment so much later.
    pub(crate) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }

    /// Returns the moment so much earlier.
    pub(crate) fn before(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(time))
    }

    /// Returns its day, in UTC.
    pub(crate) fn day(self) -> Day {
        Day(self.0.date())
    }

    /// Returns the seconds since 1970.
    pub(crate) fn unix(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Returns the day and the minute, as people's clocks show them.
    pub(crate) fn short(self) -> String {
        self.on_clocks().0
    }

    /// Returns the same with the name of that time: `2026-11-24 23:30 CET`.
    pub(crate) fn exact(self) -> String {
        let (clocks, name) = self.on_clocks();
        format!("{clocks} {name}")
    }

    fn on_clocks(self) -> (String, String) {
        let (clocks, name) = TimeZone::of_process(self.0);
        let text = Self(clocks).to_string();
        (format!("{} {}", &text[..10], &text[11..16]), name)
    }
}

/// Text that is no day or moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotATime {
    #[error("a day is written as 2026-11-24")]
    Day,
    #[error("a moment is written as 2026-11-24T22:30:00Z or 2026-11-24T23:30:00+01:00 (RFC 3339)")]
    Timestamp,
}

impl FromStr for Day {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        // The length keeps out signs, which `time` would take and whose order is not the text's.
        if text.len() != "2026-11-24".len() {
            return Err(NotATime::Day);
        }
        Date::parse(text, DAY).map(Self).map_err(|_| NotATime::Day)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(DAY).map_err(|_| fmt::Error)?)
    }
}

impl FromStr for Timestamp {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        // `time` would take any letter in place of the T, and more than ASCII digits nowhere.
        if !text.as_bytes().get(10).is_some_and(|letter| matches!(letter, b'T' | b't')) {
            return Err(NotATime::Timestamp);
        }
        let timestamp = OffsetDateTime::parse(&text.to_ascii_uppercase(), &Rfc3339).map_err(|_| NotATime::Timestamp)?;
        let timestamp = timestamp.checked_to_offset(UtcOffset::UTC).ok_or(NotATime::Timestamp)?;
        // In UTC it may be another year, and only four digits sort as text.
        let fits = (0..=9999).contains(&timestamp.year());
        fits.then(|| Self(timestamp.truncate_to_millisecond())).ok_or(NotATime::Timestamp)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.format(MOMENT).map_err(|_| fmt::Error)?)
    }
}

/// Makes a type that is text in the database one in the API, with its OpenAPI format.
macro_rules! text_in_the_api {
    ($type:ty, $format:literal) => {
        impl Type for $type {
            const IS_REQUIRED: bool = true;
            type RawValueType = Self;
            type RawElementValueType = Self;

            fn name() -> std::borrow::Cow<'static, str> {
                concat!("string_", $format).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", $format)))
            }

            fn as_raw_value(&self) -> Option<&Self> {
                Some(self)
            }

            fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
                Box::new(self.as_raw_value().into_iter())
            }
        }

        impl ParseFromJSON for $type {
            fn parse_from_json(value: Option<serde_json::Value>) -> ParseResult<Self> {
                match value.unwrap_or_default() {
                    serde_json::Value::String(text) => Ok(text.parse()?),
                    other => Err(ParseError::expected_type(other)),
                }
            }
        }

        impl ParseFromParameter for $type {
            fn parse_from_parameter(text: &str) -> ParseResult<Self> {
                Ok(text.parse()?)
            }
        }

        impl ToJSON for $type {
            fn to_json(&self) -> Option<serde_json::Value> {
                Some(serde_json::Value::String(self.to_string()))
            }
        }
    };
}

text_in_the_api!(Day, "date");
text_in_the_api!(Timestamp, "date-time");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for text in ["2026-11-24", "0001-01-01", "9999-12-31", "2024-02-29"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
        for text in ["2026-11-24T22:30:00.000Z", "1999-12-31T23:59:59.999Z"] {
            assert_eq!(text.parse::<Timestamp>().unwrap().to_string(), text);
        }
        let now = Timestamp::now();
        assert_eq!(now.to_string().parse(), Ok(now));
    }

    #[test]
    fn what_does_not_sort_as_text_is_refused() {
        for text in ["", "2026-02-30", "2026-1-02", "-026-01-02", "+2026-01-0", "２０２６", "2026-11-24T"] {
            assert_eq!(text.parse::<Day>(), Err(NotATime::Day), "{text}");
        }
    }

    #[test]
    fn a_moment_comes_in_any_form_of_rfc_3339() {
        for (text, timestamp) in [
            ("2026-11-24T22:30:00Z", "2026-11-24T22:30:00.000Z"),
            ("2026-11-24t22:30:00z", "2026-11-24T22:30:00.000Z"),
            ("2026-11-24T22:30:00.5Z", "2026-11-24T22:30:00.500Z"),
            ("2026-11-24T22:30:00.000000001Z", "2026-11-24T22:30:00.000Z"),
            ("2026-11-24T22:30:00.123456789012345Z", "2026-11-24T22:30:00.123Z"),
            ("2026-11-24T22:30:00.9999Z", "2026-11-24T22:30:00.999Z"),
            ("2026-11-24T23:30:00+01:00", "2026-11-24T22:30:00.000Z"),
            ("2026-11-24T16:15:00-06:15", "2026-11-24T22:30:00.000Z"),
            ("2026-11-24T22:30:00+00:00", "2026-11-24T22:30:00.000Z"),
            // The time of the place is not known.
            ("2026-11-24T22:30:00-00:00", "2026-11-24T22:30:00.000Z"),
            ("2026-12-31T23:30:00-23:59", "2027-01-01T23:29:00.000Z"),
            ("2027-01-01T00:30:00.25+01:00", "2026-12-31T23:30:00.250Z"),
            // RFC 3339, 5.8: leap seconds, which are kept as the last millisecond before the next.
            ("1990-12-31T23:59:60Z", "1990-12-31T23:59:59.999Z"),
            ("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:59.999Z"),
            ("2016-12-31T23:59:60.7z", "2016-12-31T23:59:59.999Z"),
            ("0000-01-01T00:00:00Z", "0000-01-01T00:00:00.000Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000Z"),
        ] {
            assert_eq!(
                text.parse::<Timestamp>().map(|timestamp| timestamp.to_string()),
                Ok(timestamp.to_owned()),
                "{text}"
            );
        }
        for text in [
            "",
            "2026-11-24",
            "2026-11-24T22:30Z",
            "2026-11-24T22:30:00",
            "2026-11-24T22:30:00.Z",
            "2026-11-24T22:30:00,5Z",
            "2026-11-24T22:30:00.000+",
            "2026-11-24T22:30:00+01",
            "2026-11-24T22:30:00+0100",
            "2026-11-24T22:30:00+24:00",
            "2026-11-24T22:30:00+01:60",
            "2026-11-24 22:30:00.000Z",
            "2026-11-24_22:30:00.000Z",
            "2026-11-24T24:00:00Z",
            "2026-11-24T22:60:00Z",
            "2026-11-24T22:30:61Z",
            "2026-11-24T12:00:60Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "26-11-24T22:30:00Z",
            "+2026-11-24T22:30:00Z",
            "12026-11-24T22:30:00Z",
            " 2026-11-24T22:30:00Z",
            "2026-11-24T22:30:00Z ",
            "２０２６-11-24T22:30:00Z",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
            "2026-W48-2T22:30:00Z",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(NotATime::Timestamp), "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_form_of_a_moment_is_the_same_moment(
            seconds in -62_000_000_000_i64..253_000_000_000,
            offset in -1439_i32..=1439,
            digits in prop::collection::vec(0_u8..10, 0..20),
            small in any::<bool>(),
            zulu in any::<bool>(),
        ) {
            let utc = OffsetDateTime::from_unix_timestamp(seconds).unwrap();
            let offset = if zulu { 0 } else { offset };
            let local = utc.to_offset(UtcOffset::from_whole_seconds(offset * 60).unwrap());
            let zone = match zulu {
                true => "Z".to_owned(),
                false => format!("{}{:02}:{:02}", if offset < 0 { '-' } else { '+' }, offset.abs() / 60, offset.abs() % 60),
            };
            let fraction: String = digits.iter().map(|digit| char::from(b'0' + digit)).collect();
            let fraction = if fraction.is_empty() { fraction } else { format!(".{fraction}") };
            let (year, month, day) = local.to_calendar_date();
            let (hour, minute, second) = local.to_hms();
            let month = u8::from(month);
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
            let text = if small { text.to_lowercase() } else { text };
            let timestamp = text.parse::<Timestamp>();
            prop_assert_eq!(timestamp.map(Timestamp::unix), Ok(seconds), "{}", text);
            let milliseconds = digits.iter().chain(&[0; 3]).take(3).fold(0, |sum, digit| sum * 10 + u16::from(*digit));
            prop_assert_eq!(timestamp.unwrap().0.millisecond(), milliseconds);
            // What goes out comes in again.
            prop_assert_eq!(timestamp.unwrap().to_string().parse(), timestamp);
        }
    }
}
