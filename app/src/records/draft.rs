//! What may a record say?
//!
//! The one place for its limits: the API, its document and the page all come here.

use super::{
    details::Details,
    entity::{Model, Visibility},
    fields::{self, Field},
    fold::category_key,
    kind::Kind,
};
use crate::{
    datetime::Day,
    http::{FieldError, filled_line, line},
};

pub(crate) const TITLE_MAX: usize = 200;
pub(crate) const CATEGORY_MAX: usize = 100;
pub(crate) const NOTES_MAX: usize = 100_000;
/// Tags of a record.
pub(crate) const TAGS_MAX: usize = 20;
/// Characters of a tag.
pub(crate) const TAG_MAX: usize = 50;

/// What a record is to say; an absent field is left as it is, in a new record empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Draft {
    pub(crate) title: Option<String>,
    pub(crate) category: Option<String>,
    pub(crate) notes: Option<String>,
    pub(crate) due_date: Option<Option<Day>>,
    pub(crate) visibility: Option<Visibility>,
    pub(crate) kind: Option<Kind>,
    pub(crate) place_id: Option<Option<i64>>,
    pub(crate) guests_see_attachments: Option<bool>,
    /// All of them.
    pub(crate) fields: Option<Vec<Field>>,
    /// All of them.
    pub(crate) tags: Option<Vec<String>>,
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
        let fields = self.fields.map(|fields| fields::checked(fields, &mut errors));
        let tags = self.tags.map(|tags| checked_tags(tags, &mut errors));
        if !errors.is_empty() {
            return Err(errors);
        }
        Ok(Self { title, category, fields, tags, ..self })
    }

    /// Returns whether the record would be seen by others, or not any more.
    pub(crate) fn changes_visibility(&self, record: &Model) -> bool {
        self.visibility.is_some_and(|visibility| visibility != record.visibility)
    }

    /// Returns the record as it is then.
    pub(crate) fn applied(&self, record: &Model) -> Model {
        let Self {
            title,
            category,
            notes,
            due_date,
            visibility,
            kind,
            place_id,
            guests_see_attachments,
            fields: _,
            tags: _,
        } = self.clone();
        let mut changed = record.clone();
        changed.title = title.unwrap_or(changed.title);
        changed.category = category.unwrap_or(changed.category);
        changed.notes = notes.unwrap_or(changed.notes);
        changed.due_date = due_date.unwrap_or(changed.due_date);
        changed.visibility = visibility.unwrap_or(changed.visibility);
        changed.kind = kind.unwrap_or(changed.kind);
        changed.place_id = place_id.unwrap_or(changed.place_id);
        changed.guests_see_attachments = guests_see_attachments.unwrap_or(changed.guests_see_attachments);
        changed
    }

    /// Returns its details as they are then.
    pub(crate) fn details(&self, details: &Details) -> Details {
        Details {
            fields: self.fields.clone().unwrap_or_else(|| details.fields.clone()),
            tags: self.tags.clone().unwrap_or_else(|| details.tags.clone()),
        }
    }
}

/// Returns the tags, each once, in the order of the alphabet.
fn checked_tags(tags: Vec<String>, errors: &mut Vec<FieldError>) -> Vec<String> {
    let mut checked: Vec<String> = tags.iter().map(|tag| filled_line("tags", tag, TAG_MAX, errors)).collect();
    if checked.iter().any(|tag| tag.contains(',')) {
        errors.push(FieldError::new("tags", "must not contain a comma, which parts them"));
    }
    checked.sort_by_cached_key(|tag| category_key(tag));
    checked.dedup_by_key(|tag| category_key(tag));
    if checked.len() > TAGS_MAX {
        errors.push(FieldError::new("tags", format!("must be at most {TAGS_MAX}, not {}", checked.len())));
    }
    checked
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
    fn a_tag_stands_once_whatever_its_spelling() {
        let tags = |tags: &[&str]| {
            let tags = Some(tags.iter().map(|tag| (*tag).to_owned()).collect());
            Draft { tags, ..Draft::default() }.checked().map(|draft| draft.tags.unwrap())
        };
        assert_eq!(tags(&["kitchen ", "Attic", "ATTIC", "Küche"]).unwrap(), ["Attic", "kitchen", "Küche"]);
        for wrong in [&["a,b"] as &[&str], &[""], &["a\nb"], &[&"t".repeat(TAG_MAX + 1)]] {
            assert_eq!(tags(wrong).unwrap_err().len(), 1, "{wrong:?}");
        }
        let many: Vec<_> = (0..=TAGS_MAX).map(|number| format!("tag {number}")).collect();
        assert!(tags(&many.iter().map(String::as_str).collect::<Vec<_>>()).is_err());
    }

    #[test]
    fn title_and_category_are_trimmed_and_notes_are_not() {
        assert_eq!(draft(" \u{3000}a ", " b\n", " c ").checked().unwrap(), draft("a", "b", " c "));
    }
}
