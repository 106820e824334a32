//! Which parts of a record differ between two of its versions?

use poem_openapi::Enum;

use super::content::Content;

/// A part of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename = "RecordPart", rename_all = "snake_case")]
pub(crate) enum Part {
    Title,
    Kind,
    Category,
    DueDate,
    Place,
    Fields,
    Tags,
    Notes,
    Attachments,
    Visibility,
    GuestsSeeAttachments,
}

impl Part {
    /// Returns its name for people.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Title => "Title",
            Self::Kind => "Kind",
            Self::Category => "Category",
            Self::DueDate => "Due date",
            Self::Place => "Place",
            Self::Fields => "Fields",
            Self::Tags => "Tags",
            Self::Notes => "Notes",
            Self::Attachments => "Attachments",
            Self::Visibility => "Visibility",
            Self::GuestsSeeAttachments => "Attachments for guests",
        }
    }
}

/// Returns the parts in which two versions differ, in the order of a record's page. A place is the same by whatever name.
pub(crate) fn differing(one: &Content, other: &Content) -> Vec<Part> {
    let place = |content: &Content| content.place.as_ref().map(|place| place.id);
    [
        (Part::Title, one.title != other.title),
        (Part::Kind, one.kind != other.kind),
        (Part::Category, one.category != other.category),
        (Part::DueDate, one.due_date != other.due_date),
        (Part::Place, place(one) != place(other)),
        (Part::Fields, one.fields != other.fields),
        (Part::Tags, one.tags != other.tags),
        (Part::Notes, one.notes != other.notes),
        (Part::Attachments, one.attachments != other.attachments),
        (Part::Visibility, one.visibility != other.visibility),
        (Part::GuestsSeeAttachments, one.guests_see_attachments != other.guests_see_attachments),
    ]
    .into_iter()
    .filter_map(|(part, differs)| differs.then_some(part))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::{
        entity::Visibility,
        history::content::{KeptPlace, tests::titled},
        kind::Kind,
    };

    #[test]
    fn each_part_that_differs_is_named() {
        let before = titled("Boiler");
        assert!(differing(&before, &before).is_empty());
        let place = |name: &str, id| Some(KeptPlace { id, name: name.to_owned() });
        let renamed = Content { place: place("Loft", 3), ..before.clone() };
        assert!(differing(&before, &renamed).is_empty());
        let after = Content {
            kind: Kind::Thing,
            category: "house".to_owned(),
            notes: "yearly".to_owned(),
            due_date: None,
            visibility: Visibility::Private,
            place: place("Attic", 4),
            guests_see_attachments: true,
            fields: Vec::new(),
            tags: Vec::new(),
            attachments: Vec::new(),
            ..titled("Stove")
        };
        assert_eq!(differing(&before, &after).len(), 11);
        assert_eq!(differing(&after, &before)[0], Part::Title);
    }
}
