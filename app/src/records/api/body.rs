//! A record in the API's JSON: as it is returned, created and changed.

use poem_openapi::{Object, types::MaybeUndefined};

use crate::{
    datetime::{Day, Timestamp},
    http::{OptionalField, Text},
    records::{
        draft::{CATEGORY_MAX, Draft, NOTES_MAX, TAG_MAX, TITLE_MAX},
        entity::Visibility,
        fields::{Field, KEY_MAX, LABEL_MAX, Money, VALUE_MAX},
        kind::Kind,
        store::Record,
    },
};

/// A record of the binder.
#[derive(Debug, Clone, Object)]
#[oai(rename = "Record", skip_serializing_if_is_none)]
pub(super) struct RecordBody {
    /// Assigned by Hearth. Never reused.
    id: i64,
    /// The title.
    title: Text<1, TITLE_MAX>,
    kind: Kind,
    /// The category. May be empty.
    category: Text<0, CATEGORY_MAX>,
    /// The notes, in Markdown. May be empty.
    notes: Text<0, NOTES_MAX>,
    /// The fields, in the order of the household.
    fields: Vec<FieldBody>,
    /// The tags, in alphabetical order.
    tags: Vec<Text<1, TAG_MAX>>,
    /// The id of the place where it is. Absent if there is none.
    place_id: Option<i64>,
    /// The due date. Absent if there is none.
    due_date: Option<Day>,
    /// When it was added.
    created_at: Timestamp,
    /// When it was last changed.
    updated_at: Timestamp,
    /// The id of the user who added it. Absent for records from before accounts.
    owner_id: Option<i64>,
    visibility: Visibility,
    /// Whether guests can see its attachments.
    guests_see_attachments: bool,
    /// The version, which starts at 1 and grows with each change. In quotation marks it is the record's `ETag`.
    version: i64,
}

/// A field of a record: a label with a value, or with an amount of money.
#[derive(Debug, Clone, Object)]
#[oai(rename = "RecordField", skip_serializing_if_is_none)]
pub(super) struct FieldBody {
    /// What kind of field it is, for programs, such as `serial_number`. Absent for a field of the household's own.
    key: Option<String>,
    /// The label.
    label: Text<1, LABEL_MAX>,
    /// The value. Absent where there is an amount.
    value: Option<String>,
    /// An amount of money, in the smallest unit of the currency, such as cents.
    amount: Option<i64>,
    /// The currency of the amount by ISO 4217, such as `EUR`.
    currency: Option<String>,
}

/// A field to write: a label with a value, or with an amount of money and its currency.
#[derive(Debug, Object)]
#[oai(rename = "NewRecordField", deny_unknown_fields, skip_serializing_if_is_none)]
struct NewField {
    /// What kind of field it is, for programs, such as `serial_number`. A record has a key only once.
    key: OptionalField<Text<1, KEY_MAX>>,
    /// The label.
    label: Text<1, LABEL_MAX>,
    /// The value.
    value: OptionalField<Text<1, VALUE_MAX>>,
    /// An amount of money, in the smallest unit of the currency, such as cents.
    amount: OptionalField<i64>,
    /// The currency of the amount by ISO 4217, such as `EUR`.
    currency: OptionalField<Text<3, 3>>,
}

/// A record to create.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub(super) struct NewRecord {
    /// The title. Surrounding white space is removed.
    title: Text<1, TITLE_MAX>,
    kind: OptionalField<Kind>,
    /// The category. Surrounding white space is removed.
    category: OptionalField<Text<0, CATEGORY_MAX>>,
    /// The notes, in Markdown.
    notes: OptionalField<Text<0, NOTES_MAX>>,
    /// The fields: at most 50, with at most 20,000 characters together.
    fields: OptionalField<Vec<NewField>>,
    /// The tags: at most 20. Case and accents do not tell two tags apart.
    tags: OptionalField<Vec<Text<1, TAG_MAX>>>,
    /// The id of the place where it is.
    place_id: OptionalField<i64>,
    /// The due date.
    due_date: OptionalField<Day>,
    visibility: OptionalField<Visibility>,
    /// Whether guests can see its attachments. The default is false.
    guests_see_attachments: OptionalField<bool>,
}

/// A change to a record. Absent fields keep their values.
#[derive(Debug, Object)]
#[oai(deny_unknown_fields, skip_serializing_if_is_none)]
pub(super) struct RecordChange {
    /// The title. Surrounding white space is removed.
    title: OptionalField<Text<1, TITLE_MAX>>,
    kind: OptionalField<Kind>,
    /// The category. Surrounding white space is removed.
    category: OptionalField<Text<0, CATEGORY_MAX>>,
    /// The notes, in Markdown.
    notes: OptionalField<Text<0, NOTES_MAX>>,
    /// All fields, which replace those that the record has: at most 50, with at most 20,000 characters together.
    fields: OptionalField<Vec<NewField>>,
    /// All tags, which replace those that the record has: at most 20.
    tags: OptionalField<Vec<Text<1, TAG_MAX>>>,
    /// The id of the place where it is. Null removes it.
    #[oai(nullable)]
    place_id: MaybeUndefined<i64>,
    /// The due date. Null removes it.
    #[oai(nullable)]
    due_date: MaybeUndefined<Day>,
    visibility: OptionalField<Visibility>,
    /// Whether guests can see its attachments.
    guests_see_attachments: OptionalField<bool>,
}

impl From<NewRecord> for Draft {
    fn from(record: NewRecord) -> Self {
        Self {
            title: Some(record.title.0),
            kind: record.kind.0,
            category: text(record.category),
            notes: text(record.notes),
            fields: record.fields.0.map(fields),
            tags: record.tags.0.map(tags),
            place_id: Some(record.place_id.0),
            due_date: Some(record.due_date.0),
            visibility: record.visibility.0,
            guests_see_attachments: record.guests_see_attachments.0,
        }
    }
}

impl From<RecordChange> for Draft {
    fn from(change: RecordChange) -> Self {
        Self {
            title: text(change.title),
            kind: change.kind.0,
            category: text(change.category),
            notes: text(change.notes),
            fields: change.fields.0.map(fields),
            tags: change.tags.0.map(tags),
            place_id: given(change.place_id),
            due_date: given(change.due_date),
            visibility: change.visibility.0,
            guests_see_attachments: change.guests_see_attachments.0,
        }
    }
}

fn text<const MIN: usize, const MAX: usize>(field: OptionalField<Text<MIN, MAX>>) -> Option<String> {
    field.0.map(|text| text.0)
}

/// Returns a value that null takes away.
fn given<T>(value: MaybeUndefined<T>) -> Option<Option<T>> {
    match value {
        MaybeUndefined::Undefined => None,
        MaybeUndefined::Null => Some(None),
        MaybeUndefined::Value(value) => Some(Some(value)),
    }
}

fn fields(fields: Vec<NewField>) -> Vec<Field> {
    let field = |field: NewField| Field {
        key: text(field.key),
        label: field.label.0,
        value: text(field.value).unwrap_or_default(),
        money: match (field.amount.0, text(field.currency)) {
            (None, None) => None,
            // One without the other is refused with the other fields.
            (amount, currency) => {
                Some(Money { amount: amount.unwrap_or(i64::MAX), currency: currency.unwrap_or_default() })
            }
        },
    };
    fields.into_iter().map(field).collect()
}

fn tags(tags: Vec<Text<1, TAG_MAX>>) -> Vec<String> {
    tags.into_iter().map(|tag| tag.0).collect()
}

impl From<Field> for FieldBody {
    fn from(field: Field) -> Self {
        let (amount, currency) = field.money.map(|money| (money.amount, money.currency)).unzip();
        let value = (!field.value.is_empty()).then_some(field.value);
        Self { key: field.key, label: Text(field.label), value, amount, currency }
    }
}

impl From<Record> for RecordBody {
    fn from(Record { row, details }: Record) -> Self {
        Self {
            id: row.id,
            title: Text(row.title),
            kind: row.kind,
            category: Text(row.category),
            notes: Text(row.notes),
            fields: details.fields.into_iter().map(FieldBody::from).collect(),
            tags: details.tags.into_iter().map(Text).collect(),
            place_id: row.place_id,
            due_date: row.due_date,
            created_at: row.created_at,
            updated_at: row.updated_at,
            owner_id: row.owner_id,
            visibility: row.visibility,
            guests_see_attachments: row.guests_see_attachments,
            version: row.version,
        }
    }
}
