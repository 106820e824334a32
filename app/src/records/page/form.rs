//! How does a record get into a form, and out of it?

use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    html::{Fields, Input},
    http::FieldError,
    records::{
        draft::{CATEGORY_MAX, Draft, TITLE_MAX},
        entity::{Model, Visibility},
    },
};

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct RecordForm {
    #[serde(default)]
    pub(crate) title: String,
    #[serde(default)]
    pub(crate) category: String,
    #[serde(default)]
    pub(crate) notes: String,
    #[serde(default)]
    pub(crate) due_date: String,
    /// Absent where whoever fills it in has no say in it.
    pub(crate) visibility: Option<Visibility>,
    /// The version that the form shows; absent for a new record.
    pub(crate) version: Option<i64>,
}

impl RecordForm {
    /// Returns the form as it is filled in for a record.
    pub(crate) fn of(record: &Model) -> Self {
        Self {
            title: record.title.clone(),
            category: record.category.clone(),
            notes: record.notes.clone(),
            due_date: record.due_date.map(|day| day.to_string()).unwrap_or_default(),
            visibility: Some(record.visibility),
            version: Some(record.version),
        }
    }

    /// Returns what it says, or what is wrong with each field.
    pub(crate) fn draft(&self) -> Result<Draft, Vec<FieldError>> {
        let day = match self.due_date.trim() {
            "" => Ok(None),
            text => text.parse().map(Some),
        };
        let draft = Draft {
            title: Some(self.title.clone()),
            category: Some(self.category.clone()),
            // Browsers send line breaks as CR LF whatever the person's system.
            notes: Some(self.notes.replace("\r\n", "\n")),
            due_date: day.as_ref().ok().copied(),
            visibility: self.visibility,
            ..Draft::default()
        }
        .checked();
        match day {
            Ok(_) => draft,
            // Together with what is wrong with everything else.
            Err(error) => {
                let mut errors = draft.err().unwrap_or_default();
                errors.push(FieldError::new("due_date", format!("is not a valid date: {error}")));
                Err(errors)
            }
        }
    }
}

/// Returns the fields of a record; who sees it only where whoever fills them in may say so.
pub(crate) fn fields(form: &RecordForm, fields: &Fields<'_>, chooses_visibility: bool) -> Markup {
    let notes = fields.id("notes");
    html! {
        (fields.input(&Input::new("text", "title", "Title").value(&form.title).longest(TITLE_MAX)))
        (fields.input(&Input::new("text", "category", "Category").value(&form.category).longest(CATEGORY_MAX)
            .optional()))
        (fields.input(&Input::new("date", "due_date", "Due").value(&form.due_date).optional()))
        div.field {
            label for=(notes) { "Notes" span.optional { "optional" } }
            // A line break right after the tag belongs to the tag; this one keeps one that a person typed.
            textarea id=(notes) name="notes" rows="5" aria-invalid=[fields.invalid("notes")]
                aria-describedby=[fields.described("notes")] autofocus[fields.is_first("notes")] { "\n" (form.notes) }
            (fields.error("notes"))
        }
        @if chooses_visibility { (visibility(form.visibility.unwrap_or_default(), fields)) }
        // Somebody else's choice that this form sent all the same.
        @else if fields.invalid("visibility").is_some() {
            div.field id=(fields.id("visibility")) tabindex="-1" { (fields.error("visibility")) }
        }
    }
}

fn visibility(chosen: Visibility, fields: &Fields<'_>) -> Markup {
    // What was wrong leads to the first choice: a fieldset takes no focus.
    let id = fields.id("visibility");
    html! {
        fieldset.choice aria-describedby=[fields.described("visibility")] {
            legend { "Visible to" }
            @for (visibility, value, name, id) in [
                (Visibility::Household, "household", "Everyone in the household", Some(&id)),
                (Visibility::Private, "private", "Only me", None),
            ] {
                label {
                    input id=[id] type="radio" name="visibility" value=(value) checked[visibility == chosen];
                    (name)
                }
            }
            (fields.error("visibility"))
        }
    }
}
