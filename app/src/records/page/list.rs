//! How does the list of the records look?
//!
//! A box to search, what narrows the list folded beside it, and the records, each with its first photograph.

use std::collections::HashMap;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Query},
};

use super::{
    list_query::ListQuery,
    places,
    quick_form::{QuickAdd, quick_form},
    script,
    snippet::{self, Snippet},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor, role::Role},
    html::{Frame, answer, title_of},
    http::Problem,
    records::{
        attachments::Attachments,
        changes,
        details::{self, Details},
        entity::{Model, Visibility},
        history::trash::{self, Trashed},
        kind::Kind,
        listing::{Order, Page},
        page_query,
        store::Viewer,
        tags,
    },
};

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Data(attachments): Data<&Attachments>,
    Query(query): Query<ListQuery>,
) -> Result<Response> {
    let list = List::read(database, attachments, &visitor, query).await?;
    Ok(answer(StatusCode::OK, list.page(&frame, &QuickAdd::default())))
}

/// A page of the list, with all that it shows.
#[derive(Default)]
pub(super) struct List {
    pub(super) query: ListQuery,
    pub(super) page: Page,
    pub(super) details: HashMap<i64, Details>,
    /// The first photographs of the records that have one.
    pub(super) pictures: HashMap<i64, i64>,
    /// Where the words of the search were found, unless the list shows that anyway.
    pub(super) snippets: HashMap<i64, Snippet>,
    pub(super) places: Vec<(i64, usize, String)>,
    pub(super) tags: Vec<String>,
    /// From where on there are changes that the page does not show.
    pub(super) cursor: String,
    pub(super) may_add: bool,
    pub(super) may_import: bool,
    /// What was just moved to the trash.
    pub(super) deleted: Option<Trashed>,
}

impl List {
    pub(super) async fn read(
        database: &AuthorizedDatabase,
        attachments: &Attachments,
        visitor: &Visitor,
        query: ListQuery,
    ) -> Result<Self, Problem> {
        let failed = |error| Problem::from(database.failed(error));
        let (reads, viewer) = (database.reads(), Viewer::of(visitor));
        let listing = query.listing()?;
        // First, so that no change between the two is missed.
        let cursor = changes::now(reads, viewer).await.map_err(failed)?;
        let page = page_query::list(reads, viewer, &listing).await.map_err(failed)?;
        let ids: Vec<_> = page.records.iter().map(|record| record.id).collect();
        let details = details::of(reads, &ids).await.map_err(failed)?;
        let snippets = match &listing.search {
            Some(search) => {
                snippet::of_records(reads, viewer, &page.records, &details, search).await.map_err(failed)?
            }
            None => HashMap::new(),
        };
        let may_add = visitor.role() >= Role::Member;
        let deleted = match query.deleted.as_deref().and_then(|id| id.parse().ok()) {
            // Guests see no trash.
            Some(id) if may_add => trash::find(reads, viewer, id).await.map_err(failed)?,
            _ => None,
        };
        Ok(Self {
            details,
            snippets,
            pictures: attachments.pictures(database, viewer, &page.records).await?,
            places: places::tree(reads).await.map_err(failed)?,
            tags: tags::recent(reads, viewer).await.map_err(failed)?,
            may_add,
            may_import: visitor.role() >= Role::Admin,
            deleted,
            query,
            page,
            cursor,
        })
    }

    /// Returns the page; with the form for who may add something.
    pub(super) fn page(&self, frame: &Frame, quick_add: &QuickAdd<'_>) -> Markup {
        let content = html! {
            div.title {
                h1 #list { "Records" }
                @if self.may_add { a.button.main href="/records/new" { "New record" } }
            }
            @if let Some(record) = &self.deleted {
                div.done.undo role="status" {
                    p { "“" (record.title) "” was moved to the trash." }
                    form method="post" action={ "/trash/" (record.id) "/restore" } { button { "Undo" } }
                }
            }
            div.shortcuts {
                @if self.may_add { (quick_form(quick_add)) }
                nav aria-label="More" {
                    a href="/places" { "Places" }
                    a href="/tags" { "Tags" }
                    @if self.may_add { a href="/trash" { "Trash" } a href="/export" { "Export" } }
                }
            }
            section.list aria-labelledby="list" data-changes=(self.cursor) {
                (self.search())
                (self.filters())
                (self.records())
            }
            (script())
        };
        frame.page(&title_of("Records", quick_add.refusal), &content)
    }

    fn search(&self) -> Markup {
        let query = &self.query;
        let is_open = query.is_narrowed() && query.search.is_empty();
        html! {
            form.search role="search" method="get" action="/" {
                label.hidden for="search" { "Search" }
                input #search type="search" name="search" value=(query.search) placeholder="Search records" maxlength="1000"
                    autocapitalize="none" data-key="/";
                button { "Search" }
                details.filters open[is_open] {
                    summary { "Filter and sort" }
                    div.filter {
                        (choice("kind", "Kind", &html! {
                            option value="" { "Any kind" }
                            @for kind in Kind::ALL {
                                option value=(kind.name()) selected[query.kind() == Some(kind)] { (kind.label()) }
                            }
                        }))
                        (choice("place_id", "Place", &html! {
                            option value="" { "Anywhere" }
                            @for (id, depth, name) in &self.places {
                                option value=(id) selected[query.place() == Some(*id)] {
                                    @for _ in 0..*depth { "\u{2003}" } (name)
                                }
                            }
                        }))
                        div {
                            label for="filter-tag" { "Tag" }
                            input #filter-tag type="text" name="tag" value=(query.tag) list="tags-known" autocomplete="off"
                                autocapitalize="none" maxlength="100";
                            datalist #tags-known { @for tag in &self.tags { option value=(tag) {} } }
                        }
                        (choice("sort", "Sort by", &html! {
                            @for (order, name) in ORDERS {
                                option value=(order.name()) selected[order == query.order] { (name) }
                            }
                        }))
                        @if !query.category.is_empty() { input type="hidden" name="category" value=(query.category); }
                        button { "Apply" }
                    }
                }
            }
        }
    }

    /// What the list is narrowed by, each with a way to leave it out.
    fn filters(&self) -> Markup {
        let query = &self.query;
        let place = self.places.iter().find(|(id, ..)| query.place() == Some(*id)).map(|(.., name)| name.as_str());
        let chosen = [
            ("kind", query.kind().map(|kind| kind.label().to_owned())),
            ("place_id", query.place().map(|_| format!("In {}", place.unwrap_or("a place that is gone")))),
            ("tag", Some(&query.tag).filter(|tag| !tag.is_empty()).map(|tag| format!("Tag {tag}"))),
            ("category", Some(&query.category).filter(|text| !text.is_empty()).map(|text| format!("Category {text}"))),
        ];
        html! {
            @if chosen.iter().any(|(_, words)| words.is_some()) {
                ul.chosen aria-label="Filters" {
                    @for (name, words) in &chosen {
                        @if let Some(words) = words {
                            li { a href=(query.without(name)) { span.hidden { "Remove filter: " } (words) span aria-hidden="true" { " ×" } } }
                        }
                    }
                }
            }
        }
    }

    fn records(&self) -> Markup {
        let query = &self.query;
        html! {
            @if self.page.records.is_empty() { (self.nothing()) } @else {
                ul.records { @for record in &self.page.records { (self.entry(record)) } }
            }
            @if query.after.is_some() || self.page.next.is_some() {
                nav.pages aria-label="Pages" {
                    @if query.after.is_some() { a rel="first" href=(query.page_after(None)) { "First page" } }
                    @if let Some(next) = &self.page.next {
                        a rel="next" href=(query.page_after(Some(&next.to_cursor()))) { "Next page" }
                    }
                }
            }
        }
    }

    /// What stands in the place of records where there are none: at the beginning, what to do first.
    fn nothing(&self) -> Markup {
        html! {
            @if self.query.is_narrowed() || self.query.after.is_some() {
                p.nothing { "No records found." }
            } @else if self.may_add {
                div.card.first {
                    h2 { "There are no records yet" }
                    p {
                        "A record is one thing that your household wants to find again: a receipt, a contract, the boiler, the car, a \
                         passport."
                    }
                    ol {
                        li { "Take a photograph of a receipt, give it a title, and add it above." }
                        li { "Later, say what it is and where it is: " a href="/records/new?kind=thing" { "a thing" } ", "
                            a href="/records/new?kind=contract" { "a contract" } ", "
                            a href="/records/new?kind=vehicle" { "a vehicle" } "." }
                        li { "Find it by any word: of the title, the notes, or a PDF." }
                    }
                    p {
                        "Or " a href="/sample" { "load a sample household" } " to look around in"
                        @if self.may_import { ", or " a href="/import" { "import" } " what you have in Homebox or in a table" } "."
                    }
                }
            } @else {
                p.nothing { "There are no records yet." }
            }
        }
    }

    fn entry(&self, record: &Model) -> Markup {
        let tags = self.details.get(&record.id).map_or(&[][..], |details| &details.tags);
        let place = self.places.iter().find(|(id, ..)| record.place_id == Some(*id)).map(|(.., name)| name);
        let kind = (record.kind != Kind::Note).then(|| record.kind.label());
        html! {
            li {
                @if let Some(picture) = self.pictures.get(&record.id) {
                    img.thumbnail src={ "/api/v1/attachments/" (picture) "/preview" } alt="" width="56" height="56" loading="lazy";
                }
                div.entry {
                    div.head {
                        h2 { a href={ "/records/" (record.id) } { (record.title) } }
                        @if let Some(day) = record.due_date { span.due { "due " time datetime=(day) { (day) } } }
                    }
                    @if kind.is_some() || place.is_some() || !tags.is_empty() || !record.category.is_empty()
                        || record.visibility == Visibility::Private {
                        p.category {
                            @if let Some(kind) = kind { span { (kind) } }
                            @if let Some(place) = place { span { (place) } }
                            @if !record.category.is_empty() { span { (record.category) } }
                            @for tag in tags { span.tag { (tag) } }
                            @if record.visibility == Visibility::Private { span.mark { "Only me" } }
                        }
                    }
                    @if let Some(snippet) = self.snippets.get(&record.id) { (snippet.markup()) }
                }
            }
        }
    }
}

const ORDERS: [(Order, &str); 6] = [
    (Order::UpdatedDesc, "Last updated"),
    (Order::Updated, "Last updated, oldest first"),
    (Order::Due, "Due date"),
    (Order::DueDesc, "Due date, latest first"),
    (Order::Title, "Title"),
    (Order::TitleDesc, "Title, Z to A"),
];

fn choice(name: &str, label: &str, options: &Markup) -> Markup {
    let id = format!("filter-{name}");
    html! { div { label for=(id) { (label) } select id=(id) name=(name) { (options) } } }
}
