//! How does a record read as a file of its own?

use std::fmt::Write;

use crate::{
    http::encoded,
    records::{entity::Visibility, fields::Money},
};

use super::super::format::{PortableField, PortableRecord};

/// Returns a record as Markdown. Its files lie beside it.
pub(super) fn markdown(record: &PortableRecord) -> String {
    let mut text = format!("# {}\n\n", escaped(&record.title));
    let mut line = |label: &str, value: &str| {
        if !value.is_empty() {
            let _ = writeln!(text, "- {label}: {}", escaped(value));
        }
    };
    line("Kind", record.kind.0.label());
    line("Category", &record.category);
    line("Place", &record.place.join(" / "));
    line("Tags", &record.tags.join(", "));
    line("Due", record.due_date.as_deref().unwrap_or_default());
    if record.visibility == Visibility::Private {
        line("Visibility", "only who added it");
    }
    line("Added", &when(record.created_at.as_deref(), record.added_by.as_deref()));
    line("Changed", &when(record.updated_at.as_deref(), None));
    if !record.fields.is_empty() {
        text.push_str("\n## Fields\n\n");
        for field in &record.fields {
            let _ = writeln!(text, "- {}: {}", escaped(&field.label), escaped(&value(field)));
        }
    }
    if !record.attachments.is_empty() {
        text.push_str("\n## Files\n\n");
        for attachment in &record.attachments {
            let file = attachment.path.rsplit('/').next().unwrap_or_default();
            let _ = writeln!(text, "- [{}]({})", escaped(&attachment.name), encoded(file));
        }
    }
    if !record.notes.is_empty() {
        let _ = write!(text, "\n## Notes\n\n{}\n", record.notes.trim_end());
    }
    text
}

/// Returns what a field says, for people and for tables.
pub(super) fn value(field: &PortableField) -> String {
    match (field.amount, &field.currency) {
        (Some(amount), Some(currency)) => Money { amount, currency: currency.clone() }.in_form(),
        _ => field.value.clone(),
    }
}

fn when(moment: Option<&str>, by: Option<&str>) -> String {
    match (moment, by) {
        (Some(moment), Some(by)) => format!("{moment} by {by}"),
        (Some(moment), None) => moment.to_owned(),
        (None, by) => by.unwrap_or_default().to_owned(),
    }
}

/// Returns a text so that nothing in it is taken for Markdown. A second line belongs to the same entry of a list.
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for letter in text.chars() {
        match letter {
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '#' | '&' | '|' | '~' => escaped.extend(['\\', letter]),
            '\n' => escaped.push_str("  \n  "),
            letter => escaped.push(letter),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::portability::{
        for_tests::record,
        format::{PortableAttachment, PortableKind},
    };
    use crate::records::{attachments::entity::attachment::Role, kind::Kind};

    #[test]
    fn a_record_reads_without_hearth() {
        let mut record = record(7, "Drill *green*");
        record.kind = PortableKind(Kind::Thing);
        record.place = vec!["Home".to_owned(), "Cellar".to_owned()];
        record.tags = vec!["tools".to_owned()];
        record.notes = "Bits are *blue*.\n".to_owned();
        record.fields = vec![
            PortableField { label: "Model".to_owned(), value: "X_1\nnew".to_owned(), ..PortableField::default() },
            PortableField {
                label: "Price".to_owned(),
                amount: Some(12_950),
                currency: Some("EUR".to_owned()),
                ..PortableField::default()
            },
        ];
        record.attachments = vec![PortableAttachment {
            path: "records/7 Drill/receipt 1.pdf".to_owned(),
            name: "receipt 1.pdf".to_owned(),
            role: Role::Receipt,
            bytes: 1,
            media_type: None,
            blake3: String::new(),
            added_by: None,
            added_at: None,
        }];
        assert_eq!(
            markdown(&record),
            "# Drill \\*green\\*\n\n- Kind: Thing\n- Place: Home / Cellar\n- Tags: tools\n\
             - Added: 2026-11-24T12:00:00.000Z by Anna\n- Changed: 2026-11-25T12:00:00.000Z\n\n\
             ## Fields\n\n- Model: X\\_1  \n  new\n- Price: 129.50 EUR\n\n\
             ## Files\n\n- [receipt 1.pdf](receipt%201.pdf)\n\n## Notes\n\nBits are *blue*.\n"
        );
    }
}
