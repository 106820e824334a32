//! What does the form of a record send, and what does it mean?
//!
//! A field that the kind suggests is sent as `field-` and its key. All others are rows of `row-key`, `row-money`, `row-label` and
//! `row-value`. A form without `kind` is one that knows only what records were before kinds: the rest is left as it is.

use std::borrow::Cow;

use crate::{
    http::FieldError,
    records::{
        draft::Draft,
        entity::Visibility,
        fields::{Field, Money},
        kind::{Entry, Kind, suggestion},
        store::Record,
    },
};

/// The name of a suggested field's input begins so.
pub(super) const SUGGESTED: &str = "field-";

/// What the form sends.
#[derive(Debug, Clone, Default)]
pub(super) struct RecordForm {
    pub(super) title: String,
    pub(super) kind: Option<Kind>,
    pub(super) fields: Vec<TypedField>,
    pub(super) place: Option<String>,
    pub(super) tags: Option<String>,
    pub(super) category: String,
    pub(super) due_date: String,
    pub(super) notes: String,
    /// Absent where whoever fills it in has no say in it.
    pub(super) visibility: Option<Visibility>,
    pub(super) guests_see_attachments: Option<bool>,
    /// The version that the form shows; absent for a new record.
    pub(super) version: Option<i64>,
    /// What it is to be shown again with instead of being saved: the fields of another `kind`, or more `rows`.
    pub(super) again: Option<String>,
}

/// A field as it is typed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct TypedField {
    pub(super) key: Option<String>,
    pub(super) label: String,
    pub(super) value: String,
    /// Whether it was an amount of money when the form was made.
    pub(super) is_money: bool,
}

impl RecordForm {
    /// Returns what a form sent.
    pub(super) fn parse(sent: Vec<(String, String)>) -> Result<Self, Vec<FieldError>> {
        let (mut form, mut errors) = (Self::default(), Vec::new());
        let mut row = TypedField::default();
        for (name, value) in sent {
            match name.as_str() {
                "title" => form.title = value,
                "kind" => form.kind = known(&name, &value, &mut errors),
                "place_id" => form.place = Some(value),
                "tags" => form.tags = Some(value),
                "category" => form.category = value,
                "due_date" => form.due_date = value,
                "notes" => form.notes = value,
                "visibility" => form.visibility = known(&name, &value, &mut errors),
                "guests_see_attachments" => form.guests_see_attachments = Some(value == "yes"),
                "version" => form.version = value.parse().ok(),
                "again" => form.again = Some(value),
                "row-key" => row.key = Some(value).filter(|key| !key.is_empty()),
                "row-money" => row.is_money = value == "yes",
                "row-label" => row.label = value,
                "row-value" => form.fields.push(TypedField { value, ..std::mem::take(&mut row) }),
                _ => {
                    let known = name.strip_prefix(SUGGESTED).and_then(suggestion);
                    if let Some(known) = known.filter(|_| !value.trim().is_empty()) {
                        let (key, label) = (Some(known.key.to_owned()), known.label.to_owned());
                        form.fields.push(TypedField { key, label, value, is_money: known.entry == Entry::Money });
                    }
                }
            }
        }
        if errors.is_empty() { Ok(form) } else { Err(errors) }
    }

    /// Returns the form as it is filled in for a record.
    pub(super) fn of(record: &Record) -> Self {
        let row = &record.row;
        let typed = |field: &Field| TypedField {
            key: field.key.clone(),
            label: field.label.clone(),
            value: field.money.as_ref().map_or_else(|| field.value.clone(), Money::in_form),
            is_money: field.money.is_some(),
        };
        Self {
            title: row.title.clone(),
            kind: Some(row.kind),
            fields: record.details.fields.iter().map(typed).collect(),
            place: Some(row.place_id.map(|id| id.to_string()).unwrap_or_default()),
            tags: Some(record.details.tags.join(", ")),
            category: row.category.clone(),
            due_date: row.due_date.map(|day| day.to_string()).unwrap_or_default(),
            notes: row.notes.clone(),
            visibility: Some(row.visibility),
            guests_see_attachments: Some(row.guests_see_attachments),
            version: Some(row.version),
            again: None,
        }
    }

    /// Returns the form of a new record that says the same as this one.
    pub(super) fn duplicate(record: &Record) -> Self {
        Self { version: None, guests_see_attachments: Some(false), ..Self::of(record) }
    }

    /// Returns the kind whose fields it shows.
    pub(super) fn kind(&self) -> Kind {
        self.kind.unwrap_or_default()
    }

    /// Returns the field that fills in a suggestion of its kind.
    pub(super) fn suggested(&self, key: &str) -> Option<&TypedField> {
        self.fields.iter().find(|field| field.fills_in(key))
    }

    /// Returns the fields that fill in no suggestion of its kind.
    pub(super) fn others(&self) -> Vec<&TypedField> {
        let suggestions = self.kind().suggestions();
        let fills_in_one = |field: &TypedField| {
            let mut first = suggestions.iter().filter_map(|suggestion| self.suggested(suggestion.key));
            first.any(|first| std::ptr::eq(first, field))
        };
        self.fields.iter().filter(|field| !fills_in_one(field)).collect()
    }

    /// Returns what it says, or what is wrong with each field.
    pub(super) fn draft(&self) -> Result<Draft, Vec<FieldError>> {
        let mut errors = Vec::new();
        let due_date = match self.due_date.trim() {
            "" => None,
            text => text
                .parse()
                .map_err(|error| errors.push(FieldError::new("due_date", format!("is not a valid date: {error}"))))
                .ok(),
        };
        let place_id = self.place.as_deref().map(|place| match place.trim() {
            "" => None,
            text => text.parse::<i64>().map_err(|_| errors.push(FieldError::new("place_id", "is unknown"))).ok(),
        });
        let fields = self.kind.is_some().then(|| self.fields(&mut errors));
        let tags = self
            .tags
            .as_deref()
            .map(|tags| tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect());
        let draft = Draft {
            title: Some(self.title.clone()),
            category: Some(self.category.clone()),
            notes: Some(unix(&self.notes).into_owned()),
            due_date: Some(due_date),
            visibility: self.visibility,
            kind: self.kind,
            place_id,
            guests_see_attachments: self.guests_see_attachments,
            fields,
            tags,
        };
        match draft.checked() {
            Ok(draft) if errors.is_empty() => Ok(draft),
            Ok(_) => Err(errors),
            // All that is wrong at once.
            Err(more) => Err(more.into_iter().chain(errors).collect()),
        }
    }

    /// Returns the fields that have something in them, first those that the kind suggests.
    fn fields(&self, errors: &mut Vec<FieldError>) -> Vec<Field> {
        let suggested = self.kind().suggestions().iter().filter_map(|suggestion| self.suggested(suggestion.key));
        let all = suggested.chain(self.others());
        // The currency of another field of the same record is most likely that of an amount without one.
        let usual =
            self.fields.iter().find_map(|field| Money::parse(&field.value, None).ok().filter(|_| field.is_money));
        let usual = usual.as_ref().map(|money| money.currency.as_str());
        all.filter(|field| !field.value.trim().is_empty())
            .filter_map(|field| {
                // A rent may be “included”.
                let money = match field.is_money && field.value.contains(|c: char| c.is_ascii_digit()) {
                    true => {
                        Some(Money::parse(&field.value, usual).map_err(|error| errors.push(field.wrong(&error))).ok()?)
                    }
                    false => None,
                };
                let value = if money.is_some() { String::new() } else { unix(&field.value).into_owned() };
                Some(Field { key: field.key.clone(), label: field.label.clone(), value, money })
            })
            .collect()
    }

    /// Returns the labels of its fields by the names that errors have.
    pub(super) fn labels(&self) -> Vec<(String, String)> {
        let keyed = self.fields.iter().filter(|field| field.key.is_some());
        keyed.map(|field| (field.id(), field.label.clone())).collect()
    }
}

impl TypedField {
    /// Whether it is what a form has for a suggestion, also by its label.
    fn fills_in(&self, key: &str) -> bool {
        self.key.as_deref() == Some(key) && suggestion(key).is_some_and(|known| known.label == self.label)
    }

    fn wrong(&self, error: &dyn std::error::Error) -> FieldError {
        match &self.key {
            Some(_) => FieldError::new(&self.id(), error.to_string()),
            None => FieldError::new("fields", format!("have a value that {error} ({})", self.label)),
        }
    }

    /// Returns the name by which errors call it.
    fn id(&self) -> String {
        match &self.key {
            Some(key) => format!("{SUGGESTED}{key}"),
            None => "fields".to_owned(),
        }
    }
}

/// Browsers send line breaks as CR LF whatever the person's system.
fn unix(text: &str) -> Cow<'_, str> {
    if text.contains('\r') { text.replace("\r\n", "\n").into() } else { text.into() }
}

/// Returns the value of an input whose values are fixed. Anything else comes from no form of ours.
fn known<T: serde::de::DeserializeOwned>(name: &str, value: &str, errors: &mut Vec<FieldError>) -> Option<T> {
    let known = serde_json::from_value(serde_json::Value::String(value.to_owned()));
    known.map_err(|_| errors.push(FieldError::new(name, "is none of those that can be chosen"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{details::Details, entity::Model};

    fn sent(pairs: &[(&str, &str)]) -> RecordForm {
        RecordForm::parse(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
            .unwrap()
    }

    fn text(key: Option<&str>, label: &str, value: &str) -> Field {
        Field { key: key.map(str::to_owned), label: label.to_owned(), value: value.to_owned(), money: None }
    }

    fn price(amount: i64) -> Field {
        let money = Some(Money { amount, currency: "EUR".to_owned() });
        Field { money, ..text(Some("price"), "Price", "") }
    }

    fn record(kind: Kind, fields: Vec<Field>) -> Record {
        let row = Model { title: "Drill".to_owned(), kind, ..Model::new(None) };
        Record { row, details: Details { fields, tags: vec!["attic".to_owned(), "tools".to_owned()] } }
    }

    /// What a browser sends for a form as it is shown.
    fn sent_unchanged(form: &RecordForm) -> RecordForm {
        let mut pairs = vec![
            ("title", form.title.clone()),
            ("kind", form.kind().name().to_owned()),
            ("tags", form.tags.clone().unwrap_or_default()),
            ("place_id", form.place.clone().unwrap_or_default()),
        ];
        let names: Vec<_> =
            form.kind().suggestions().iter().map(|known| (format!("{SUGGESTED}{}", known.key), known.key)).collect();
        for (name, key) in &names {
            pairs.push((name, form.suggested(key).map_or("", |field| &field.value).to_owned()));
        }
        for other in form.others() {
            pairs.push(("row-key", other.key.clone().unwrap_or_default()));
            pairs.push(("row-money", if other.is_money { "yes" } else { "" }.to_owned()));
            pairs.push(("row-label", other.label.clone()));
            pairs.push(("row-value", other.value.clone()));
        }
        RecordForm::parse(pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()).unwrap()
    }

    #[test]
    fn a_form_that_is_sent_unchanged_changes_no_field() {
        let fields = vec![
            text(Some("model"), "Model", "GSR 12"),
            price(12_950),
            text(None, "Colour", "blue\nand black"),
            text(Some("rent"), "Rent", "none"),
            Field { label: "Deposit".to_owned(), key: None, ..price(500) },
            text(Some("serial_number"), "Number on the back", "7"),
        ];
        for kind in Kind::ALL {
            let record = record(kind, fields.clone());
            let draft = sent_unchanged(&RecordForm::of(&record)).draft().unwrap();
            let mut kept = draft.fields.unwrap();
            kept.sort_by(|one, other| one.label.cmp(&other.label));
            let mut all = fields.clone();
            all.sort_by(|one, other| one.label.cmp(&other.label));
            assert_eq!(kept, all, "{kind:?}");
            assert_eq!((draft.kind, draft.tags), (Some(kind), Some(record.details.tags)));
        }
    }

    #[test]
    fn another_kind_loses_nothing_that_was_typed() {
        let form = sent(&[
            ("title", "x"),
            ("kind", "home"),
            ("field-model", "GSR 12"),
            ("field-price", "12 EUR"),
            ("again", "kind"),
        ]);
        assert_eq!(form.others().len(), 2);
        let kept = sent_unchanged(&form).draft().unwrap().fields.unwrap();
        assert_eq!(kept, [text(Some("model"), "Model", "GSR 12"), price(1200)]);
    }

    #[test]
    fn a_form_that_knows_no_kinds_leaves_the_rest_as_it_is() {
        let draft = sent(&[("title", "Boiler"), ("notes", "one\r\ntwo"), ("due_date", "2027-01-31")]).draft().unwrap();
        assert_eq!((draft.kind, draft.fields, draft.tags, draft.place_id), (None, None, None, None));
        assert_eq!((draft.notes.as_deref(), draft.due_date), (Some("one\ntwo"), Some("2027-01-31".parse().ok())));
    }

    #[test]
    fn what_is_empty_is_no_field_and_a_value_needs_a_label() {
        let form = |label: &str, value: &str| {
            sent(&[("title", "x"), ("kind", "thing"), ("field-model", " "), ("row-label", label), ("row-value", value)])
        };
        for empty in [form("", " "), form("Colour", "")] {
            assert_eq!(empty.draft().unwrap().fields, Some(Vec::new()));
        }
        assert_eq!(form(" Colour ", "blue ").draft().unwrap().fields, Some(vec![text(None, "Colour", "blue")]));
        assert_eq!(form("", "blue").draft().unwrap_err()[0].name(), "fields");
    }

    #[test]
    fn an_amount_is_money_and_takes_its_currency_from_the_others() {
        let form = |price: &str| sent(&[("title", "x"), ("kind", "thing"), ("field-price", price)]);
        assert_eq!(form("12,50 €").draft().unwrap().fields, Some(vec![price(1250)]));
        let errors = form("12").draft().unwrap_err();
        assert_eq!((errors[0].name(), errors.len()), ("field-price", 1));
        let rows = [("row-money", "yes"), ("row-label", "Deposit"), ("row-value", "500 CHF")];
        let form = sent(&[&[("title", "x"), ("kind", "thing"), ("field-price", "12")], &rows[..]].concat());
        let money = form.draft().unwrap().fields.unwrap()[0].money.clone().unwrap();
        assert_eq!((money.amount, money.currency.as_str()), (1200, "CHF"));
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let form =
            sent(&[("title", " "), ("kind", "thing"), ("due_date", "soon"), ("place_id", "x"), ("field-price", "12")]);
        let names: Vec<_> = form.draft().unwrap_err().iter().map(|error| error.name().to_owned()).collect();
        assert_eq!(names, ["title", "due_date", "place_id", "field-price"]);
        assert!(RecordForm::parse(vec![("kind".to_owned(), "castle".to_owned())]).is_err());
    }
}
