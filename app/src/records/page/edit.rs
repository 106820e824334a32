//! How is a record added with all it says, and how is it changed?
//!
//! By a form on a page of its own. A form that asks for the fields of another kind, or for more rows, is shown again as it is
//! filled in, and nothing is saved.

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Path, Query},
};
use serde::Deserialize;

use super::{
    form::RecordForm,
    form_fields::{Choices, form_fields},
    meant_for, places,
    record::{self, RecordPage},
    script,
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor},
    html::{Fields, Frame, answer, redirect, refused, title_of},
    http::Problem,
    records::{
        entity::Model,
        kind::Kind,
        store::{self, Record, Viewer, no_visible_record},
        tags,
    },
};

/// What the form is sent as.
type Sent = Form<Vec<(String, String)>>;

/// What a new record begins with.
#[derive(Debug, Default, Deserialize)]
struct Beginning {
    kind: Option<Kind>,
    #[serde(default)]
    title: String,
    place_id: Option<i64>,
    /// The record that it is to say the same as.
    from: Option<i64>,
}

#[handler]
pub(crate) async fn new(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Query(beginning): Query<Beginning>,
) -> Result<Response> {
    let viewer = Viewer::of(&visitor);
    let form = match beginning.from {
        Some(id) => RecordForm::duplicate(&get(database, viewer, id).await?),
        None => RecordForm {
            title: beginning.title,
            kind: beginning.kind,
            place: beginning.place_id.map(|id| id.to_string()),
            ..RecordForm::default()
        },
    };
    Ok(answer(StatusCode::OK, new_page(&frame, database, viewer, &form, None).await?))
}

#[handler]
pub(crate) async fn add(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Form(sent): Sent,
) -> Result<Response> {
    let viewer = Viewer::of(&visitor);
    let form = RecordForm::parse(sent).map_err(Problem::fields)?;
    if form.again.is_some() {
        return Ok(answer(StatusCode::OK, new_page(&frame, database, viewer, &form, None).await?));
    }
    let outcome = match form.draft() {
        Ok(draft) => store::create(database, &visitor, draft, None).await,
        Err(errors) => Err(Problem::fields(errors)),
    };
    match outcome {
        Ok(record) => Ok(redirect(&format!("/records/{}?done=added", record.row.id))),
        Err(problem) => Ok(refused(&problem, new_page(&frame, database, viewer, &form, Some(&problem)).await?)),
    }
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
) -> Result<Response> {
    let record = get(database, Viewer::of(&visitor), id).await?;
    let form = RecordForm::of(&record);
    Ok(answer(StatusCode::OK, edit_page(&frame, database, &visitor, &record, &form, None).await?))
}

#[handler]
pub(crate) async fn change(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Path(id): Path<i64>,
    Form(sent): Sent,
) -> Result<Response> {
    let viewer = Viewer::of(&visitor);
    let form = RecordForm::parse(sent).map_err(Problem::fields)?;
    if form.again.is_some() {
        let record = get(database, viewer, id).await?;
        return Ok(answer(StatusCode::OK, edit_page(&frame, database, &visitor, &record, &form, None).await?));
    }
    let outcome = match (form.draft(), meant_for(form.version)) {
        (Ok(draft), Ok(precondition)) => store::update(database, &visitor, id, draft, precondition).await,
        (Err(errors), _) => Err(Problem::fields(errors)),
        (_, Err(problem)) => Err(problem),
    };
    match outcome {
        Ok(Some(record)) => Ok(redirect(&format!("/records/{}?done=saved", record.row.id))),
        Ok(None) => Err(no_visible_record(id).into()),
        Err(problem) => {
            let record = get(database, viewer, id).await?;
            Ok(refused(&problem, edit_page(&frame, database, &visitor, &record, &form, Some(&problem)).await?))
        }
    }
}

async fn get(database: &AuthorizedDatabase, viewer: Viewer, id: i64) -> Result<Record, Problem> {
    let found = store::find_whole(database.reads(), viewer, id).await.map_err(|error| database.failed(error))?;
    found.ok_or_else(|| no_visible_record(id))
}

async fn new_page(
    frame: &Frame,
    database: &AuthorizedDatabase,
    viewer: Viewer,
    form: &RecordForm,
    refusal: Option<&Problem>,
) -> Result<Markup, Problem> {
    let (places, tags) = known(database, viewer).await?;
    let choices = Choices { places: &places, tags: &tags, chooses_visibility: true };
    let fields = Fields::new("record", refusal).labelled(form.labels());
    let content = html! {
        p.back { a href="/" { "Back to Records" } }
        h1 { "New record" }
        form.sheet method="post" action="/records" data-form {
            (fields.summary("The record was not added."))
            (form_fields(form, &fields, &choices))
            div.buttons { button.main { "Add" } a.button.plain href="/" { "Cancel" } }
        }
        (script())
    };
    Ok(frame.page(&title_of("New record", refusal), &content))
}

async fn edit_page(
    frame: &Frame,
    database: &AuthorizedDatabase,
    visitor: &Visitor,
    record: &Record,
    form: &RecordForm,
    refusal: Option<&Problem>,
) -> Result<Markup, Problem> {
    let (places, tags) = known(database, Viewer::of(visitor)).await?;
    // Who added a record alone says who sees it; of those from before accounts nobody is known to have.
    let is_own = record.row.owner_id == Some(visitor.user.id);
    let choices = Choices { places: &places, tags: &tags, chooses_visibility: is_own };
    let saved = match refusal.is_some_and(|problem| problem.status() == StatusCode::PRECONDITION_FAILED) {
        true => Some(RecordPage::read(database, visitor, record.clone()).await?),
        false => None,
    };
    Ok(edit_form(frame, &record.row, form, refusal, &choices, saved.as_ref()))
}

/// Returns what the form offers: the places, and the tags of what the viewer sees.
async fn known(
    database: &AuthorizedDatabase,
    viewer: Viewer,
) -> Result<(Vec<(i64, usize, String)>, Vec<String>), Problem> {
    let places = places::tree(database.reads()).await.map_err(|error| database.failed(error))?;
    let tags = tags::recent(database.reads(), viewer).await.map_err(|error| database.failed(error))?;
    Ok((places, tags))
}

/// Returns the page with the form, and with the record as it is saved where somebody else has changed it.
pub(super) fn edit_form(
    frame: &Frame,
    row: &Model,
    form: &RecordForm,
    refusal: Option<&Problem>,
    choices: &Choices<'_>,
    saved: Option<&RecordPage>,
) -> Markup {
    let (address, title) = (format!("/records/{}", row.id), format!("Edit “{}”", row.title));
    let fields = Fields::new("record", refusal).labelled(form.labels());
    // Only where the saved version is shown, to save over it is a decision.
    let version = if saved.is_some() { Some(row.version) } else { form.version };
    let content = html! {
        p.back { a href=(address) { "Back to the record" } }
        h1 { (title) }
        @if let Some(saved) = saved {
            div.alert role="alert" {
                p {
                    "The record was changed while this page was open. Nothing was saved. Compare your version with the saved one. \
                     Saving replaces it."
                }
            }
            h2 { "Saved version" }
            div.card { (record::content(saved)) }
            h2 #yours { "Your version" }
        }
        form.sheet method="post" action=(address) data-form {
            input type="hidden" name="version" value=[version];
            @if saved.is_none() { (fields.summary("The record was not saved.")) }
            (form_fields(form, &fields, choices))
            div.buttons { button.main { "Save" } a.button.plain href=(address) { "Cancel" } }
        }
        (script())
    };
    frame.page(&title_of(&title, refusal), &content)
}
