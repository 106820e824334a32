//! Which records does a page of the list hold, and where does the next one begin?
//!
//! Pages are cut by key, not by number: a record that is added or removed meanwhile neither repeats nor hides
//! another.

use data_encoding::BASE64URL_NOPAD;
use poem_openapi::Enum;
use sea_orm::{Condition, sea_query::Expr};
use serde::Deserialize;

use super::{
    entity::{HOUSEHOLD, Model, Visibility},
    kind::Kind,
    search::Search,
    store::Viewer,
};
use crate::datetime::{Day, Timestamp};

/// A page ends early when its texts hold more than this: 200 records with the longest notes would be 80 MB.
pub(crate) const PAGE_BYTES: usize = 4 << 20;

/// The sort order: `updated_desc` lists the most recently changed first, `due` the earliest due date first, `title` sorts
/// alphabetically; `updated`, `due_desc` and `title_desc` are the other way round. Records without a due date come last
/// both ways.
// Not `-updated`: client generators make names of the values, and drop the sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Enum, Deserialize)]
#[oai(rename = "RecordSort", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    #[default]
    UpdatedDesc,
    Updated,
    Due,
    DueDesc,
    Title,
    TitleDesc,
}

impl Order {
    /// All orders, for whoever must not forget one.
    pub(crate) const ALL: [Self; 6] =
        [Self::UpdatedDesc, Self::Updated, Self::Due, Self::DueDesc, Self::Title, Self::TitleDesc];

    /// Returns the order's name in addresses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::UpdatedDesc => "updated_desc",
            Self::Updated => "updated",
            Self::Due => "due",
            Self::DueDesc => "due_desc",
            Self::Title => "title",
            Self::TitleDesc => "title_desc",
        }
    }

    /// Returns whether the largest key comes first.
    pub(crate) fn is_descending(self) -> bool {
        matches!(self, Self::UpdatedDesc | Self::DueDesc | Self::TitleDesc)
    }
}

/// A question to the list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Listing {
    pub(crate) search: Option<Search>,
    pub(crate) category: Option<String>,
    pub(crate) kind: Option<Kind>,
    /// The place, or one that it is in.
    pub(crate) place_id: Option<i64>,
    pub(crate) tag: Option<String>,
    pub(crate) due_before: Option<Day>,
    pub(crate) due_after: Option<Day>,
    pub(crate) owner_id: Option<i64>,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) order: Order,
    pub(crate) after: Option<Cursor>,
    pub(crate) limit: u64,
}

impl Listing {
    /// Returns the scopes of what the viewer sees that may have records of this list.
    pub(crate) fn scopes(&self, viewer: Viewer) -> Vec<i64> {
        let mut scopes = viewer.scopes();
        scopes.retain(|scope| match self.visibility {
            None => true,
            Some(Visibility::Household) => *scope == HOUSEHOLD,
            Some(Visibility::Private) => *scope != HOUSEHOLD,
        });
        // A private scope is its owner's.
        scopes.retain(|scope| *scope == HOUSEHOLD || self.owner_id.is_none_or(|owner| owner == *scope));
        scopes
    }

    /// Whether it has only what is due at certain days.
    pub(crate) fn is_dated(&self) -> bool {
        self.due_before.is_some() || self.due_after.is_some()
    }

    /// Returns the condition that a record is due then. The sign keeps SQLite from using an index for it.
    pub(crate) fn dated(&self, sign: &str) -> Condition {
        let due = |operator: &str, day: Option<Day>| {
            let due = format!(r#"{sign}"record"."due_date" {operator} ?"#);
            day.map(|day| Expr::cust_with_values(due, [day.to_string()]))
        };
        Condition::all().add_option(due("<", self.due_before)).add_option(due(">", self.due_after))
    }
}

/// A page of the list.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) records: Vec<Model>,
    /// Where the next page begins, when there is one.
    pub(crate) next: Option<Cursor>,
}

/// A place in the list: behind the record with this key, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) order: Order,
    pub(crate) key: SortKey,
    pub(crate) id: i64,
}

/// By what a record is sorted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum SortKey {
    Updated(Timestamp),
    Due(Option<Day>),
    Title(Vec<u8>),
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
        let key = match order {
            Order::Updated | Order::UpdatedDesc => SortKey::Updated(record.updated_at),
            Order::Due | Order::DueDesc => SortKey::Due(record.due_date),
            Order::Title | Order::TitleDesc => SortKey::Title(record.title_key.clone().unwrap_or_default()),
        };
        Self { order, key, id: record.id }
    }

    /// Returns the cursor that stands for this place.
    pub(crate) fn to_cursor(&self) -> String {
        let (letter, key) = match &self.key {
            SortKey::Updated(timestamp) => ('u', timestamp.to_string().into_bytes()),
            SortKey::Due(None) => ('n', Vec::new()),
            SortKey::Due(Some(day)) => ('d', day.to_string().into_bytes()),
            SortKey::Title(key) => ('k', key.clone()),
        };
        // The order that people know is the small letter, as in 0.4.0.
        let is_usual = matches!(self.order, Order::UpdatedDesc | Order::Due | Order::Title);
        let letter = if is_usual { letter } else { letter.to_ascii_uppercase() };
        let mut cursor = format!("{letter}{}.", self.id).into_bytes();
        cursor.extend(key);
        BASE64URL_NOPAD.encode(&cursor)
    }

    /// Returns the place that a cursor stands for.
    pub(crate) fn parse(cursor: &str, order: Order) -> Result<Self, BadCursor> {
        let place = Self::decode(cursor).ok_or(BadCursor::Unknown)?;
        if place.order == order { Ok(place) } else { Err(BadCursor::OtherOrder) }
    }

    fn decode(cursor: &str) -> Option<Self> {
        let bytes = BASE64URL_NOPAD.decode(cursor.as_bytes()).ok()?;
        let dot = bytes.iter().position(|byte| *byte == b'.')?;
        let (head, key) = (std::str::from_utf8(&bytes[..dot]).ok()?, &bytes[dot + 1..]);
        let text = || std::str::from_utf8(key).ok();
        let id = head.get(1..)?.parse().ok()?;
        let (order, key) = match head.get(..1)? {
            "u" => (Order::UpdatedDesc, SortKey::Updated(text()?.parse().ok()?)),
            "U" => (Order::Updated, SortKey::Updated(text()?.parse().ok()?)),
            "n" if key.is_empty() => (Order::Due, SortKey::Due(None)),
            "N" if key.is_empty() => (Order::DueDesc, SortKey::Due(None)),
            "d" => (Order::Due, SortKey::Due(Some(text()?.parse().ok()?))),
            "D" => (Order::DueDesc, SortKey::Due(Some(text()?.parse().ok()?))),
            "k" => (Order::Title, SortKey::Title(key.to_owned())),
            "K" => (Order::TitleDesc, SortKey::Title(key.to_owned())),
            _ => return None,
        };
        Some(Self { order, key, id })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_place() {
        let timestamp: Timestamp = "2026-11-24T22:30:00.123Z".parse().unwrap();
        let day: Day = "2026-11-24".parse().unwrap();
        for order in Order::ALL {
            let keys = match order {
                Order::Updated | Order::UpdatedDesc => vec![SortKey::Updated(timestamp)],
                Order::Due | Order::DueDesc => vec![SortKey::Due(None), SortKey::Due(Some(day))],
                Order::Title | Order::TitleDesc => vec![SortKey::Title(vec![0xff, b'.', 0, 7])],
            };
            for (key, id) in keys.into_iter().zip([7, i64::MAX]) {
                let place = Cursor { order, key, id };
                let cursor = place.to_cursor();
                assert_eq!(Cursor::parse(&cursor, order), Ok(place));
                for other in Order::ALL.into_iter().filter(|other| *other != order) {
                    assert_eq!(Cursor::parse(&cursor, other), Err(BadCursor::OtherOrder), "{order:?} {other:?}");
                }
            }
        }
        // What 0.4.0 returned as `next`.
        let old = BASE64URL_NOPAD.encode(b"u7.2026-11-24T22:30:00.123Z");
        assert_eq!(Cursor::parse(&old, Order::UpdatedDesc).unwrap().id, 7);
    }

    #[test]
    fn what_is_no_cursor_is_refused() {
        for text in ["", "x", "!!", "dQ", "dTEu", "4piD"] {
            assert_eq!(Cursor::parse(text, Order::UpdatedDesc), Err(BadCursor::Unknown), "{text}");
        }
    }
}
