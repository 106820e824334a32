//! What kinds of records are there, and what does each usually say?
//!
//! A kind is a list of fields that are suggested. It decides nothing else: a record of any kind may have any fields, so that
//! changing its kind loses nothing.

use poem_openapi::Enum;
use std::convert::Infallible;

use sea_orm::DeriveValueType;

/// What a record is about. It decides which fields are suggested, and nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, DeriveValueType, Enum, serde::Serialize, serde::Deserialize)]
#[sea_orm(value_type = "String", column_type = "Text", from_str = "Kind::stored", to_str = "Kind::stored_name")]
#[oai(rename = "RecordKind", rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    #[default]
    Note,
    Thing,
    Contract,
    IdentityDocument,
    Vehicle,
    Home,
}

/// What a field's value is, for the form.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entry {
    Text,
    /// A day, as `YYYY-MM-DD`.
    Day,
    /// An amount of money.
    Money,
}

/// A field that a kind suggests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Suggestion {
    /// Its name in the API and in the database.
    pub(crate) key: &'static str,
    pub(crate) label: &'static str,
    pub(crate) entry: Entry,
}

const fn text(key: &'static str, label: &'static str) -> Suggestion {
    Suggestion { key, label, entry: Entry::Text }
}

const fn day(key: &'static str, label: &'static str) -> Suggestion {
    Suggestion { key, label, entry: Entry::Day }
}

const fn money(key: &'static str, label: &'static str) -> Suggestion {
    Suggestion { key, label, entry: Entry::Money }
}

const THING: &[Suggestion] = &[
    text("manufacturer", "Manufacturer"),
    text("model", "Model"),
    text("serial_number", "Serial number"),
    text("bought_from", "Bought from"),
    day("bought_on", "Bought on"),
    money("price", "Price"),
    day("warranty_until", "Warranty until"),
    text("quantity", "Quantity"),
    text("asset_id", "Asset id"),
];

const CONTRACT: &[Suggestion] = &[
    text("provider", "Provider"),
    text("contract_number", "Contract number"),
    text("customer_number", "Customer number"),
    day("starts_on", "Starts on"),
    day("ends_on", "Ends on"),
    text("notice_period", "Notice period"),
    money("cost", "Cost"),
    text("phone", "Phone"),
];

const IDENTITY_DOCUMENT: &[Suggestion] = &[
    text("holder", "Holder"),
    text("document_number", "Document number"),
    text("issued_by", "Issued by"),
    day("issued_on", "Issued on"),
    day("expires_on", "Expires on"),
];

const VEHICLE: &[Suggestion] = &[
    text("manufacturer", "Manufacturer"),
    text("model", "Model"),
    text("licence_plate", "Licence plate"),
    text("vehicle_number", "Vehicle identification number"),
    day("first_registered_on", "First registered on"),
    day("bought_on", "Bought on"),
    money("price", "Price"),
    text("insurance", "Insurance"),
];

const HOME: &[Suggestion] = &[
    text("address", "Address"),
    text("landlord", "Landlord"),
    day("moved_in_on", "Moved in on"),
    money("rent", "Rent"),
    text("meter_number", "Meter number"),
    text("customer_number", "Customer number"),
];

impl Kind {
    /// All kinds, in the order in which people choose.
    pub(crate) const ALL: [Self; 6] =
        [Self::Note, Self::Thing, Self::Contract, Self::IdentityDocument, Self::Vehicle, Self::Home];

    /// Returns the kind that the database means. One that only a newer version knows is a note, which decides nothing else; it stays in the
    /// database as it is, since only what is changed is written.
    #[expect(clippy::unnecessary_wraps, reason = "SeaORM asks for a Result")]
    fn stored(name: &str) -> Result<Self, Infallible> {
        Ok(Self::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or_default())
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "SeaORM calls it so")]
    fn stored_name(&self) -> &'static str {
        self.name()
    }

    /// Returns its name in the API and in addresses.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::Thing => "thing",
            Self::Contract => "contract",
            Self::IdentityDocument => "identity_document",
            Self::Vehicle => "vehicle",
            Self::Home => "home",
        }
    }

    /// Returns its name for people.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Note => "Note",
            Self::Thing => "Thing",
            Self::Contract => "Contract or policy",
            Self::IdentityDocument => "Identity document",
            Self::Vehicle => "Vehicle",
            Self::Home => "Home",
        }
    }

    /// Returns the fields that it suggests, in the order in which they stand in a form.
    pub(crate) fn suggestions(self) -> &'static [Suggestion] {
        match self {
            Self::Note => &[],
            Self::Thing => THING,
            Self::Contract => CONTRACT,
            Self::IdentityDocument => IDENTITY_DOCUMENT,
            Self::Vehicle => VEHICLE,
            Self::Home => HOME,
        }
    }
}

/// Returns what is known of a key, whichever kind suggests it.
pub(crate) fn suggestion(key: &str) -> Option<Suggestion> {
    Kind::ALL.iter().flat_map(|kind| kind.suggestions()).find(|suggestion| suggestion.key == key).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_one_label_and_one_form_in_every_kind() {
        for kind in Kind::ALL {
            for suggested in kind.suggestions() {
                assert_eq!(suggestion(suggested.key), Some(*suggested), "{kind:?}");
            }
            let mut keys: Vec<_> = kind.suggestions().iter().map(|suggestion| suggestion.key).collect();
            keys.sort_unstable();
            keys.dedup();
            assert_eq!(keys.len(), kind.suggestions().len(), "{kind:?} names a key twice");
        }
    }

    #[test]
    fn the_name_of_a_kind_is_what_the_database_and_the_api_have() {
        for kind in Kind::ALL {
            assert_eq!(sea_orm::Value::from(kind), sea_orm::Value::from(kind.name()));
            assert_eq!(Kind::stored(kind.name()), Ok(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!(Kind::stored("spaceship"), Ok(Kind::Note));
    }
}
