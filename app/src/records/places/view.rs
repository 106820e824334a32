//! How do the pages of places look?

use maud::{Markup, html};
use serde::Deserialize;

use super::{
    entity::Model,
    store::{NAME_MAX, Places},
    tree::Tree,
};
use crate::{
    html::{Fields, Frame, Input, title_of},
    http::Problem,
    records::listing::Page,
};

/// What has just happened, as the address has it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Outcome {
    /// The place that was added.
    pub(super) added: Option<i64>,
    pub(super) done: Option<String>,
}

/// What a form of a place sends.
#[derive(Debug, Clone, Default, Deserialize)]
pub(crate) struct PlaceForm {
    #[serde(default)]
    pub(super) name: String,
    /// The id of the place that it is in; empty for the top.
    #[serde(default)]
    pub(super) parent_id: String,
}

/// Returns the address of the list of the records in a place.
fn records_address(id: i64) -> String {
    format!("/?place_id={id}")
}

/// Returns the page with all places; `form` is for who may add one, as it was filled in and refused.
pub(super) fn list_page(
    frame: &Frame,
    places: &Places,
    form: Option<(PlaceForm, Option<&Problem>)>,
    outcome: &Outcome,
) -> Markup {
    let refusal = form.as_ref().and_then(|(_, refusal)| *refusal);
    let added = outcome.added.and_then(|id| places.tree.get(id));
    let list = html! {
        section.list aria-labelledby="places" {
            @if let Some(place) = added { p.done role="status" { "“" (place.name) "” was added." } }
            @if outcome.done.as_deref() == Some("deleted") { p.done role="status" { "The place was deleted." } }
            @if places.tree.inner(None).next().is_none() {
                p.nothing {
                    "There are no places yet. A place is where something is: a room, a cupboard in it, a box in the cupboard."
                }
            } @else {
                div.places.card { (branch(places, None)) }
            }
        }
    };
    let add = form.map(|(submitted, refusal)| {
        html! {
            section.card aria-labelledby="add" {
                h2 #add { "Add place" }
                (add_form(&places.tree, &submitted, refusal))
            }
        }
    });
    let content = html! {
        p.back { a href="/" { "Back to Records" } }
        div.title {
            h1 #places { "Places" }
            @if add.is_some() { a.to-form href="#add" { "Add place" } }
        }
        @match add {
            Some(add) => {
                div.columns {
                    // On a phone one comes below the other: the list first, unless something is to be corrected.
                    @if refusal.is_none() { (list) (add) } @else { (add) (list) }
                }
            }
            None => { (list) }
        }
    };
    frame.page(&title_of("Places", refusal), &content)
}

/// Returns the places in a place, with those within them.
fn branch(places: &Places, parent: Option<i64>) -> Markup {
    html! {
        ul {
            @for place in places.tree.inner(parent) {
                li {
                    (entry(places, place))
                    @if places.tree.inner(Some(place.id)).next().is_some() { (branch(places, Some(place.id))) }
                }
            }
        }
    }
}

/// Returns a place as a list has it, with a way to its records.
fn entry(places: &Places, place: &Model) -> Markup {
    let number = places.records_within(place.id);
    html! {
        div.place {
            a href={ "/places/" (place.id) } { (place.name) }
            @if number > 0 {
                a.quiet href=(records_address(place.id)) {
                    (number) @if number == 1 { " record" } @else { " records" }
                    span.hidden { " in " (place.name) }
                }
            }
        }
    }
}

fn add_form(tree: &Tree, submitted: &PlaceForm, refusal: Option<&Problem>) -> Markup {
    let fields = Fields::new("place", refusal);
    html! {
        form method="post" action="/places" {
            (fields.summary("The place was not added."))
            (name_field(&fields, submitted))
            (parent_field(&fields, tree, &submitted.parent_id, None))
            button.main { "Add" }
        }
    }
}

fn name_field(fields: &Fields<'_>, submitted: &PlaceForm) -> Markup {
    fields.input(&Input::new("text", "name", "Name").value(&submitted.name).longest(NAME_MAX))
}

/// Returns the choice of the place that another is in: all but itself and those within it.
fn parent_field(fields: &Fields<'_>, tree: &Tree, chosen: &str, place: Option<i64>) -> Markup {
    let own = place.map(|id| tree.within(id)).unwrap_or_default();
    let id = fields.id("parent_id");
    html! {
        div.field {
            label for=(id) { "In" }
            select id=(id) name="parent_id" aria-invalid=[fields.invalid("parent_id")]
                aria-describedby=[fields.described("parent_id")] autofocus[fields.is_first("parent_id")] {
                option value="" { "no other place" }
                @for (_, place) in tree.in_order().iter().filter(|(_, place)| !own.contains(&place.id)) {
                    option value=(place.id) selected[place.id.to_string() == chosen] { (tree.path(place.id)) }
                }
            }
            (fields.error("parent_id"))
        }
    }
}

/// One place, and what is in it.
pub(super) struct One {
    pub(super) place: Model,
    pub(super) places: Places,
    pub(super) records: Page,
    pub(super) may_change: bool,
}

impl One {
    /// Returns the page, with a change or a deletion that was refused.
    pub(super) fn page(
        &self,
        frame: &Frame,
        change: Option<(&PlaceForm, &Problem)>,
        deletion: Option<&Problem>,
        outcome: &Outcome,
    ) -> Markup {
        let refusal = change.map(|(_, problem)| problem).or(deletion);
        let shown = self.shown(outcome);
        let content = html! {
            (self.way())
            h1 { (self.place.name) }
            @if self.may_change {
                div.columns {
                    @if refusal.is_none() { (shown) }
                    div.stack { (self.edit(change)) (self.add()) (self.delete(deletion)) }
                    @if refusal.is_some() { (shown) }
                }
            } @else { (shown) }
        };
        frame.page(&title_of(&self.place.name, refusal), &content)
    }

    /// The places that it is in, from the outermost on.
    fn way(&self) -> Markup {
        let mut outer = self.places.tree.way(self.place.id);
        outer.pop();
        html! {
            nav.back.way aria-label="Places that it is in" {
                a href="/places" { "Places" }
                @for place in outer { span aria-hidden="true" { "/" } a href={ "/places/" (place.id) } { (place.name) } }
            }
        }
    }

    fn shown(&self, outcome: &Outcome) -> Markup {
        let id = self.place.id;
        let added = outcome.added.and_then(|id| self.places.tree.get(id));
        html! {
            div.stack {
                @if let Some(place) = added { p.done role="status" { "“" (place.name) "” was added." } }
                @if outcome.done.as_deref() == Some("changed") { p.done role="status" { "The place was saved." } }
                @if self.places.tree.inner(Some(id)).next().is_some() {
                    section aria-labelledby="within" {
                        h2 #within { "Places in it" }
                        div.places.card { (branch(&self.places, Some(id))) }
                    }
                }
                section aria-labelledby="records" {
                    h2 #records { "Records" }
                    @if self.records.records.is_empty() { p.nothing { "There are no records here." } }
                    @else {
                        ul.records {
                            @for record in &self.records.records {
                                li {
                                    div.head {
                                        h3 { a href={ "/records/" (record.id) } { (record.title) } }
                                        @if let Some(inner) = record.place_id.filter(|inner| *inner != id) {
                                            span.quiet { (self.places.tree.path(inner)) }
                                        }
                                    }
                                }
                            }
                        }
                        p.pages { a href=(records_address(id)) { "Search and sort these records" } }
                    }
                }
            }
        }
    }

    fn edit(&self, change: Option<(&PlaceForm, &Problem)>) -> Markup {
        let now = PlaceForm {
            name: self.place.name.clone(),
            parent_id: self.place.parent_id.map(|id| id.to_string()).unwrap_or_default(),
        };
        let submitted = change.map_or(&now, |(submitted, _)| submitted);
        let fields = Fields::new("place", change.map(|(_, problem)| problem));
        html! {
            section.card aria-labelledby="edit" {
                h2 #edit { "Rename or move" }
                form method="post" action={ "/places/" (self.place.id) } {
                    (fields.summary("The place was not saved."))
                    (name_field(&fields, submitted))
                    (parent_field(&fields, &self.places.tree, &submitted.parent_id, Some(self.place.id)))
                    button.main { "Save" }
                }
            }
        }
    }

    /// The form for a place in this one.
    fn add(&self) -> Markup {
        let fields = Fields::new("inner", None);
        html! {
            details.ask {
                summary { "Add a place in it…" }
                form method="post" action="/places" {
                    input type="hidden" name="parent_id" value=(self.place.id);
                    (name_field(&fields, &PlaceForm::default()))
                    button { "Add" }
                }
            }
        }
    }

    fn delete(&self, refusal: Option<&Problem>) -> Markup {
        let fields = Fields::new("delete", refusal);
        html! {
            details.ask open[refusal.is_some()] {
                summary { "Delete place…" }
                form method="post" action={ "/places/" (self.place.id) "/delete" } {
                    (fields.summary("The place was not deleted."))
                    p { "A place can be deleted when it is empty." }
                    button.danger { "Delete place" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        html::for_tests::{EVIL, assert_harmless},
        http::FieldError,
        records::places::tree::tests::place,
    };

    fn places() -> Places {
        Places::of_tree(Tree::new(vec![place(1, None, EVIL), place(2, Some(1), EVIL)]))
    }

    fn one(may_change: bool) -> One {
        let record = crate::records::entity::Model { id: 7, title: EVIL.to_owned(), place_id: Some(2), ..evil() };
        let records = Page { records: vec![record], next: None };
        One { place: place(1, None, EVIL), places: places(), records, may_change }
    }

    fn evil() -> crate::records::entity::Model {
        crate::records::entity::Model::new(None)
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let problem = Problem::fields(vec![FieldError::new("name", EVIL), FieldError::new("parent_id", EVIL)]);
        let form = PlaceForm { name: EVIL.to_owned(), parent_id: EVIL.to_owned() };
        let outcome = Outcome { added: Some(1), done: Some(EVIL.to_owned()) };
        assert_harmless(&list_page(&Frame::default(), &places(), Some((form.clone(), Some(&problem))), &outcome));
        assert_harmless(&one(true).page(&Frame::default(), Some((&form, &problem)), None, &outcome));
        assert_harmless(&one(true).page(&Frame::default(), None, Some(&Problem::conflict(EVIL)), &outcome));
    }

    #[test]
    fn guests_get_no_form_and_a_place_is_not_offered_to_itself() {
        let none = Outcome::default();
        let guests = one(false).page(&Frame::default(), None, None, &none).into_string();
        assert!(!guests.contains("<form") && guests.contains("/records/7"), "{guests}");
        assert!(!list_page(&Frame::default(), &places(), None, &none).into_string().contains("<form"));
        let members = one(true).page(&Frame::default(), None, None, &none).into_string();
        assert!(members.contains("/places/1/delete") && !members.contains(r#"<option value="2""#), "{members}");
    }
}
