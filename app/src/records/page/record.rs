//! How does a record read on its page?
//!
//! Photographs first, then what it is and where, its fields, its notes and its files; last who wrote it. What changes it is a
//! step away.

use std::collections::{HashMap, HashSet};

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Path, Query},
};
use serde::Deserialize;

use super::{address, files, meant_for, places, script};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor, role::Role, users},
    datetime::Day,
    html::{Frame, answer, encoded, markdown, redirect, refused, timestamp},
    http::Problem,
    records::{
        attachments::{
            Attachments,
            rows::{self, Attached},
        },
        entity::Visibility,
        fields::Field,
        history::trash,
        kind::Kind,
        store::{self, Record, Viewer, no_visible_record},
    },
};

/// A record with all that its page shows of it.
pub(super) struct RecordPage {
    pub(super) record: Record,
    /// The places that it is in, from the outermost on.
    pub(super) place: Vec<(i64, String)>,
    pub(super) attachments: Vec<Attached>,
    /// The ids of those that have a preview.
    pub(super) previews: HashSet<i64>,
    /// The names of who added it and of who made this version, for who may know them.
    pub(super) added_by: Option<String>,
    pub(super) changed_by: Option<String>,
    pub(super) may_change: bool,
}

/// What the address of a record's page may ask for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    /// What was just done.
    done: Option<String>,
    /// What was left out of it: the name of a place that is gone, and so many attachments without a file.
    without_place: Option<String>,
    #[serde(default)]
    without_files: usize,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Data(attachments): Data<&Attachments>,
    Path(id): Path<i64>,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let page = RecordPage::get(database, attachments, &visitor, id).await?;
    Ok(answer(StatusCode::OK, page.markup(&frame, &asked, None)))
}

/// What the form for a deletion sends.
#[derive(Debug, Deserialize)]
struct Deletion {
    version: Option<i64>,
}

#[handler]
pub(crate) async fn delete(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Data(attachments): Data<&Attachments>,
    Path(id): Path<i64>,
    Form(deletion): Form<Deletion>,
) -> Result<Response> {
    let outcome = match meant_for(deletion.version) {
        Ok(precondition) => trash::delete(database, &visitor, id, precondition).await,
        Err(problem) => Err(problem),
    };
    match outcome {
        Ok(true) => Ok(redirect(&format!("/?deleted={id}"))),
        Ok(false) => Err(no_visible_record(id).into()),
        Err(problem) if problem.status() == StatusCode::PRECONDITION_FAILED => {
            let page = RecordPage::get(database, attachments, &visitor, id).await?;
            Ok(refused(&problem, page.markup(&frame, &Asked::default(), Some(&problem))))
        }
        Err(problem) => Err(problem.into()),
    }
}

impl RecordPage {
    /// Returns a record that the visitor sees, with all that its page shows.
    pub(super) async fn get(
        database: &AuthorizedDatabase,
        attachments: &Attachments,
        visitor: &Visitor,
        id: i64,
    ) -> Result<Self, Problem> {
        let found = store::find_whole(database.reads(), Viewer::of(visitor), id).await;
        let record = found.map_err(|error| database.failed(error))?.ok_or_else(|| no_visible_record(id))?;
        let page = Self::read(database, visitor, record).await?;
        let previews = attachments.with_preview(&page.attachments).await?;
        Ok(Self { previews, ..page })
    }

    /// Returns a record with the rest of its page, but for what its files look like.
    pub(super) async fn read(
        database: &AuthorizedDatabase,
        visitor: &Visitor,
        record: Record,
    ) -> Result<Self, Problem> {
        let failed = |error| Problem::from(database.failed(error));
        let (reads, row) = (database.reads(), &record.row);
        let place = match row.place_id {
            Some(id) => places::path(reads, id).await.map_err(failed)?,
            None => Vec::new(),
        };
        let attachments = rows::list(reads, Viewer::of(visitor), row.id).await.map_err(failed)?.unwrap_or_default();
        let may_change = visitor.role() >= Role::Member;
        let changed_by = row.changed_by.filter(|_| row.changed_version == Some(row.version));
        // Guests are not told who lives here.
        let names = if may_change { users::names(reads).await.map_err(failed)? } else { HashMap::new() };
        let name = |id: Option<i64>| id.and_then(|id| names.get(&id).cloned());
        let (added_by, changed_by) = (name(row.owner_id), name(changed_by));
        Ok(Self { record, place, attachments, previews: HashSet::new(), added_by, changed_by, may_change })
    }

    /// Returns the page.
    pub(super) fn markup(&self, frame: &Frame, asked: &Asked, refusal: Option<&Problem>) -> Markup {
        let row = &self.record.row;
        let page = html! {
            p.back { a href="/" { "Back to Records" } }
            @if let Some(sentence) = asked.done.as_deref().and_then(done_sentence) {
                p.done role="status" {
                    (sentence)
                    @if let Some(place) = &asked.without_place { " The place “" (place) "” no longer exists." }
                    @if asked.without_files > 0 { " Attachments whose file is missing: " (asked.without_files) "." }
                }
            }
            @if let Some(problem) = refusal { div.alert role="alert" { p { (refused_sentence(problem)) } } }
            article.record data-record=(row.id) data-version=(row.version) {
                (files::pictures(&self.attachments, &self.previews))
                h1 { (row.title) }
                (content(self))
                @if self.may_change { (self.actions()) }
                (files::section(row, &self.attachments, &self.previews, self.may_change))
                (self.history())
                @if self.may_change { (self.deletion()) }
            }
            (script())
        };
        frame.page(&row.title, &page)
    }

    fn actions(&self) -> Markup {
        let id = self.record.row.id;
        html! {
            div.buttons {
                a.button.main href={ "/records/" (id) "/edit" } data-key="e" { "Edit" }
                a.button href={ "/records/new?from=" (id) } { "Duplicate" }
                a.button href={ "/records/" (id) "/history" } { "History" }
            }
        }
    }

    fn history(&self) -> Markup {
        let row = &self.record.row;
        html! {
            p.quiet.written {
                "Added " (timestamp(row.created_at)) @if let Some(name) = &self.added_by { " by " (name) } "."
                @if row.version > 1 {
                    " Changed " (timestamp(row.updated_at)) @if let Some(name) = &self.changed_by { " by " (name) } "."
                }
            }
        }
    }

    fn deletion(&self) -> Markup {
        let row = &self.record.row;
        html! {
            details.ask {
                summary { "Delete record…" }
                form method="post" action={ "/records/" (row.id) "/delete" } {
                    input type="hidden" name="version" value=(row.version);
                    p { "“" (row.title) "” is moved to the trash with its files, for everyone who can see it." }
                    button.danger { "Move to the trash" }
                }
            }
        }
    }
}

/// Returns what a record says, but for its title and its files.
pub(super) fn content(page: &RecordPage) -> Markup {
    let (row, details) = (&page.record.row, &page.record.details);
    html! {
        ul.about {
            @if row.kind != Kind::Note {
                li { a href=(address(&[("kind", row.kind.name())])) { (row.kind.label()) } }
            }
            @if !page.place.is_empty() {
                li {
                    span.hidden { "Place: " }
                    @for (number, (id, name)) in page.place.iter().enumerate() {
                        @if number > 0 { span.quiet { " › " } }
                        a href=(address(&[("place_id", &id.to_string())])) { (name) }
                    }
                }
            }
            @for tag in &details.tags { li { a.tag href=(address(&[("tag", tag)])) { (tag) } } }
            @if row.visibility == Visibility::Private { li { span.mark { "Only me" } } }
        }
        @if !(details.fields.is_empty() && row.category.is_empty() && row.due_date.is_none()) {
            dl.facts {
                @if let Some(day) = row.due_date { dt { "Due" } dd { (day_of(day)) } }
                @for field in &details.fields { dt { (field.label) } dd { (value(field)) } }
                @if !row.category.is_empty() {
                    dt { "Category" } dd { a href={ "/?category=" (encoded(&row.category)) } { (row.category) } }
                }
            }
        }
        @if !row.notes.is_empty() {
            section.notes aria-label="Notes" { (markdown(&row.notes)) }
        }
    }
}

/// Returns the value of a field: an amount, a day, an address of the web or a number to call, or a text.
fn value(field: &Field) -> Markup {
    let text = field.value.as_str();
    let is_number = |c: char| c.is_ascii_digit() || matches!(c, '+' | ' ' | '-' | '/' | '(' | ')');
    let is_phone = field.key.as_deref() == Some("phone") && text.chars().all(is_number);
    let is_address =
        (text.starts_with("https://") || text.starts_with("http://")) && !text.contains(char::is_whitespace);
    html! {
        @if let Some(money) = &field.money { (money) }
        @else if let Ok(day) = text.parse::<Day>() { (day_of(day)) }
        @else if is_address { a href=(text) rel="noreferrer nofollow" { (text) } }
        @else if is_phone { a href={ "tel:" (text.replace([' ', '/', '(', ')'], "")) } { (text) } }
        @else { span.typed { (text) } }
    }
}

fn day_of(day: Day) -> Markup {
    html! { time datetime=(day) { (day) } }
}

fn done_sentence(done: &str) -> Option<&'static str> {
    Some(match done {
        "added" => "The record was added.",
        "saved" => "The record was saved.",
        "restored" => "The record was restored.",
        "attached" => "The file was added.",
        "changed" => "The file was saved.",
        "removed" => "The file was removed. The record's history still has it.",
        _ => return None,
    })
}

fn refused_sentence(problem: &Problem) -> &str {
    match problem.status() {
        StatusCode::PRECONDITION_FAILED => {
            "The record was changed while this page was open. Nothing was done. This is how it is now."
        }
        _ => problem.sentence(),
    }
}
