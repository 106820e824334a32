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
    form::RecordForm,
    list::{List, Outcome},
};
use super::{
    entity::Model,
    listing::{Cursor, Listing, Order, Page},
    page_query,
    search::Search,
    store::{self, Viewer},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor, role::Role},
    html::{Frame, answer, redirect, refused},
    http::{FieldError, Precondition, Problem},
};

/// Where the form is sent.
const FORM_TARGET: &str = "/records";

/// Records on a page.
const LIMIT: u64 = 20;

/// What the address of the list may ask for.
#[derive(Debug, Default, Deserialize)]
struct ListQuery {
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
    Query(query): Query<ListQuery>,
) -> Result<Response> {
    let viewer = Viewer::of(&visitor);
    let outcome = match (query.added, query.changed, &query.deleted) {
        (Some(id), _, _) => seen(database, viewer, id).await?.map(Outcome::Added),
        (_, Some(id), _) => seen(database, viewer, id).await?.map(Outcome::Changed),
        (_, _, Some(_)) => Some(Outcome::Deleted),
        _ => None,
    };
    let page = find(database, viewer, &query).await?;
    let list = List { list_query: &query, page: &page, outcome, submitted: &RecordForm::default(), refusal: None };
    Ok(answer(StatusCode::OK, list.page(&frame, visitor.role() >= Role::Member)))
}

#[handler]
pub(crate) async fn add(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Form(submitted): Form<RecordForm>,
) -> Result<Response> {
    let viewer = Viewer::of(&visitor);
    let outcome = match submitted.draft() {
        Ok(draft) => store::create(database, &visitor, draft, None).await,
        Err(errors) => Err(Problem::fields(errors)),
    };
    match outcome {
        Ok(record) => Ok(redirect(&format!("/?added={}", record.row.id))),
        Err(problem) => {
            let query = ListQuery::default();
            let page = find(database, viewer, &query).await?;
            let list =
                List { list_query: &query, page: &page, outcome: None, submitted: &submitted, refusal: Some(&problem) };
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
    let submitted = RecordForm::of(&record);
    Ok(answer(StatusCode::OK, one_page(&frame, &visitor, &record, &submitted, None)))
}

#[handler]
pub(crate) async fn change(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
    Form(submitted): Form<RecordForm>,
) -> Result<Response> {
    let viewer = Viewer::of(&visitor);
    let outcome = match (submitted.draft(), meant_for(submitted.version)) {
        (Ok(draft), Ok(precondition)) => store::update(database, &visitor, id, draft, precondition).await,
        (Err(errors), _) => Err(Problem::fields(errors)),
        (_, Err(problem)) => Err(problem),
    };
    match outcome {
        Ok(Some(record)) => Ok(redirect(&format!("/?changed={}", record.row.id))),
        Ok(None) => Err(no_such_record(id).into()),
        Err(problem) => {
            let record = get_one(database, viewer, id).await?;
            Ok(refused(&problem, one_page(&frame, &visitor, &record, &submitted, Some(&problem))))
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
        Ok(true) => Ok(redirect("/?deleted=1")),
        Ok(false) => Err(no_such_record(id).into()),
        Err(problem) if problem.status() == StatusCode::PRECONDITION_FAILED => {
            let record = get_one(database, Viewer::of(&visitor), id).await?;
            let submitted = RecordForm::of(&record);
            Ok(refused(&problem, one_page(&frame, &visitor, &record, &submitted, Some(&problem))))
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

fn one_page(
    frame: &Frame,
    visitor: &Visitor,
    record: &Model,
    submitted: &RecordForm,
    refusal: Option<&Problem>,
) -> Markup {
    let may_change = visitor.role() >= Role::Member;
    // Who added a record alone says who sees it; of those from before accounts nobody is known to have.
    let is_own = record.owner_id == Some(visitor.user.id);
    record::page(frame, record, may_change.then_some(record::Editing { submitted, is_own, refusal }))
}

async fn find(database: &AuthorizedDatabase, viewer: Viewer, query: &ListQuery) -> Result<Page, Problem> {
    let after = query
        .after
        .as_deref()
        .map(|cursor| Cursor::parse(cursor, query.order))
        .transpose()
        .map_err(|error| Problem::fields(vec![FieldError::new("after", error.to_string())]))?;
    let listing =
        Listing { search: Search::parse(&query.search), order: query.order, after, limit: LIMIT, ..Listing::default() };
    page_query::list(database.reads(), viewer, &listing).await.map_err(|error| database.failed(error).into())
}

async fn seen(database: &AuthorizedDatabase, viewer: Viewer, id: i64) -> Result<Option<Model>, Problem> {
    store::find(database.reads(), viewer, id).await.map_err(|error| database.failed(error).into())
}

async fn get_one(database: &AuthorizedDatabase, viewer: Viewer, id: i64) -> Result<Model, Problem> {
    seen(database, viewer, id).await?.ok_or_else(|| no_such_record(id))
}

fn no_such_record(id: i64) -> Problem {
    Problem::not_found(format!("There is no record with the id {id}, or it is private to another user."))
}
