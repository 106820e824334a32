//! What does `records.csv` say?
//!
//! A row for each record and a column for each thing that records usually say, for spreadsheets. It is for reading: `binder.json` has
//! everything.

use std::io::{self, Write};

use crate::records::kind::Kind;

use super::{super::format::PortableRecord, markdown::value};

/// The columns before those of the fields.
const COLUMNS: [&str; 13] = [
    "id",
    "title",
    "kind",
    "category",
    "place",
    "tags",
    "due_date",
    "visibility",
    "notes",
    "added_by",
    "created_at",
    "updated_at",
    "attachments",
];
/// The last column has the fields that have none of their own.
const OTHERS: &str = "other_fields";

/// The table as it is written.
pub(super) struct Table<W: Write> {
    rows: csv::Writer<W>,
    /// The columns of fields, by their keys.
    keys: Vec<&'static str>,
}

impl<W: Write> Table<W> {
    /// Begins the table with its heads.
    pub(super) fn new(mut to: W) -> io::Result<Self> {
        // Spreadsheets take a text for UTF-8 by this alone.
        to.write_all("\u{feff}".as_bytes())?;
        let keys = keys();
        let mut rows = csv::Writer::from_writer(to);
        rows.write_record(COLUMNS.iter().chain(&keys).chain(&[OTHERS])).map_err(io::Error::from)?;
        Ok(Self { rows, keys })
    }

    /// Adds a record.
    pub(super) fn add(&mut self, record: &PortableRecord) -> io::Result<()> {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let files: Vec<_> = record.attachments.iter().map(|attachment| attachment.path.as_str()).collect();
        let mut row = vec![
            record.id.to_string(),
            record.title.clone(),
            record.kind.0.name().to_owned(),
            record.category.clone(),
            record.place.join(" / "),
            record.tags.join(", "),
            text(&record.due_date),
            record.visibility.name().to_owned(),
            record.notes.clone(),
            text(&record.added_by),
            text(&record.created_at),
            text(&record.updated_at),
            files.join("\n"),
        ];
        let of = |key: &str| record.fields.iter().find(|field| field.key.as_deref() == Some(key));
        row.extend(self.keys.iter().map(|key| of(key).map(value).unwrap_or_default()));
        let has_column = |key: &Option<String>| key.as_deref().is_some_and(|key| self.keys.contains(&key));
        let others = record.fields.iter().filter(|field| !has_column(&field.key));
        let others: Vec<_> = others.map(|field| format!("{}: {}", field.label, value(field))).collect();
        row.push(others.join("\n"));
        self.rows.write_record(row.iter().map(|cell| harmless(cell))).map_err(io::Error::from)
    }

    /// Ends the table.
    pub(super) fn finish(mut self) -> io::Result<()> {
        self.rows.flush()
    }
}

/// Returns the keys that kinds suggest, each once.
fn keys() -> Vec<&'static str> {
    let mut keys = Vec::new();
    for suggestion in Kind::ALL.iter().flat_map(|kind| kind.suggestions()) {
        if !keys.contains(&suggestion.key) {
            keys.push(suggestion.key);
        }
    }
    keys
}

/// Returns a cell that no spreadsheet takes for a formula: what could be one gets an apostrophe before it.
fn harmless(cell: &str) -> String {
    let is_number =
        || cell.trim_start_matches(['-', '+']).chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | ',' | ' '));
    match cell.chars().next() {
        Some('=' | '@' | '\t' | '\r') => format!("'{cell}"),
        Some('+' | '-') if !is_number() => format!("'{cell}"),
        _ => cell.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::portability::{for_tests::record, format::PortableField};

    #[test]
    fn a_record_is_a_row_and_its_usual_fields_are_columns() {
        let mut bytes = Vec::new();
        let mut table = Table::new(&mut bytes).unwrap();
        let mut one = record(7, "=HYPERLINK(\"x\")");
        let field = |key: Option<&str>, label: &str, value: &str| PortableField {
            key: key.map(str::to_owned),
            label: label.to_owned(),
            value: value.to_owned(),
            ..PortableField::default()
        };
        one.fields =
            vec![field(Some("model"), "Model", "X1"), field(None, "Colour", "green"), field(None, "Depth", "-5")];
        table.add(&one).unwrap();
        table.finish().unwrap();
        let text = String::from_utf8(bytes).unwrap();
        let mut rows = csv::Reader::from_reader(text.strip_prefix('\u{feff}').unwrap().as_bytes());
        let heads = rows.headers().unwrap().clone();
        let row = rows.records().next().unwrap().unwrap();
        let cell = |name: &str| row[heads.iter().position(|head| head == name).unwrap()].to_owned();
        assert_eq!(cell("title"), "'=HYPERLINK(\"x\")");
        assert_eq!((cell("model"), cell("other_fields")), ("X1".to_owned(), "Colour: green\nDepth: -5".to_owned()));
        assert_eq!(cell("added_by"), "Anna");
    }

    #[test]
    fn numbers_stay_numbers() {
        for cell in ["-5", "+49 30 1234", "12.50 EUR", "", "-1,5"] {
            assert_eq!(harmless(cell), cell);
        }
        for cell in ["=1+1", "@SUM(A1)", "-2+3", "+cmd|' /C calc'!A0"] {
            assert!(harmless(cell).starts_with('\''), "{cell}");
        }
    }
}
