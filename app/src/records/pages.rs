//! The records as a page for people: a list to look through and a form to add to it.

use std::sync::Arc;

use poem::{
    IntoResponse, Response, Result, Route, get, handler,
    http::StatusCode,
    post,
    web::{Data, Form, Query, Redirect},
};
use serde::Deserialize;

use super::{
    draft::Draft,
    listing::{Listing, Order, Page, Place},
    markup::list_page,
    queries::{self, Viewer},
    search::Search,
};
use crate::{
    accounts::caller::Visitor,
    db::Database,
    http::{FieldError, Problem},
    web::answer,
    when::Day,
};

/// Where the form is sent.
pub(crate) const FORM_TARGET: &str = "/records";

/// Records on a page.
const LIMIT: u64 = 20;

/// Adds the pages to the routes; they find the database in the request's data.
pub(crate) fn routes(route: Route) -> Route {
    route.at("/", get(show)).at(FORM_TARGET, post(add))
}

/// What the address of the page may ask for.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    pub(super) search: String,
    #[serde(default)]
    pub(super) order: Order,
    pub(super) after: Option<String>,
    pub(super) added: Option<i64>,
}

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filled {
    #[serde(default)]
    pub(super) title: String,
    #[serde(default)]
    pub(super) category: String,
    #[serde(default)]
    pub(super) notes: String,
    #[serde(default)]
    pub(super) due_date: String,
}

#[handler]
async fn show(visitor: Visitor, Data(database): Data<&Arc<Database>>, Query(asked): Query<Asked>) -> Result<Response> {
    let page = find(database, Viewer::of(&visitor), &asked).await?;
    let added = match asked.added {
        Some(id) => queries::get(database.reads(), Viewer::of(&visitor), id)
            .await
            .map_err(|error| Problem::from(database.failed(error)))?,
        None => None,
    };
    Ok(answer(StatusCode::OK, list_page(&asked, &page, added.as_ref(), &Filled::default(), &[])))
}

#[handler]
async fn add(visitor: Visitor, Data(database): Data<&Arc<Database>>, Form(filled): Form<Filled>) -> Result<Response> {
    match check(&filled) {
        Ok(draft) => {
            let record = queries::create(database, Viewer::of(&visitor), draft).await.map_err(Problem::from)?;
            // Post, redirect, get: reloading the page adds nothing twice.
            Ok(Redirect::see_other(format!("/?added={}#list", record.id)).into_response())
        }
        Err(errors) => {
            let asked = Asked::default();
            let page = find(database, Viewer::of(&visitor), &asked).await?;
            Ok(answer(StatusCode::UNPROCESSABLE_ENTITY, list_page(&asked, &page, None, &filled, &errors)))
        }
    }
}

async fn find(database: &Database, viewer: Viewer, asked: &Asked) -> Result<Page, Problem> {
    let after = asked
        .after
        .as_deref()
        .map(|cursor| Place::from_cursor(cursor, asked.order))
        .transpose()
        .map_err(|error| Problem::fields(vec![FieldError::new("after", error.to_string())]))?;
    let listing =
        Listing { search: Search::parse(&asked.search), order: asked.order, after, limit: LIMIT, ..Listing::default() };
    queries::list(database.reads(), viewer, &listing).await.map_err(|error| database.failed(error).into())
}

fn check(filled: &Filled) -> Result<Draft, Vec<FieldError>> {
    let day: Result<Option<Day>, _> = match filled.due_date.trim() {
        "" => Ok(None),
        text => text.parse().map(Some),
    };
    // Browsers send line breaks as CR LF whatever the person's system.
    let notes = filled.notes.replace("\r\n", "\n");
    let draft = Draft::check(&filled.title, &filled.category, notes, day.unwrap_or_default(), Default::default());
    match (draft, day) {
        (draft, Ok(_)) => draft,
        (draft, Err(error)) => {
            let mut errors = draft.err().unwrap_or_default();
            errors.push(FieldError::new("due_date", format!("is no day: {error}")));
            Err(errors)
        }
    }
}
