//! The pages of a record's versions: which there are, in what one differs from another, and the way back to it.

use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Path, Query},
};
use serde::Deserialize;

use super::{
    compare::{Comparison, With},
    list::History,
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor, users},
    db::DbError,
    html::{Frame, answer, redirect},
    http::{FieldError, Precondition, Problem},
    records::{
        history::{
            restore,
            versions::{self, Version, no_such_version},
        },
        store::{Viewer, no_visible_record},
    },
};

/// Versions on a page.
const LIMIT: u64 = 50;

/// What the address of the list may ask for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct ListQuery {
    /// Before which version the page begins.
    before: Option<i64>,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
    Query(query): Query<ListQuery>,
) -> Result<Response> {
    let (reads, viewer) = (database.reads(), Viewer::of(&visitor));
    let failed = |error| Problem::from(database.failed(error));
    let current = versions::current(reads, viewer, id).await.map_err(failed)?.ok_or_else(|| no_visible_record(id))?;
    let page = versions::list(reads, viewer, id, query.before, LIMIT).await.map_err(failed)?;
    let page = page.ok_or_else(|| no_visible_record(id))?;
    let names = users::names(reads).await.map_err(failed)?;
    let history =
        History { id, title: &current.content.title, page: &page, names: &names, is_later: query.before.is_some() };
    Ok(answer(StatusCode::OK, history.page(&frame)))
}

/// What the address of a version may ask for.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct VersionQuery {
    /// Whether it is compared with the record as it is now, and not with the version before it.
    #[serde(default)]
    with: With,
}

#[handler]
pub(crate) async fn show_one(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path((id, number)): Path<(i64, i64)>,
    Query(query): Query<VersionQuery>,
) -> Result<Response> {
    Ok(answer(StatusCode::OK, one_page(&frame, &visitor, database, (id, number), query.with, None).await?))
}

/// What the form of a restore sends.
#[derive(Debug, Deserialize)]
pub(crate) struct RestoreForm {
    /// The version of the record that the page showed as the current one.
    version: Option<i64>,
}

#[handler]
pub(crate) async fn restore_one(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path((id, number)): Path<(i64, i64)>,
    Form(form): Form<RestoreForm>,
) -> Result<Response> {
    let version = form.version.ok_or_else(|| Problem::fields(vec![FieldError::new("version", "is missing")]))?;
    match restore::restore(database, &visitor, id, number, Precondition::version(version)).await {
        Ok(Some(restored)) => {
            let left_out = super::left_out_in_address(&restored.left_out);
            Ok(redirect(&format!("/records/{id}?done=restored{left_out}")))
        }
        Ok(None) => Err(no_such_version(id, number).into()),
        Err(problem) if problem.status() == StatusCode::PRECONDITION_FAILED => {
            let page = one_page(&frame, &visitor, database, (id, number), With::Now, Some(&problem)).await?;
            Ok(crate::html::refused(&problem, page))
        }
        Err(problem) => Err(problem.into()),
    }
}

async fn one_page(
    frame: &Frame,
    visitor: &Visitor,
    database: &AuthorizedDatabase,
    (id, number): (i64, i64),
    with: With,
    refusal: Option<&Problem>,
) -> Result<maud::Markup, Problem> {
    let (reads, viewer) = (database.reads(), Viewer::of(visitor));
    let failed = |error| -> DbError { database.failed(error) };
    let current = versions::current(reads, viewer, id).await.map_err(failed)?.ok_or_else(|| no_visible_record(id))?;
    let version = versions::find(reads, viewer, id, number).await.map_err(failed)?;
    let version = version.ok_or_else(|| no_such_version(id, number))?;
    let other: Option<Version> = match with {
        With::Now => Some(current.clone()),
        With::Before => versions::before(reads, viewer, id, number).await.map_err(failed)?,
    };
    let names = users::names(reads).await.map_err(failed)?;
    let comparison = Comparison {
        id,
        current: &current,
        version: &version,
        other: other.as_ref(),
        with,
        names: &names,
        is_owner: current.content.owner_id == Some(visitor.user.id),
        refusal,
    };
    Ok(comparison.page(frame))
}
