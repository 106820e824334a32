//! How does the page of one record look?

use maud::{Markup, html};
use poem::http::StatusCode;

use super::form::{self, RecordForm};
use crate::{
    html::{Fields, Frame, markdown, timestamp, title_of},
    http::Problem,
    records::entity::{Model, Visibility},
};

/// The form for who may change a record, as it was filled in and refused.
pub(crate) struct Editing<'a> {
    pub(crate) submitted: &'a RecordForm,
    /// Whether it was them who added it.
    pub(crate) is_own: bool,
    pub(crate) refusal: Option<&'a Problem>,
}

/// Returns the page; with forms for who may change the record.
pub(crate) fn page(frame: &Frame, record: &Model, editing: Option<Editing<'_>>) -> Markup {
    let shown = shown(record);
    let refusal = editing.as_ref().and_then(|editing| editing.refusal);
    let is_conflict = refusal.is_some_and(|problem| problem.status() == StatusCode::PRECONDITION_FAILED);
    let content = html! {
        p.back { a href="/" { "Back to Records" } }
        h1 { (record.title) }
        @match &editing {
            None => { (shown) }
            Some(editing) => {
                div.columns {
                    // On a phone one comes below the other: the record first, unless something is to be corrected.
                    @if refusal.is_none() { (shown) }
                    div.stack {
                        (edit(record, editing))
                        (delete(record))
                    }
                    @if refusal.is_some() {
                        div {
                            @if is_conflict { h2 { "Saved version" } }
                            (shown)
                        }
                    }
                }
            }
        }
    };
    frame.page(&title_of(&record.title, refusal), &content)
}

fn shown(record: &Model) -> Markup {
    html! {
        article.record {
            @if record.visibility == Visibility::Private { p { span.mark { "Only me" } } }
            dl.facts {
                @if !record.category.is_empty() { dt { "Category" } dd { (record.category) } }
                @if let Some(day) = record.due_date { dt { "Due" } dd { time datetime=(day) { (day) } } }
                dt { "Updated" } dd { (timestamp(record.updated_at)) }
            }
            @if !record.notes.is_empty() {
                h2.hidden { "Notes" }
                div.notes { (markdown(&record.notes)) }
            }
        }
    }
}

fn edit(record: &Model, editing: &Editing<'_>) -> Markup {
    let is_conflict = editing.refusal.is_some_and(|problem| problem.status() == StatusCode::PRECONDITION_FAILED);
    let fields = Fields::new("record", editing.refusal);
    html! {
        section.card aria-labelledby="edit" {
            h2 #edit { @if is_conflict { "Your version" } @else { "Edit" } }
            form method="post" action={ "/records/" (record.id) } {
                // The version that is shown beside the form: to save it then is a decision.
                input type="hidden" name="version" value=(record.version);
                @if is_conflict {
                    p.error role="alert" {
                        "The record was changed while this page was open. Nothing was saved. Compare your version with the saved \
                         one. Saving replaces it."
                    }
                } @else { (fields.summary("The record was not saved.")) }
                (form::fields(editing.submitted, &fields, editing.is_own))
                button.main { "Save" }
            }
        }
    }
}

fn delete(record: &Model) -> Markup {
    html! {
        details.ask {
            summary { "Delete record…" }
            form method="post" action={ "/records/" (record.id) "/delete" } {
                input type="hidden" name="version" value=(record.version);
                p { "This permanently deletes “" (record.title) "” for everyone who can see it." }
                button.danger { "Delete permanently" }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::{
        html::for_tests::{EVIL, assert_harmless},
        http::FieldError,
    };

    /// A record that is hostile in each of its texts.
    pub(crate) fn evil() -> Model {
        Model {
            id: 1,
            title: EVIL.to_owned(),
            category: EVIL.to_owned(),
            notes: format!("</textarea>{EVIL}"),
            visibility: Visibility::Private,
            ..Model::new(None)
        }
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let record = evil();
        let submitted = RecordForm::of(&record);
        let editing = Editing { submitted: &submitted, is_own: true, refusal: None };
        assert_harmless(&page(&Frame::default(), &record, Some(editing)));
    }

    #[test]
    fn only_who_added_it_says_who_sees_it_and_guests_get_no_form() {
        let record = evil();
        let submitted = RecordForm::of(&record);
        let text = |editing| page(&Frame::default(), &record, editing).into_string();
        let own = text(Some(Editing { submitted: &submitted, is_own: true, refusal: None }));
        assert!(own.contains(r#"value="private" checked"#), "{own}");
        let anothers = text(Some(Editing { submitted: &submitted, is_own: false, refusal: None }));
        assert!(!anothers.contains("visibility") && anothers.contains("/records/1/delete"), "{anothers}");
        assert!(!text(None).contains("<form"));
    }

    #[test]
    fn what_was_wrong_leads_to_a_field_and_no_title_comes_before_that_of_the_page() {
        let (record, problem) = (evil(), Problem::fields(vec![FieldError::new("visibility", "is wrong")]));
        let submitted = RecordForm::of(&record);
        for is_own in [true, false] {
            let editing = Editing { submitted: &submitted, is_own, refusal: Some(&problem) };
            let text = page(&Frame::default(), &record, Some(editing)).into_string();
            assert!(text.contains(r##"href="#record-visibility""##), "{text}");
            assert_eq!(text.matches(r#"id="record-visibility""#).count(), 1, "{text}");
            assert!(text.find("<h1") < text.find("<h2"), "{text}");
            assert!(text.contains("<title>Error: "), "{text}");
        }
    }
}
