//! How does the page of the records look?

use maud::{Markup, html};

use super::{
    draft::{CATEGORY_MAX, TITLE_MAX},
    entity::Model,
    listing::{Order, Page},
    pages::{Asked, FORM_TARGET, Filled},
};
use crate::{
    http::FieldError,
    web::{encoded, layout},
};

/// Returns the list, the form as it was filled in, and what was wrong with it.
pub(super) fn list_page(
    asked: &Asked,
    page: &Page,
    added: Option<&Model>,
    filled: &Filled,
    errors: &[FieldError],
) -> Markup {
    let list_section = html! {
        section.list aria-labelledby="list" {
            h1 #list { "Records" }
            a.to-form href="#add" { "Add a record" }
            (search_form(asked))
            (records(asked, page))
        }
    };
    let add_section = html! {
        section.add aria-labelledby="add" {
            h2 #add { "Add a record" }
            (form(filled, errors))
        }
    };
    let content = html! {
        main {
            @if let Some(record) = added {
                p.done role="status" { "“" (record.title) "” was added." }
            }
            div.columns {
                // On a phone one comes below the other: the list first, unless something is to be corrected.
                @if errors.is_empty() { (list_section) (add_section) } @else { (add_section) (list_section) }
            }
        }
    };
    layout("Records · Hearth", &content)
}

fn search_form(asked: &Asked) -> Markup {
    html! {
        form.search role="search" method="get" action="/" {
            label.hidden for="search" { "Search" }
            input #search type="search" name="search" value=(asked.search) placeholder="Search records"
                maxlength="1000";
            label.hidden for="order" { "Order" }
            select #order name="order" {
                @for (order, name) in [
                    (Order::Updated, "Newest first"),
                    (Order::Due, "Due first"),
                    (Order::Title, "By title"),
                ] {
                    option value=(order.name()) selected[order == asked.order] { (name) }
                }
            }
            button { "Search" }
        }
    }
}

fn records(asked: &Asked, page: &Page) -> Markup {
    html! {
        @if page.records.is_empty() {
            p.nothing {
                @if asked.search.is_empty() && asked.after.is_none() { "There are no records yet. Add the first one." }
                @else { "Nothing was found." }
            }
        } @else {
            ul.records {
                @for record in &page.records { (entry(record)) }
            }
        }
        nav.pages aria-label="Pages" {
            @if asked.after.is_some() {
                a rel="first" href=(address(asked, None)) { "First page" }
            }
            @if let Some(next) = &page.next {
                a rel="next" href=(address(asked, Some(&next.to_cursor()))) { "Next page" }
            }
        }
    }
}

fn entry(record: &Model) -> Markup {
    html! {
        li {
            div.head {
                h2 { (record.title) }
                @if let Some(day) = record.due_date {
                    span.due { "due " time datetime=(day) { (day) } }
                }
            }
            @if !record.category.is_empty() { p.category { (record.category) } }
            @if !record.notes.is_empty() {
                details { summary { "Notes" } p.notes { (record.notes) } }
            }
        }
    }
}

fn form(filled: &Filled, errors: &[FieldError]) -> Markup {
    let wrong = |field: &str| errors.iter().find(|error| error.name() == field);
    let said = |field: &'static str, label: &str| {
        html! {
            @if let Some(error) = wrong(field) {
                p.error id=(format!("{field}-error")) { (label) " " (error.message()) "." }
            }
        }
    };
    let described = |field: &'static str| wrong(field).map(|_| format!("{field}-error"));
    let invalid = |field: &'static str| wrong(field).map(|_| "true");
    html! {
        form method="post" action=(FORM_TARGET) {
            @if !errors.is_empty() {
                p.error role="alert" { "The record was not added. Please correct what is marked." }
            }
            label for="title" { "Title" }
            input #title name="title" required maxlength=(TITLE_MAX) value=(filled.title) autocomplete="off"
                aria-invalid=[invalid("title")] aria-describedby=[described("title")];
            (said("title", "The title"))
            label for="category" { "Category" span.optional { "optional" } }
            input #category name="category" maxlength=(CATEGORY_MAX) value=(filled.category)
                aria-invalid=[invalid("category")] aria-describedby=[described("category")];
            (said("category", "The category"))
            label for="due_date" { "Due" span.optional { "optional" } }
            input #due_date type="date" name="due_date" value=(filled.due_date)
                aria-invalid=[invalid("due_date")] aria-describedby=[described("due_date")];
            (said("due_date", "The due date"))
            label for="notes" { "Notes" span.optional { "optional" } }
            // A line break right after the tag belongs to the tag; this one keeps one that a person typed.
            textarea #notes name="notes" rows="4" aria-invalid=[invalid("notes")]
                aria-describedby=[described("notes")] { "\n" (filled.notes) }
            (said("notes", "The text"))
            button.main { "Add" }
        }
    }
}

/// The address of another page of the same list.
fn address(asked: &Asked, after: Option<&str>) -> String {
    let mut query = vec![("order", asked.order.name())];
    if !asked.search.is_empty() {
        query.push(("search", &asked.search));
    }
    if let Some(after) = after {
        query.push(("after", after));
    }
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    format!("/?{}#list", query.join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records::listing::Place;

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let evil = r#""><script>alert('x')</script>&amp;"#;
        let filled = Filled {
            title: evil.to_owned(),
            category: evil.to_owned(),
            notes: format!("</textarea>{evil}"),
            due_date: evil.to_owned(),
        };
        let asked = Asked { search: evil.to_owned(), ..Asked::default() };
        let errors = [FieldError::new("title", evil)];
        let record = Model {
            id: 1,
            title: evil.to_owned(),
            category: evil.to_owned(),
            notes: evil.to_owned(),
            due_date: None,
            created_at: crate::when::Moment::now(),
            updated_at: crate::when::Moment::now(),
            owner_id: None,
            visibility: Default::default(),
        };
        let page = Page { next: Some(Place::Title(evil.to_owned(), 1)), records: vec![record.clone()] };
        let text = list_page(&asked, &page, Some(&record), &filled, &errors).into_string();
        assert!(!text.contains("<script"), "{text}");
        assert!(!text.contains("alert('x')</"), "{text}");
        assert_eq!(text.matches("</textarea>").count(), 1, "{text}");
    }

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(encoded("a b&c=猫"), "a%20b%26c%3D%E7%8C%AB");
    }
}
