//! The places as pages for people: all of them within one another, and each with what is in it.
//!
//! Guests look and get no forms.

use super::{
    entity::Model,
    store::{self, Change, Places, no_such_place, parent_of_form},
    view::{One, Outcome, PlaceForm, list_page},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor, role::Role},
    html::{Frame, answer, redirect, refused},
    http::Problem,
    records::{listing::Listing, page_query, store::Viewer},
};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Path, Query},
};

/// Records on the page of a place.
const LIMIT: u64 = 20;

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Query(outcome): Query<Outcome>,
) -> Result<Response> {
    let places = all(database, &visitor).await?;
    let form = may_change(&visitor).then_some((PlaceForm::default(), None));
    Ok(answer(StatusCode::OK, list_page(&frame, &places, form, &outcome)))
}

#[handler]
pub(crate) async fn add(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Form(submitted): Form<PlaceForm>,
) -> Result<Response> {
    let added = match parent_of_form(&submitted.parent_id) {
        Ok(parent_id) => store::add(database, &visitor, &submitted.name, parent_id, None).await,
        Err(problem) => Err(problem),
    };
    match added {
        Ok(Model { id, parent_id: Some(parent), .. }) => Ok(redirect(&format!("/places/{parent}?added={id}"))),
        Ok(Model { id, .. }) => Ok(redirect(&format!("/places?added={id}"))),
        Err(problem) => {
            let places = all(database, &visitor).await?;
            let page = list_page(&frame, &places, Some((submitted, Some(&problem))), &Outcome::default());
            Ok(refused(&problem, page))
        }
    }
}

#[handler]
pub(crate) async fn show_one(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
    Query(outcome): Query<Outcome>,
) -> Result<Response> {
    let one = read(database, &visitor, id).await?;
    Ok(answer(StatusCode::OK, one.page(&frame, None, None, &outcome)))
}

#[handler]
pub(crate) async fn change(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
    Form(submitted): Form<PlaceForm>,
) -> Result<Response> {
    let changed = match parent_of_form(&submitted.parent_id) {
        Ok(parent_id) => {
            let change = Change { name: Some(submitted.name.clone()), parent_id: Some(parent_id) };
            store::update(database, &visitor, id, change).await
        }
        Err(problem) => Err(problem),
    };
    match changed {
        Ok(Some(_)) => Ok(redirect(&format!("/places/{id}?done=changed"))),
        Ok(None) => Err(no_such_place(id).into()),
        Err(problem) => {
            let one = read(database, &visitor, id).await?;
            Ok(refused(&problem, one.page(&frame, Some((&submitted, &problem)), None, &Outcome::default())))
        }
    }
}

#[handler]
pub(crate) async fn delete(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
) -> Result<Response> {
    match store::delete(database, &visitor, id).await {
        Ok(true) => Ok(redirect("/places?done=deleted")),
        Ok(false) => Err(no_such_place(id).into()),
        Err(problem) => {
            let one = read(database, &visitor, id).await?;
            Ok(refused(&problem, one.page(&frame, None, Some(&problem), &Outcome::default())))
        }
    }
}

fn may_change(visitor: &Visitor) -> bool {
    visitor.role() >= Role::Member
}

async fn all(database: &AuthorizedDatabase, visitor: &Visitor) -> Result<Places, Problem> {
    store::list(database.reads(), Viewer::of(visitor)).await.map_err(|error| database.failed(error).into())
}

/// Returns a place with what is in it.
async fn read(database: &AuthorizedDatabase, visitor: &Visitor, id: i64) -> Result<One, Problem> {
    let places = all(database, visitor).await?;
    let place = places.tree.get(id).ok_or_else(|| no_such_place(id))?.clone();
    let listing = Listing { place_id: Some(id), limit: LIMIT, ..Listing::default() };
    let records = page_query::list(database.reads(), Viewer::of(visitor), &listing)
        .await
        .map_err(|error| database.failed(error))?;
    Ok(One { place, places, records, may_change: may_change(visitor) })
}
