//! How are days and moments written?
//!
//! Both as text whose order is the order in time, in the database as in the API: `2026-11-24` and
//! `2026-11-24T22:30:00.000Z`, always with milliseconds and in UTC.

use std::{fmt, str::FromStr};

use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use sea_orm::DeriveValueType;
use time::{
    Date, Duration, OffsetDateTime, PrimitiveDateTime, format_description::BorrowedFormatItem,
    macros::format_description,
};

const DAY: &[BorrowedFormatItem<'_>] = format_description!("[year]-[month]-[day]");
const MOMENT: &[BorrowedFormatItem<'_>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// A day of the calendar, without a time or zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
#[sea_orm(value_type = "String", column_type = "Text")]
pub(crate) struct Day(Date);

/// A moment, to the millisecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
#[sea_orm(value_type = "String", column_type = "Text")]
pub(crate) struct Moment(OffsetDateTime);

impl Moment {
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

    /// Returns the seconds since 1970.
    pub(crate) fn unix(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// Returns the day and the minute, for people.
    pub(crate) fn short(self) -> String {
        let text = self.to_string();
        format!("{} {}", &text[..10], &text[11..16])
    }
}

/// Text that is no day or moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NotATime {
    #[error("a day is written as 2026-11-24")]
    Day,
    #[error("a moment is written as 2026-11-24T22:30:00.000Z")]
    Moment,
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

impl FromStr for Moment {
    type Err = NotATime;

    fn from_str(text: &str) -> Result<Self, NotATime> {
        if text.len() != "2026-11-24T22:30:00.000Z".len() {
            return Err(NotATime::Moment);
        }
        PrimitiveDateTime::parse(text, MOMENT).map(|moment| Self(moment.assume_utc())).map_err(|_| NotATime::Moment)
    }
}

impl fmt::Display for Moment {
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
text_in_the_api!(Moment, "date-time");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_they_are_written() {
        for text in ["2026-11-24", "0001-01-01", "9999-12-31", "2024-02-29"] {
            assert_eq!(text.parse::<Day>().unwrap().to_string(), text);
        }
        for text in ["2026-11-24T22:30:00.000Z", "1999-12-31T23:59:59.999Z"] {
            assert_eq!(text.parse::<Moment>().unwrap().to_string(), text);
        }
        let now = Moment::now();
        assert_eq!(now.to_string().parse(), Ok(now));
    }

    #[test]
    fn what_does_not_sort_as_text_is_refused() {
        for text in ["", "2026-02-30", "2026-1-02", "-026-01-02", "+2026-01-0", "２０２６", "2026-11-24T"] {
            assert_eq!(text.parse::<Day>(), Err(NotATime::Day), "{text}");
        }
        for text in ["2026-11-24T22:30:00Z", "2026-11-24T22:30:00.000+", "2026-11-24 22:30:00.000Z"] {
            assert_eq!(text.parse::<Moment>(), Err(NotATime::Moment), "{text}");
        }
    }
}
