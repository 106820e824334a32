//! What does `binder.json` say?
//!
//! Everything of the archive that a program needs to make the same binder again. Ids are not in it but as names of folders: places
//! are named by the way to them, and files by their path in the archive. A later Hearth may add fields; one that takes away or
//! changes any counts [`VERSION`] up. `docs/EXPORT.md` describes it for people.

use serde::{Deserialize, Serialize};

use super::bounded_list::bounded;
use crate::records::{attachments::entity::attachment::Role, entity::Visibility, kind::Kind};

/// Where it is in the archive.
pub(super) const BINDER: &str = "binder.json";
pub(super) const FORMAT: &str = "hearth-binder";
pub(super) const VERSION: u32 = 1;

/// The names on the way to a place, from the outermost on.
pub(super) type Way = Vec<String>;

/// What stands before the records.
#[derive(Debug, Serialize)]
pub(super) struct Head {
    pub(super) format: &'static str,
    pub(super) version: u32,
    /// Such as `Hearth 0.7.0`.
    pub(super) made_by: String,
    pub(super) made_at: String,
}

/// A record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PortableRecord {
    /// The id where it comes from.
    pub(super) id: i64,
    pub(super) title: String,
    #[serde(default)]
    pub(super) kind: PortableKind,
    #[serde(default)]
    pub(super) category: String,
    #[serde(default)]
    pub(super) notes: String,
    #[serde(default, deserialize_with = "bounded")]
    pub(super) fields: Vec<PortableField>,
    #[serde(default, deserialize_with = "bounded")]
    pub(super) tags: Vec<String>,
    #[serde(default, deserialize_with = "bounded")]
    pub(super) place: Way,
    pub(super) due_date: Option<String>,
    #[serde(default)]
    pub(super) visibility: Visibility,
    #[serde(default)]
    pub(super) guests_see_attachments: bool,
    /// The name of who added it.
    pub(super) added_by: Option<String>,
    pub(super) created_at: Option<String>,
    pub(super) updated_at: Option<String>,
    #[serde(default, deserialize_with = "bounded")]
    pub(super) attachments: Vec<PortableAttachment>,
}

/// A kind by its name; one of a later Hearth is read as a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(from = "String", into = "&'static str")]
pub(super) struct PortableKind(pub(super) Kind);

impl From<String> for PortableKind {
    fn from(name: String) -> Self {
        Self(Kind::ALL.into_iter().find(|kind| kind.name() == name).unwrap_or_default())
    }
}

impl From<PortableKind> for &'static str {
    fn from(kind: PortableKind) -> Self {
        kind.0.name()
    }
}

/// A field: a value, or an amount of money in the smallest unit of its currency.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(super) struct PortableField {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    pub(super) label: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(super) value: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) amount: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) currency: Option<String>,
}

/// A file of a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PortableAttachment {
    /// Where the content is in the archive.
    pub(super) path: String,
    /// What it is called, which its path may not be able to say.
    pub(super) name: String,
    #[serde(default)]
    pub(super) role: Role,
    pub(super) bytes: u64,
    pub(super) media_type: Option<String>,
    /// BLAKE3 of the content, in hexadecimal digits.
    pub(super) blake3: String,
    pub(super) added_by: Option<String>,
    pub(super) added_at: Option<String>,
}

#[cfg(test)]
mod tests {
    use sea_orm::{IdenStatic, Iterable};

    use crate::records::{entity::Column, portability::for_tests::record};

    /// A column that is not exported is lost on the way to another household: docs/ADDING-A-FIELD.md says how it is.
    #[test]
    fn each_column_of_a_record_is_exported() {
        let exported = serde_json::to_value(record(1, "Boiler")).unwrap();
        // What counts in one household only, and what is exported by its name.
        let others = ["owner_id", "version", "title_key", "place_id", "changed_by", "changed_version"];
        for column in Column::iter() {
            let name = column.as_str();
            assert_eq!(exported.get(name).is_some(), !others.contains(&name), "{name}");
        }
    }
}
