//! How does the list of the records look?

use maud::{Markup, html};

use super::{
    FORM_TARGET, ListQuery,
    form::{self, RecordForm},
};
use crate::{
    html::{Fields, Frame, encoded, title_of},
    http::Problem,
    records::{
        entity::{Model, Visibility},
        listing::{Order, Page},
    },
};

/// What has just happened.
pub(crate) enum Outcome {
    Added(Model),
    Changed(Model),
    Deleted,
}

/// The list, and the form as it was filled in and refused.
pub(crate) struct List<'a> {
    pub(crate) list_query: &'a ListQuery,
    pub(crate) page: &'a Page,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) submitted: &'a RecordForm,
    pub(crate) refusal: Option<&'a Problem>,
}

impl List<'_> {
    /// Returns the page; with the form for who may add something.
    pub(crate) fn page(&self, frame: &Frame, may_add: bool) -> Markup {
        let list = html! {
            section.list aria-labelledby="list" {
                @if let Some(outcome) = &self.outcome { (done(outcome)) }
                (search_form(self.list_query))
                (records(self.list_query, self.page, may_add))
            }
        };
        let add = html! {
            section.card aria-labelledby="add" {
                h2 #add { "Add record" }
                (self.form())
            }
        };
        let content = html! {
            div.title {
                h1 #list { "Records" }
                @if may_add { a.to-form href="#add" { "Add record" } }
            }
            @if may_add {
                div.columns {
                    // On a phone one comes below the other: the list first, unless something is to be corrected.
                    @if self.refusal.is_none() { (list) (add) } @else { (add) (list) }
                }
            } @else { (list) }
        };
        frame.page(&title_of("Records", self.refusal), &content)
    }

    fn form(&self) -> Markup {
        let fields = Fields::new("record", self.refusal);
        html! {
            form method="post" action=(FORM_TARGET) {
                (fields.summary("The record was not added."))
                (form::fields(self.submitted, &fields, true))
                button.main { "Add" }
            }
        }
    }
}

fn done(outcome: &Outcome) -> Markup {
    html! {
        p.done role="status" {
            @match outcome {
                Outcome::Added(record) => { "“" (record.title) "” was added." }
                Outcome::Changed(record) => { "“" (record.title) "” was saved." }
                Outcome::Deleted => { "The record was deleted." }
            }
        }
    }
}

fn search_form(list_query: &ListQuery) -> Markup {
    html! {
        form.search role="search" method="get" action="/" {
            label.hidden for="search" { "Search" }
            input #search type="search" name="search" value=(list_query.search) placeholder="Search records"
                maxlength="1000";
            label.hidden for="sort" { "Sort by" }
            select #sort name="sort" {
                @for (order, name) in [
                    (Order::UpdatedDesc, "Recently updated"),
                    (Order::Updated, "Least recently updated"),
                    (Order::Due, "Due date"),
                    (Order::DueDesc, "Due date, latest first"),
                    (Order::Title, "Title"),
                    (Order::TitleDesc, "Title, Z to A"),
                ] {
                    option value=(order.name()) selected[order == list_query.order] { (name) }
                }
            }
            button { "Search" }
        }
    }
}

fn records(list_query: &ListQuery, page: &Page, may_add: bool) -> Markup {
    html! {
        @if page.records.is_empty() {
            p.nothing {
                @if !list_query.search.is_empty() || list_query.after.is_some() { "No records found." }
                @else if may_add { "There are no records yet. Add the first one." }
                @else { "There are no records yet." }
            }
        } @else {
            ul.records {
                @for record in &page.records { (entry(record)) }
            }
        }
        @if list_query.after.is_some() || page.next.is_some() {
            nav.pages aria-label="Pages" {
                @if list_query.after.is_some() {
                    a rel="first" href=(address(list_query, None)) { "First page" }
                }
                @if let Some(next) = &page.next {
                    a rel="next" href=(address(list_query, Some(&next.to_cursor()))) { "Next page" }
                }
            }
        }
    }
}

fn entry(record: &Model) -> Markup {
    html! {
        li {
            div.head {
                h2 { a href={ "/records/" (record.id) } { (record.title) } }
                @if let Some(day) = record.due_date {
                    span.due { "due " time datetime=(day) { (day) } }
                }
            }
            @if !record.category.is_empty() || record.visibility == Visibility::Private {
                p.category {
                    @if !record.category.is_empty() { span { (record.category) } }
                    @if record.visibility == Visibility::Private { span.mark { "Only me" } }
                }
            }
            @if !record.notes.is_empty() {
                details { summary { "Notes" } p.notes { (record.notes) } }
            }
        }
    }
}

/// The address of another page of the same list.
fn address(list_query: &ListQuery, after: Option<&str>) -> String {
    let mut query = vec![("sort", list_query.order.name())];
    if !list_query.search.is_empty() {
        query.push(("search", &list_query.search));
    }
    if let Some(after) = after {
        query.push(("after", after));
    }
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    format!("/?{}", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        html::for_tests::{EVIL, assert_harmless},
        http::FieldError,
        records::{
            listing::{Cursor, SortKey},
            page::record::tests::evil,
        },
    };

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let submitted = RecordForm {
            title: EVIL.to_owned(),
            category: EVIL.to_owned(),
            notes: format!("</textarea>{EVIL}"),
            due_date: EVIL.to_owned(),
            visibility: None,
            version: None,
        };
        let list_query = ListQuery { search: EVIL.to_owned(), ..ListQuery::default() };
        let problem = Problem::fields(vec![FieldError::new("title", EVIL)]);
        let key = SortKey::Title(EVIL.as_bytes().to_owned());
        let page = Page { next: Some(Cursor { order: Order::Title, key, id: 1 }), records: vec![evil()] };
        let list = List {
            list_query: &list_query,
            page: &page,
            outcome: Some(Outcome::Added(evil())),
            submitted: &submitted,
            refusal: Some(&problem),
        };
        let page = list.page(&Frame::default(), true);
        assert_harmless(&page);
        let text = page.into_string();
        assert_eq!(text.matches("</textarea>").count(), 1);
        assert!(
            text.find("<h1") < text.find("<h2"),
            "the form comes first, and its title after that of the page: {text}"
        );
    }

    #[test]
    fn who_may_not_add_gets_no_form_but_the_search() {
        let list = List {
            list_query: &ListQuery::default(),
            page: &Page { records: vec![evil()], next: None },
            outcome: None,
            submitted: &RecordForm::default(),
            refusal: None,
        };
        let text = list.page(&Frame::default(), false).into_string();
        assert_eq!(text.matches("<form").count(), 1, "{text}");
        assert!(!text.contains("Add record") && text.contains("Only me"), "{text}");
    }
}
