//! What may a record say?
//!
//! The one place for its limits: the API, its document and the page all come here.

use super::entity::{Model, Visibility};
use crate::{
    datetime::Day,
    http::{FieldError, filled_line, line},
};

pub(crate) const TITLE_MAX: usize = 200;
pub(crate) const CATEGORY_MAX: usize = 100;
pub(crate) const NOTES_MAX: usize = 100_000;

/// What a record is to say; an absent field is left as it is, in a new record empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) title: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) notes: Option<String>,
    pub(crate) due_date: Option<Option<Day>>,
    pub(crate) visibility: Option<Visibility>,
}

impl Draft {
    /// Returns the draft with its lines trimmed, or what is wrong with each field.
    pub(crate) fn checked(self) -> Result<Self, Vec<FieldError>> {
        let mut errors = Vec::new();
        let title = self.title.map(|title| filled_line("title", &title, TITLE_MAX, &mut errors));
        let category = self.category.map(|category| line("category", &category, CATEGORY_MAX, &mut errors));
        if let Some(notes) = &self.notes {
            check_length("notes", notes, NOTES_MAX, &mut errors);
            if notes.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t')) {
                errors.push(FieldError::new(
                    "notes",
                    "must not contain control characters other than line breaks and tabs",
                ));
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { title, category, ..self })
    }

    /// Returns whether the record would be seen by others, or not any more.
    pub(crate) fn changes_visibility(&self, record: &Model) -> bool {
        self.visibility.is_some_and(|visibility| visibility != record.visibility)
    }

    /// Returns the record as it is then.
    pub(crate) fn applied(&self, record: &Model) -> Model {
        let Self { title, category, notes, due_date, visibility } = self.clone();
        let mut changed = record.clone();
        changed.title = title.unwrap_or(changed.title);
        changed.category = category.unwrap_or(changed.category);
        changed.notes = notes.unwrap_or(changed.notes);
        changed.due_date = due_date.unwrap_or(changed.due_date);
        changed.visibility = visibility.unwrap_or(changed.visibility);
        changed
    }
}

fn check_length(field: &'static str, text: &str, max: usize, errors: &mut Vec<FieldError>) {
    let length = text.chars().count();
    if length > max {
        errors.push(FieldError::new(field, format!("must be at most {max} characters long, not {length}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draft(title: &str, category: &str, notes: &str) -> Draft {
        let text = |text: &str| Some(text.to_owned());
        Draft { title: text(title), category: text(category), notes: text(notes), ..Draft::default() }
    }

    fn errors(title: &str, category: &str, notes: &str) -> Vec<String> {
        match draft(title, category, notes).checked() {
            Ok(_) => Vec::new(),
            Err(errors) => errors.iter().map(|error| error.name().to_owned()).collect(),
        }
    }

    #[test]
    fn limits_count_characters_and_include_their_bounds() {
        assert!(errors(&"猫".repeat(200), &"é".repeat(100), &"x".repeat(100_000)).is_empty());
        assert_eq!(errors(&"猫".repeat(201), "", ""), ["title"]);
        assert_eq!(errors("a", &"é".repeat(101), ""), ["category"]);
        assert_eq!(errors("a", "", &"x".repeat(100_001)), ["notes"]);
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        assert_eq!(errors(" \t ", "a\nb", "\0"), ["title", "category", "notes"]);
        assert!(errors("a", "", "two\r\nlines\tand a tab").is_empty());
    }

    #[test]
    fn title_and_category_are_trimmed_and_notes_are_not() {
        assert_eq!(draft(" \u{3000}a ", " b\n", " c ").checked().unwrap(), draft("a", "b", " c "));
    }
}
