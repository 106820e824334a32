//! The records as a page for people: a list to look through and a form to add to it.
//!
//! Plain HTML and forms, no script. Templates are maud's: the compiler checks them, and text is escaped unless one
//! asks otherwise, which nothing here does.

use std::sync::Arc;

use maud::{DOCTYPE, Markup, html};
use poem::{
    Endpoint, EndpointExt, IntoResponse, Response, Result, Route, get, handler,
    http::{StatusCode, header},
    post,
    web::{Data, Form, Html, Query, Redirect},
};
use serde::Deserialize;

use super::{
    draft::{CATEGORY_MAX, Draft, TITLE_MAX},
    entity::Model,
    listing::{Listing, Order, Page, Place},
    queries,
    search::Search,
    when::Day,
};
use crate::{
    db::Database,
    http::{FieldError, Problem},
};

/// Where the form is sent.
pub(crate) const FORM_TARGET: &str = "/records";

/// Records on a page.
const LIMIT: u64 = 20;

/// Returns the pages on this database.
pub(crate) fn routes(database: Arc<Database>) -> impl Endpoint<Output = Response> {
    Route::new()
        .at("/", get(show))
        .at(FORM_TARGET, post(add))
        .at("/assets/hearth.css", get(poem::endpoint::make_sync(|_| asset("text/css", STYLE))))
        .at("/assets/hearth.svg", get(poem::endpoint::make_sync(|_| asset("image/svg+xml", ICON))))
        .data(database)
        .map_to_response()
}

const STYLE: &str = include_str!("page.css");
const ICON: &str = include_str!("hearth.svg");

fn asset(content_type: &'static str, text: &'static str) -> Response {
    Response::builder()
        .content_type(content_type)
        // Short, since the name stays when the content changes with a release.
        .header(header::CACHE_CONTROL, "max-age=300")
        .body(text)
}

/// What the address of the page may ask for.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    search: String,
    #[serde(default)]
    order: Order,
    after: Option<String>,
    added: Option<i64>,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
struct Filled {
    #[serde(default)]
    title: String,
    #[serde(default)]
    category: String,
    #[serde(default)]
    notes: String,
    #[serde(default)]
    due_date: String,
}

#[handler]
async fn show(Data(database): Data<&Arc<Database>>, Query(asked): Query<Asked>) -> Result<Response> {
    let page = find(database, &asked).await?;
    let added = match asked.added {
        Some(id) => queries::get(database.reads(), id)
            .await
            .map_err(|error| Problem::from(database.failed(error)))?,
        None => None,
    };
    Ok(answer(
        StatusCode::OK,
        list_page(&asked, &page, added.as_ref(), &Filled::default(), &[]),
    ))
}

#[handler]
async fn add(Data(database): Data<&Arc<Database>>, Form(filled): Form<Filled>) -> Result<Response> {
    match check(&filled) {
        Ok(draft) => {
            let record = queries::create(database, draft)
                .await
                .map_err(Problem::from)?;
            // Post, redirect, get: reloading the page adds nothing twice.
            Ok(Redirect::see_other(format!("/?added={}#list", record.id)).into_response())
        }
        Err(errors) => {
            let asked = Asked::default();
            let page = find(database, &asked).await?;
            Ok(answer(
                StatusCode::UNPROCESSABLE_ENTITY,
                list_page(&asked, &page, None, &filled, &errors),
            ))
        }
    }
}

async fn find(database: &Database, asked: &Asked) -> Result<Page, Problem> {
    let after = asked
        .after
        .as_deref()
        .map(|cursor| Place::from_cursor(cursor, asked.order))
        .transpose()
        .map_err(|error| Problem::fields(vec![FieldError::new("after", error.to_string())]))?;
    let listing = Listing {
        search: Search::parse(&asked.search),
        order: asked.order,
        after,
        limit: LIMIT,
        ..Listing::default()
    };
    queries::list(database.reads(), &listing)
        .await
        .map_err(|error| database.failed(error).into())
}

fn check(filled: &Filled) -> Result<Draft, Vec<FieldError>> {
    let day: Result<Option<Day>, _> = match filled.due_date.trim() {
        "" => Ok(None),
        text => text.parse().map(Some),
    };
    // Browsers send line breaks as CR LF whatever the person's system.
    let notes = filled.notes.replace("\r\n", "\n");
    let draft = Draft::check(&filled.title, &filled.category, notes, day.unwrap_or_default());
    match (draft, day) {
        (draft, Ok(_)) => draft,
        (draft, Err(error)) => {
            let mut errors = draft.err().unwrap_or_default();
            errors.push(FieldError::new("due_date", format!("is no day: {error}")));
            Err(errors)
        }
    }
}

fn answer(status: StatusCode, page: Markup) -> Response {
    Html(page.into_string())
        .with_status(status)
        .with_header(header::CACHE_CONTROL, "no-store")
        .into_response()
}

/// Returns the page for a person whose request could not be answered.
pub(crate) fn error_page(problem: &Problem) -> Response {
    let content = html! {
        main {
            h1 { (problem.sentence()) }
            p { a href="/" { "Back to the records" } }
        }
    };
    // The problem's own answer has the right headers.
    let mut response = problem.clone().into_response();
    let page = answer(problem.status(), layout("Hearth", &content));
    for name in [header::CONTENT_TYPE, header::CACHE_CONTROL] {
        if let Some(value) = page.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response.set_body(page.into_body());
    response
}

fn layout(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href="/assets/hearth.svg";
                link rel="stylesheet" href="/assets/hearth.css";
            }
            body {
                header {
                    a href="/" { img src="/assets/hearth.svg" alt="" width="28" height="28"; "Hearth" }
                    nav { a href="/api/v1/docs" { "API" } }
                }
                (content)
            }
        }
    }
}

fn list_page(
    asked: &Asked,
    page: &Page,
    added: Option<&Model>,
    filled: &Filled,
    errors: &[FieldError],
) -> Markup {
    let list = html! {
        section.list aria-labelledby="list" {
            h1 #list { "Records" }
            a.to-form href="#add" { "Add a record" }
            (search_form(asked))
            (records(asked, page))
        }
    };
    let add = html! {
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
                @if errors.is_empty() { (list) (add) } @else { (add) (list) }
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
                h3 { (record.title) }
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
    let query: Vec<_> = query
        .iter()
        .map(|(name, value)| format!("{name}={}", encoded(value)))
        .collect();
    format!("/?{}#list", query.join("&"))
}

/// Percent-encodes all but letters and digits.
fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let evil = r#""><script>alert('x')</script>&amp;"#;
        let filled = Filled {
            title: evil.to_owned(),
            category: evil.to_owned(),
            notes: format!("</textarea>{evil}"),
            due_date: evil.to_owned(),
        };
        let asked = Asked {
            search: evil.to_owned(),
            ..Asked::default()
        };
        let errors = [FieldError::new("title", evil)];
        let record = Model {
            id: 1,
            title: evil.to_owned(),
            category: evil.to_owned(),
            notes: evil.to_owned(),
            due_date: None,
            created_at: super::super::when::Moment::now(),
            updated_at: super::super::when::Moment::now(),
        };
        let page = Page {
            next: Some(Place::Title(evil.to_owned(), 1)),
            records: vec![record.clone()],
        };
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
