//! The records as pages for people: a list to look through, a form to add to it, and a page for each record.
//!
//! Guests look and get no forms.

mod form;
mod list;
mod record;

use maud::Markup;
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Path, Query},
};
use serde::Deserialize;

use self::{
    form::Filled,
    list::{List, Outcome},
};
use super::{
    entity::Model,
    listing::{Listing, Order, Page, Place},
    page_query,
    search::Search,
    store::{self, Viewer},
};
use crate::{
    auth::{acting::AuthorizedDatabase, caller::Visitor, role::Role},
    html::{Frame, answer, refused, see},
    http::{FieldError, Precondition, Problem},
};

/// Where the form is sent.
const FORM_TARGET: &str = "/records";

/// Records on a page.
const LIMIT: u64 = 20;

/// What the address of the list may ask for.
#[derive(Debug, Default, Deserialize)]
struct Asked {
    #[serde(default)]
    search: String,
    #[serde(default, rename = "sort")]
    order: Order,
    after: Option<String>,
    /// The records that were just added or changed; whether one was deleted.
    added: Option<i64>,
    changed: Option<i64>,
    deleted: Option<String>,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Query(asked): Query<Asked>,
) -> Result<Response> {
    let viewer = Viewer::of(&visitor);
    let outcome = match (asked.added, asked.changed, &asked.deleted) {
        (Some(id), _, _) => seen(database, viewer, id).await?.map(Outcome::Added),
        (_, Some(id), _) => seen(database, viewer, id).await?.map(Outcome::Changed),
        (_, _, Some(_)) => Some(Outcome::Deleted),
        _ => None,
    };
    let page = find(database, viewer, &asked).await?;
    let list = List { asked: &asked, page: &page, outcome, filled: &Filled::default(), refusal: None };
    Ok(answer(StatusCode::OK, list.page(&frame, visitor.role() >= Role::Member)))
}

#[handler]
pub(crate) async fn add(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Form(filled): Form<Filled>,
) -> Result<Response> {
    let viewer = Viewer::of(&visitor);
    let outcome = match filled.draft() {
        Ok(draft) => store::create(database, &visitor, draft).await,
        Err(errors) => Err(Problem::fields(errors)),
    };
    match outcome {
        Ok(record) => Ok(see(&format!("/?added={}", record.id))),
        Err(problem) => {
            let asked = Asked::default();
            let page = find(database, viewer, &asked).await?;
            let list = List { asked: &asked, page: &page, outcome: None, filled: &filled, refusal: Some(&problem) };
            Ok(refused(&problem, list.page(&frame, true)))
        }
    }
}

#[handler]
pub(crate) async fn show_one(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let record = get_one(database, Viewer::of(&visitor), id).await?;
    let filled = Filled::of(&record);
    Ok(answer(StatusCode::OK, one_page(&frame, &visitor, &record, &filled, None)))
}

#[handler]
pub(crate) async fn change(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
    Form(filled): Form<Filled>,
) -> Result<Response> {
    let viewer = Viewer::of(&visitor);
    let outcome = match (filled.change(), meant_for(filled.version)) {
        (Ok(change), Ok(precondition)) => store::update(database, &visitor, id, change, precondition).await,
        (Err(errors), _) => Err(Problem::fields(errors)),
        (_, Err(problem)) => Err(problem),
    };
    match outcome {
        Ok(Some(record)) => Ok(see(&format!("/?changed={}", record.id))),
        Ok(None) => Err(no_such_record(id).into()),
        Err(problem) => {
            let record = get_one(database, viewer, id).await?;
            Ok(refused(&problem, one_page(&frame, &visitor, &record, &filled, Some(&problem))))
        }
    }
}

#[handler]
pub(crate) async fn delete(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
    Form(deletion): Form<Deletion>,
) -> Result<Response> {
    let outcome = match meant_for(deletion.version) {
        Ok(precondition) => store::delete(database, &visitor, id, precondition).await,
        Err(problem) => Err(problem),
    };
    match outcome {
        Ok(true) => Ok(see("/?deleted=1")),
        Ok(false) => Err(no_such_record(id).into()),
        Err(problem) if problem.status() == StatusCode::PRECONDITION_FAILED => {
            let record = get_one(database, Viewer::of(&visitor), id).await?;
            let filled = Filled::of(&record);
            Ok(refused(&problem, one_page(&frame, &visitor, &record, &filled, Some(&problem))))
        }
        Err(problem) => Err(problem.into()),
    }
}

/// What the form for a deletion sends.
#[derive(Debug, Deserialize)]
struct Deletion {
    version: Option<i64>,
}

/// Returns the version that a form shows: nothing else is changed by it.
fn meant_for(version: Option<i64>) -> Result<Precondition, Problem> {
    let version = version.ok_or_else(|| Problem::fields(vec![FieldError::new("version", "is missing")]))?;
    Ok(Precondition::version(version))
}

fn one_page(frame: &Frame, visitor: &Visitor, record: &Model, filled: &Filled, refusal: Option<&Problem>) -> Markup {
    let may_change = visitor.role() >= Role::Member;
    // Who added a record alone says who sees it; of those from before accounts nobody is known to have.
    let is_own = record.owner_id == Some(visitor.user.id);
    record::page(frame, record, may_change.then_some(record::Editing { filled, is_own, refusal }))
}

async fn find(database: &AuthorizedDatabase, viewer: Viewer, asked: &Asked) -> Result<Page, Problem> {
    let after = asked
        .after
        .as_deref()
        .map(|cursor| Place::from_cursor(cursor, asked.order))
        .transpose()
        .map_err(|error| Problem::fields(vec![FieldError::new("after", error.to_string())]))?;
    let listing =
        Listing { search: Search::parse(&asked.search), order: asked.order, after, limit: LIMIT, ..Listing::default() };
    page_query::list(database.reads(), viewer, &listing).await.map_err(|error| database.failed(error).into())
}

async fn seen(database: &AuthorizedDatabase, viewer: Viewer, id: i64) -> Result<Option<Model>, Problem> {
    store::get(database.reads(), viewer, id).await.map_err(|error| database.failed(error).into())
}

async fn get_one(database: &AuthorizedDatabase, viewer: Viewer, id: i64) -> Result<Model, Problem> {
    seen(database, viewer, id).await?.ok_or_else(|| no_such_record(id))
}

fn no_such_record(id: i64) -> Problem {
    Problem::not_found(format!("There is no record with the id {id}, or it is private to another user."))
}
