//! What a record says beside its title and its notes: fields with a label and a value.

#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod entity;
mod money;

use crate::http::{FieldError, first_unseen};

/// Fields of a record.
pub(crate) const FIELDS_MAX: usize = 50;
/// Characters of a label.
pub(crate) const LABEL_MAX: usize = 100;
/// Characters of a value.
pub(crate) const VALUE_MAX: usize = 2000;
/// Characters of all labels and values of a record: a page of the API has up to 200 records.
const ALL_MAX: usize = 20_000;
/// Characters of a key.
pub(crate) const KEY_MAX: usize = 40;
/// The largest amount of money either way, in the smallest unit of the currency: what every program's numbers can hold.
pub(crate) const AMOUNT_MAX: i64 = 1_000_000_000_000_000;

/// A field of a record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Field {
    /// The key of the suggestion that it fills in; none for a field of the household's own.
    pub(crate) key: Option<String>,
    pub(crate) label: String,
    /// As people read it; empty where there is money.
    pub(crate) value: String,
    pub(crate) money: Option<Money>,
}

/// An amount of money.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Money {
    /// In the smallest unit of the currency, such as cents.
    pub(crate) amount: i64,
    /// By ISO 4217, such as `EUR`.
    pub(crate) currency: String,
}

impl From<entity::Model> for Field {
    fn from(row: entity::Model) -> Self {
        let money = row.amount.zip(row.currency).map(|(amount, currency)| Money { amount, currency });
        Self { key: row.key, label: row.label, value: row.value, money }
    }
}

/// Returns the fields with their texts trimmed, and names what is wrong with them.
pub(super) fn checked(fields: Vec<Field>, errors: &mut Vec<FieldError>) -> Vec<Field> {
    let mut wrong = |why: String| errors.push(FieldError::new("fields", why));
    if fields.len() > FIELDS_MAX {
        wrong(format!("must be at most {FIELDS_MAX}, not {}", fields.len()));
    }
    let (mut all, mut keys) = (0, Vec::new());
    let mut checked = Vec::new();
    for field in fields {
        let field =
            Field { label: field.label.trim().to_owned(), value: field.value.trim().replace("\r\n", "\n"), ..field };
        let name = if field.label.is_empty() { "without a label" } else { &field.label };
        for (text, max, what) in [(&field.label, LABEL_MAX, "label"), (&field.value, VALUE_MAX, "value")] {
            let length = text.chars().count();
            all += length;
            if length > max {
                wrong(format!("have a {what} of {length} characters ({name}), of which there may be {max}"));
            }
        }
        if field.label.is_empty() {
            wrong("must each have a label".to_owned());
        } else if let Some(unseen) = first_unseen(&field.label) {
            wrong(format!(
                "must have labels of one line without invisible characters (there is U+{:04X})",
                u32::from(unseen)
            ));
        }
        if field.value.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')) {
            wrong(format!("must not contain control characters other than line breaks and tabs ({name})"));
        }
        if let Some(key) = &field.key {
            let is_key = (1..=KEY_MAX).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            if !is_key {
                wrong(format!("have a key that is not of the form serial_number ({name})"));
            } else if keys.contains(key) {
                wrong(format!("have the key {key} more than once"));
            }
            keys.push(key.clone());
        }
        match &field.money {
            None if field.value.is_empty() => wrong(format!("must each have a value or an amount ({name})")),
            None => {}
            Some(_) if !field.value.is_empty() => wrong(format!("have a value or an amount, not both ({name})")),
            Some(Money { amount, currency }) => {
                if amount.abs() > AMOUNT_MAX {
                    wrong(format!("have an amount that is too large ({name})"));
                }
                if currency.len() != 3 || !currency.bytes().all(|letter| letter.is_ascii_uppercase()) {
                    wrong(format!("must have a currency of three letters, such as EUR, with an amount ({name})"));
                }
            }
        }
        checked.push(field);
    }
    if all > ALL_MAX {
        wrong(format!("must have at most {ALL_MAX} characters together, not {all}"));
    }
    checked
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(label: &str, value: &str) -> Field {
        Field { label: label.to_owned(), value: value.to_owned(), ..Field::default() }
    }

    fn money(amount: i64, currency: &str) -> Option<Money> {
        Some(Money { amount, currency: currency.to_owned() })
    }

    fn problems(fields: Vec<Field>) -> usize {
        let mut errors = Vec::new();
        checked(fields, &mut errors);
        assert!(errors.iter().all(|error| error.name() == "fields"));
        errors.len()
    }

    #[test]
    fn fields_are_trimmed_and_keep_their_order() {
        let mut errors = Vec::new();
        let fields = checked(vec![field(" b ", " 1\r\n2 "), field("a", "x")], &mut errors);
        assert_eq!((fields, errors.len()), (vec![field("b", "1\n2"), field("a", "x")], 0));
    }

    #[test]
    fn what_no_field_can_be_is_refused() {
        assert_eq!(problems(vec![field("a", "x"); FIELDS_MAX]), 0);
        assert_eq!(problems(vec![field("a", "x"); FIELDS_MAX + 1]), 1);
        for (label, value) in [("", "x"), ("a", ""), ("a\nb", "x"), ("\u{202e}a", "x"), ("a", "\0")] {
            assert_eq!(problems(vec![field(label, value)]), 1, "{label:?} {value:?}");
        }
        assert_eq!(problems(vec![field(&"l".repeat(LABEL_MAX), &"v".repeat(VALUE_MAX))]), 0);
        assert_eq!(problems(vec![field(&"l".repeat(LABEL_MAX + 1), &"v".repeat(VALUE_MAX + 1))]), 2);
        assert_eq!(problems(vec![field("a", &"v".repeat(VALUE_MAX)); 11]), 1);
    }

    #[test]
    fn a_field_has_a_value_or_an_amount_in_a_currency() {
        let of = |value: &str, money| Field { money, ..field("Price", value) };
        assert_eq!(problems(vec![of("", money(-AMOUNT_MAX, "EUR"))]), 0);
        for wrong in [
            of("1", money(1, "EUR")),
            of("", money(1, "eur")),
            of("", money(1, "EURO")),
            of("", money(AMOUNT_MAX + 1, "EUR")),
        ] {
            assert_eq!(problems(vec![wrong.clone()]), 1, "{wrong:?}");
        }
    }

    #[test]
    fn a_key_stands_once() {
        let of = |key: &str| Field { key: Some(key.to_owned()), ..field("a", "x") };
        assert_eq!(problems(vec![of("serial_number"), of("model")]), 0);
        assert_eq!(problems(vec![of("model"), of("model")]), 1);
        for key in ["", "Model", "mo del", "é", &"k".repeat(KEY_MAX + 1)] {
            assert_eq!(problems(vec![of(key)]), 1, "{key}");
        }
    }
}
