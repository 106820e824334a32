//! What does a row of any of Homebox's tables say, as far as Hearth takes it?
//!
//! A newer version may have more columns, and each may be null: of a row only what is taken and says something is in memory.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// The columns that are taken of some table.
const COLUMNS: [&str; 42] = [
    "archived",
    "asset_id",
    "boolean_value",
    "cost",
    "created_at",
    "date",
    "description",
    "entity_attachments",
    "entity_children",
    "entity_fields",
    "entity_id",
    "entity_type_entities",
    "id",
    "import_ref",
    "insured",
    "is_location",
    "lifetime_warranty",
    "manufacturer",
    "model_number",
    "name",
    "notes",
    "number_value",
    "purchase_date",
    "purchase_from",
    "purchase_price",
    "purchase_time",
    "quantity",
    "scheduled_date",
    "serial_number",
    "sold_date",
    "sold_notes",
    "sold_price",
    "sold_time",
    "sold_to",
    "tag_id",
    "text_value",
    "time_value",
    "title",
    "type",
    "updated_at",
    "warranty_details",
    "warranty_expires",
];

/// A row.
#[derive(Debug, Clone, Default)]
pub(super) struct Row(Vec<(&'static str, Box<str>)>);

impl Row {
    /// Returns a value as a text; null and what is not there are empty.
    pub(super) fn text(&self, column: &str) -> &str {
        self.0.iter().find(|(name, _)| *name == column).map_or("", |(_, text)| text)
    }

    /// Returns a truth value, which SQLite has as a number.
    pub(super) fn flag(&self, column: &str) -> bool {
        matches!(self.text(column), "true" | "1")
    }
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Columns)
    }
}

struct Columns;

impl<'de> Visitor<'de> for Columns {
    type Value = Row;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a row of a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut columns: A) -> Result<Row, A::Error> {
        let mut row = Row::default();
        while let Some(name) = columns.next_key::<String>()? {
            match COLUMNS.iter().find(|known| **known == name) {
                Some(known) => {
                    let Text(text) = columns.next_value()?;
                    // Of a column that stands there twice the first counts.
                    if !text.is_empty() && row.text(known).is_empty() {
                        row.0.push((known, text.into()));
                    }
                }
                None => {
                    columns.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(row)
    }
}

/// A value as a text. What is no text, number or truth value is empty.
struct Text(String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Self(String::new()))
    }
}

impl<'de> Visitor<'de> for Text {
    type Value = Self;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_str<E>(self, text: &str) -> Result<Self, E> {
        Ok(Self(text.to_owned()))
    }

    fn visit_bool<E>(self, is: bool) -> Result<Self, E> {
        Ok(Self(is.to_string()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self, E> {
        Ok(Self(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self, E> {
        Ok(Self(number.to_string()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Self, E> {
        Ok(Self(number.to_string()))
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(self)
    }
}
