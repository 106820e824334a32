//! What did a record say in one version?
//!
//! Triggers write it as JSON (`m0004_binder`), whichever program changes the record. The present is read in the same form
//! ([`super::versions`]), so that two versions are compared in one way, whichever they are.

use sea_orm::DbErr;
use serde::Deserialize;

use crate::{
    datetime::{Day, Timestamp},
    records::{
        attachments::entity::attachment::Role,
        entity::Visibility,
        fields::{Field, Money},
        kind::Kind,
    },
};

/// A record as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) title: String,
    pub(crate) category: String,
    pub(crate) notes: String,
    pub(crate) due_date: Option<Day>,
    pub(crate) owner_id: Option<i64>,
    pub(crate) visibility: Visibility,
    /// Whether this version knows the word for it; otherwise it is shown to nobody.
    pub(crate) has_known_visibility: bool,
    pub(crate) kind: Kind,
    pub(crate) place: Option<KeptPlace>,
    pub(crate) guests_see_attachments: bool,
    pub(crate) created_at: Timestamp,
    pub(crate) fields: Vec<Field>,
    pub(crate) tags: Vec<String>,
    pub(crate) attachments: Vec<KeptAttachment>,
}

/// The place of a record, as it was called then.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct KeptPlace {
    pub(crate) id: i64,
    pub(crate) name: String,
}

/// An attachment as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptAttachment {
    pub(crate) id: i64,
    pub(crate) hash: String,
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) position: i64,
    pub(crate) added_by: Option<i64>,
    pub(crate) added_at: Timestamp,
}

/// As the JSON has it.
#[derive(Deserialize)]
struct Written {
    title: String,
    category: String,
    notes: String,
    due_date: Option<String>,
    owner_id: Option<i64>,
    visibility: String,
    kind: String,
    place: Option<KeptPlace>,
    guests_see_attachments: bool,
    created_at: String,
    fields: Vec<WrittenField>,
    tags: Vec<String>,
    attachments: Vec<WrittenAttachment>,
}

#[derive(Deserialize)]
struct WrittenField {
    key: Option<String>,
    label: String,
    value: String,
    amount: Option<i64>,
    currency: Option<String>,
}

#[derive(Deserialize)]
struct WrittenAttachment {
    id: i64,
    hash: String,
    name: String,
    role: String,
    position: i64,
    added_by: Option<i64>,
    added_at: String,
}

impl Content {
    /// Reads what a trigger wrote.
    pub(crate) fn parse(json: &str) -> Result<Self, DbErr> {
        let unreadable = |error: &dyn std::fmt::Display| DbErr::Json(format!("a version of a record: {error}"));
        let written: Written = serde_json::from_str(json).map_err(|error| unreadable(&error))?;
        let moment = |text: &str| text.parse::<Timestamp>().map_err(|error| unreadable(&error));
        let attachments = written.attachments.into_iter().map(|attachment| {
            Ok(KeptAttachment {
                role: role(&attachment.role),
                added_at: moment(&attachment.added_at)?,
                id: attachment.id,
                hash: attachment.hash,
                name: attachment.name,
                position: attachment.position,
                added_by: attachment.added_by,
            })
        });
        Ok(Self {
            due_date: written.due_date.map(|day| day.parse()).transpose().map_err(|error| unreadable(&error))?,
            has_known_visibility: [Visibility::Household, Visibility::Private]
                .iter()
                .any(|known| known.name() == written.visibility),
            visibility: match &*written.visibility {
                "household" => Visibility::Household,
                _ => Visibility::Private,
            },
            kind: Kind::ALL.into_iter().find(|kind| kind.name() == written.kind).unwrap_or_default(),
            created_at: moment(&written.created_at)?,
            fields: written.fields.into_iter().map(Field::from).collect(),
            attachments: attachments.collect::<Result<_, DbErr>>()?,
            title: written.title,
            category: written.category,
            notes: written.notes,
            owner_id: written.owner_id,
            place: written.place,
            guests_see_attachments: written.guests_see_attachments,
            tags: written.tags,
        })
    }
}

impl From<WrittenField> for Field {
    fn from(field: WrittenField) -> Self {
        let money = field.amount.zip(field.currency).map(|(amount, currency)| Money { amount, currency });
        Self { key: field.key, label: field.label, value: field.value, money }
    }
}

fn role(name: &str) -> Role {
    serde_json::from_value(name.into()).unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The content of a record with this title.
    pub(crate) fn titled(title: &str) -> Content {
        Content::parse(&written(title, "household", "note")).unwrap()
    }

    fn written(title: &str, visibility: &str, kind: &str) -> String {
        serde_json::json!({
            "title": title, "category": "", "notes": "", "due_date": "2027-01-31", "owner_id": 1, "visibility": visibility,
            "kind": kind, "place": { "id": 3, "name": "Attic" }, "guests_see_attachments": false,
            "created_at": "2026-11-24T12:00:00.000Z", "updated_at": "2026-11-24T12:00:00.000Z",
            "fields": [{ "key": "price", "label": "Price", "value": "", "amount": 1999, "currency": "EUR" }],
            "tags": ["old"],
            "attachments": [{
                "id": 7, "hash": "00", "name": "a.pdf", "role": "receipt", "position": 0, "added_by": null,
                "added_at": "2026-11-24T12:00:00.000Z"
            }],
        })
        .to_string()
    }

    #[test]
    fn what_a_trigger_wrote_is_read() {
        let content = titled("Boiler");
        assert_eq!((&*content.title, content.place.unwrap().id, &*content.tags[0]), ("Boiler", 3, "old"));
        assert_eq!(content.fields[0].money, Some(Money { amount: 1999, currency: "EUR".to_owned() }));
        assert_eq!((content.attachments[0].id, content.attachments[0].role), (7, Role::Receipt));
    }

    #[test]
    fn what_a_later_version_calls_otherwise_is_read_with_care() {
        let content = Content::parse(&written("x", "some_of_them", "spaceship")).unwrap();
        assert_eq!((content.visibility, content.kind), (Visibility::Private, Kind::Note));
        assert!(!content.has_known_visibility && titled("x").has_known_visibility);
        assert!(Content::parse("{}").is_err());
    }
}
