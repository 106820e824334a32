//! Which records does a page of the list hold, and where does the next one begin?
//!
//! Pages are cut by key, not by number: a record that is added or removed meanwhile neither repeats nor hides
//! another.

use data_encoding::BASE64URL_NOPAD;
use poem_openapi::Enum;
use sea_orm::{Condition, sea_query::Expr};
use serde::Deserialize;

use super::{
    entity::{Model, Visibility},
    search::Search,
};
use crate::datetime::{Day, Timestamp};

/// A page ends early when its texts hold more than this: 200 records with the longest notes would be 80 MB.
pub(crate) const PAGE_BYTES: usize = 4 << 20;

/// The sort order: `updated_desc` lists the most recently changed first, `due` the earliest due date first and
/// records without one last, `title` sorts alphabetically.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum, Deserialize)]
#[oai(rename = "RecordSort", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    #[default]
    #[oai(rename = "updated_desc")]
    #[serde(rename = "updated_desc")]
    Updated,
    Due,
    Title,
}

impl Order {
    /// All orders, for whoever must not forget one.
    pub(crate) const ALL: [Self; 3] = [Self::Updated, Self::Due, Self::Title];

    /// Returns the order's name in addresses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Updated => "updated_desc",
            Self::Due => "due",
            Self::Title => "title",
        }
    }
}

/// A question to the list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    pub(crate) search: Option<Search>,
    pub(crate) category: Option<String>,
    pub(crate) due_before: Option<Day>,
    pub(crate) due_after: Option<Day>,
    pub(crate) owner_id: Option<i64>,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) order: Order,
    pub(crate) after: Option<Cursor>,
    pub(crate) limit: u64,
}

impl Listing {
    /// Returns the filters that the index of texts knows nothing of. The sign keeps SQLite from using an index for the day.
    pub(crate) fn narrowed(&self, due_sign: &str) -> Condition {
        let due = |operator: &str, day: Option<Day>| {
            let due = format!(r#"{due_sign}"record"."due_date" {operator} ?"#);
            day.map(|day| Expr::cust_with_values(due, [day.to_string()]))
        };
        let owner = self.owner_id.map(|id| Expr::cust_with_values(r#"+"record"."owner_id" = ?"#, [id]));
        let visibility = self
            .visibility
            .map(|visibility| Expr::cust_with_values(r#"+"record"."visibility" = ?"#, [visibility.name()]));
        Condition::all()
            .add_option(due("<", self.due_before))
            .add_option(due(">", self.due_after))
            .add_option(owner)
            .add_option(visibility)
    }
}

/// A page of the list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) records: Vec<Model>,
    /// Where the next page begins, when there is one.
    pub(crate) next: Option<Cursor>,
}

/// A place in the list: behind the record with this key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Cursor {
    Updated(Timestamp, i64),
    Due(Option<Day>, i64),
    Title(Vec<u8>, i64),
}

/// A cursor that this app did not make, or made for another order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadCursor {
    #[error("is not a cursor that this list returned as `next`")]
    Unknown,
    #[error("belongs to a list with another sort order")]
    OtherOrder,
}

impl Cursor {
    /// Returns the place behind `record` in a list in this order.
    pub(crate) fn behind(record: &Model, order: Order) -> Self {
        match order {
            Order::Updated => Self::Updated(record.updated_at, record.id),
            Order::Due => Self::Due(record.due_date, record.id),
            Order::Title => Self::Title(record.title_key.clone().unwrap_or_default(), record.id),
        }
    }

    /// Returns the cursor that stands for this place.
    pub(crate) fn to_cursor(&self) -> String {
        let (order, id, key) = match self {
            Self::Updated(timestamp, id) => ('u', id, timestamp.to_string().into_bytes()),
            Self::Due(None, id) => ('n', id, Vec::new()),
            Self::Due(Some(day), id) => ('d', id, day.to_string().into_bytes()),
            Self::Title(key, id) => ('k', id, key.clone()),
        };
        let mut cursor = format!("{order}{id}.").into_bytes();
        cursor.extend(key);
        BASE64URL_NOPAD.encode(&cursor)
    }

    /// Returns the place that a cursor stands for.
    pub(crate) fn parse(cursor: &str, order: Order) -> Result<Self, BadCursor> {
        let place = Self::decode(cursor).ok_or(BadCursor::Unknown)?;
        let fits = matches!(
            (&place, order),
            (Self::Updated(..), Order::Updated) | (Self::Due(..), Order::Due) | (Self::Title(..), Order::Title)
        );
        if fits { Ok(place) } else { Err(BadCursor::OtherOrder) }
    }

    fn decode(cursor: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let dot = bytes.iter().position(|byte| *byte == b'.')?;
        let (head, key) = (std::str::from_utf8(&bytes[..dot]).ok()?, &bytes[dot + 1..]);
        let text = || std::str::from_utf8(key).ok();
        let id = head.get(1..)?.parse().ok()?;
        match head.get(..1)? {
            "u" => Some(Self::Updated(text()?.parse().ok()?, id)),
            "n" if key.is_empty() => Some(Self::Due(None, id)),
            "d" => Some(Self::Due(Some(text()?.parse().ok()?), id)),
            "k" => Some(Self::Title(key.to_owned(), id)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let timestamp: Timestamp = "2026-11-24T22:30:00.123Z".parse().unwrap();
        let day: Day = "2026-11-24".parse().unwrap();
        for (place, order) in [
            (Cursor::Updated(timestamp, 7), Order::Updated),
            (Cursor::Due(None, 7), Order::Due),
            (Cursor::Due(Some(day), i64::MAX), Order::Due),
            (Cursor::Title(vec![0xff, b'.', 0, 7], 1), Order::Title),
        ] {
            let cursor = place.to_cursor();
            assert_eq!(Cursor::parse(&cursor, order), Ok(place));
            let other = Order::ALL[(order as usize + 1) % 3];
            assert_eq!(Cursor::parse(&cursor, other), Err(BadCursor::OtherOrder));
        }
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "x", "!!", "dQ", "dTEu", "4piD"] {
            assert_eq!(Cursor::parse(text, Order::Updated), Err(BadCursor::Unknown), "{text}");
        }
    }
}
