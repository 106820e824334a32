//! How do records come in from elsewhere?
//!
//! Each form is read into the same list of records to add ([`Incoming`]): a table ([`table`], [`columns`]), Homebox's table
//! ([`homebox_csv`]) and an archive of Hearth's own. What cannot be taken is left out with a reason, and all others are added in
//! one transaction.

pub(super) mod addition;
pub(super) mod bad_import;
pub(super) mod binder;
pub(super) mod columns;
pub(super) mod homebox_csv;
pub(super) mod homebox_zip;
mod json;
pub(super) mod table;

use super::format::Way;
use crate::{
    datetime::Timestamp,
    http::{FieldError, filled_line},
    records::{
        attachments::{Kept, MOST, entity::attachment::Role},
        draft::Draft,
        fields::Field,
        places::{store::NAME_MAX, tree::DEPTH_MAX},
    },
};

/// A record that is to be added.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Incoming {
    /// What a report calls it.
    pub(super) what: String,
    pub(super) draft: Draft,
    pub(super) place: Way,
    pub(super) created_at: Option<Timestamp>,
    pub(super) updated_at: Option<Timestamp>,
    /// What is wrong with it that its draft does not show.
    pub(super) problems: Vec<String>,
    /// In their order.
    pub(super) files: Vec<IncomingFile>,
}

/// A file of a record, whose content is in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IncomingFile {
    pub(super) kept: Kept,
    pub(super) name: String,
    pub(super) role: Role,
    pub(super) added_at: Option<Timestamp>,
}

/// What was not taken, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LeftOut {
    pub(super) what: String,
    pub(super) why: String,
}

/// What was read: the records to add, and what cannot be taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) records: Vec<Incoming>,
    /// Places to make that may have nothing in them.
    pub(super) places: Vec<Way>,
    pub(super) left_out: Vec<LeftOut>,
}

impl Reading {
    /// Takes a record if it can be one, and returns which it is then.
    pub(super) fn take(&mut self, record: Incoming) -> Option<usize> {
        match record.checked() {
            Ok(record) => self.records.push(record),
            Err(left_out) => {
                self.left_out.push(left_out);
                return None;
            }
        }
        Some(self.records.len() - 1)
    }

    /// Takes a place if it can be one.
    pub(super) fn take_place(&mut self, way: Way) {
        let mut errors = Vec::new();
        let what = format!("Place “{}”", way.join(" / "));
        match checked_way(way, &mut errors) {
            way if errors.is_empty() => self.places.push(way),
            _ => self.leave_out(what, words(&errors)),
        }
    }

    /// Takes a file of a record, or leaves it out, with what a report calls it.
    pub(super) fn take_file<E>(
        &mut self,
        record: usize,
        what: impl Into<String>,
        file: impl FnOnce() -> Result<Result<IncomingFile, String>, E>,
    ) -> Result<(), E> {
        let file = match self.records[record].files.len() {
            MOST => Err(format!("its record has {MOST} attachments already, which is the most")),
            _ => file()?,
        };
        match file {
            Ok(file) => self.records[record].files.push(file),
            Err(why) => self.leave_out(what, why),
        }
        Ok(())
    }

    /// Returns how many bytes all files have together, each as often as a record has it.
    pub(super) fn file_bytes(&self) -> u64 {
        self.records.iter().flat_map(|record| &record.files).map(|file| file.kept.bytes).sum()
    }

    /// Leaves something out.
    pub(super) fn leave_out(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.left_out.push(LeftOut { what: what.into(), why: why.into() });
    }
}

impl Incoming {
    /// Returns the record as it can be added, or why it cannot.
    fn checked(self) -> Result<Self, LeftOut> {
        let mut errors = Vec::new();
        let place = checked_way(self.place, &mut errors);
        let draft = self.draft.checked().unwrap_or_else(|mut more| {
            errors.append(&mut more);
            Draft::default()
        });
        let mut why = self.problems.clone();
        why.extend((!errors.is_empty()).then(|| words(&errors)));
        if why.is_empty() {
            Ok(Self { draft, place, ..self })
        } else {
            Err(LeftOut { what: self.what, why: why.join("; ") })
        }
    }
}

/// Returns the way to a place as it is kept, and names what is wrong with it.
fn checked_way(way: Way, errors: &mut Vec<FieldError>) -> Way {
    if way.len() > DEPTH_MAX {
        errors.push(FieldError::new("place", format!("is {} deep, and places go {DEPTH_MAX} deep at most", way.len())));
    }
    way.iter().map(|name| filled_line("place", name, NAME_MAX, errors)).collect()
}

/// Says what is wrong with fields, as one sentence.
fn words(errors: &[FieldError]) -> String {
    let words: Vec<_> = errors.iter().map(|error| format!("{} {}", error.name(), error.message())).collect();
    words.join("; ")
}

/// Returns a field of the household's own, unless it says nothing.
fn own_field(label: &str, value: &str) -> Option<Field> {
    let value = value.trim();
    let field = Field { label: label.trim().to_owned(), value: value.to_owned(), ..Field::default() };
    (!value.is_empty()).then_some(field)
}

/// Returns the parts of a text, without blanks around them and without empty ones.
fn parts(text: &str, marks: &[char]) -> Vec<String> {
    text.split(marks).map(str::trim).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}
