//! The trash as a page.

use std::collections::HashMap;

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Path, Query},
};
use serde::Deserialize;

use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor, users},
    html::{Frame, answer, redirect, timestamp},
    http::Problem,
    records::{
        history::trash::{self, Cursor, Page, Trashed, not_in_the_trash},
        store::Viewer,
    },
};

/// Records on a page.
const LIMIT: u64 = 50;

/// What the address of the page may ask for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct PageQuery {
    after: Option<String>,
    /// Whether a record was just deleted for good.
    erased: Option<String>,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Query(query): Query<PageQuery>,
) -> Result<Response> {
    let after = query.after.as_deref().map(Cursor::parse).transpose()?;
    let failed = |error| Problem::from(database.failed(error));
    let found = trash::list(database.reads(), Viewer::of(&visitor), after.as_ref(), LIMIT).await.map_err(failed)?;
    let names = users::names(database.reads()).await.map_err(failed)?;
    Ok(answer(StatusCode::OK, page(&frame, &found, &names, after.is_some(), query.erased.is_some())))
}

#[handler]
pub(crate) async fn put_back(
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let restored = trash::put_back(database, &visitor, id).await?.ok_or_else(|| not_in_the_trash(id))?;
    Ok(redirect(&format!("/records/{id}?done=restored{}", super::left_out_in_address(&restored.left_out))))
}

#[handler]
pub(crate) async fn erase(
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
) -> Result<Response> {
    match trash::erase(database, &visitor, id).await? {
        true => Ok(redirect("/trash?erased=1")),
        false => Err(not_in_the_trash(id).into()),
    }
}

fn page(frame: &Frame, found: &Page, names: &HashMap<i64, String>, is_later: bool, is_erased: bool) -> Markup {
    let content = html! {
        p.back { a href="/" { "Back to Records" } }
        h1 { "Trash" }
        @if is_erased { p.done role="status" { "The record was deleted for good." } }
        p.quiet {
            "Deleted records are kept here for at least 30 days. They come back with their fields, tags and attachments."
        }
        @if found.records.is_empty() { p.nothing { "The trash is empty." } }
        @else { ul.records { @for record in &found.records { (entry(record, names)) } } }
        @if is_later || found.next.is_some() {
            nav.pages aria-label="Pages" {
                @if is_later { a rel="first" href="/trash" { "First page" } }
                @if let Some(next) = &found.next { a rel="next" href={ "/trash?after=" (next.to_text()) } { "Next page" } }
            }
        }
    };
    frame.page("Trash", &content)
}

fn entry(record: &Trashed, names: &HashMap<i64, String>) -> Markup {
    html! {
        li.trashed {
            h2 { (record.title) @if record.is_private { span.mark { "Only me" } } }
            p.quiet {
                "Deleted"
                @if let Some(name) = record.by.and_then(|by| names.get(&by)) { " by " (name) }
                @if let Some(at) = record.at { " " (timestamp(at)) }
                @if let Some(until) = record.kept_until() { ", kept until " (until.short()[..10]) " at least" }
                "."
            }
            div.buttons {
                form method="post" action={ "/trash/" (record.id) "/restore" } {
                    button { "Put back" span.hidden { " “" (record.title) "”" } }
                }
                details.ask {
                    summary { "Delete for good…" span.hidden { " “" (record.title) "”" } }
                    form method="post" action={ "/trash/" (record.id) "/delete" } {
                        p { "“" (record.title) "” and its history can't be put back then." }
                        button.danger { "Delete for good" }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        datetime::Timestamp,
        html::for_tests::{EVIL, assert_harmless},
    };

    fn trashed(at: Option<Timestamp>) -> Trashed {
        Trashed { id: 7, title: EVIL.to_owned(), is_private: true, at, by: Some(1) }
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let found = Page { records: vec![trashed(Some(Timestamp::now())), trashed(None)], next: None };
        let names = HashMap::from([(1, EVIL.to_owned())]);
        let page = page(&Frame::default(), &found, &names, true, true);
        assert_harmless(&page);
        let text = page.into_string();
        assert_eq!(text.matches("kept until").count(), 1, "{text}");
        assert_eq!(text.matches("/trash/7/restore").count(), 2, "{text}");
    }

    #[test]
    fn an_empty_trash_says_so() {
        let text = page(&Frame::default(), &Page::default(), &HashMap::new(), false, false).into_string();
        assert!(text.contains("The trash is empty."), "{text}");
    }
}
