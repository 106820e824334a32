//! How are the files of a record added, renamed and removed on its page?

use poem::{
    Response, Result, handler,
    web::{Data, Form, Multipart, Path},
};
use serde::Deserialize;

use super::{
    meant_for,
    record::{Asked, RecordPage},
    sent_files::{self, Sent},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor},
    html::{Frame, redirect, refused},
    http::Problem,
    records::attachments::{
        Attachments,
        entity::attachment::Role,
        rows::{self, Change},
    },
};

/// Adds files that a form without a script sends.
#[handler]
pub(crate) async fn add(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Data(attachments): Data<&Attachments>,
    Path(id): Path<i64>,
    mut form: Multipart,
) -> Result<Response> {
    let outcome = async {
        let mut keep_location = false;
        while let Some(sent) = sent_files::next(&mut form).await? {
            match sent {
                Sent::Text { name, value } => keep_location |= name == "keep_location" && value == "yes",
                Sent::File { name, pieces } => {
                    sent_files::add(attachments, database, &visitor, id, name, keep_location, pieces).await?;
                }
            }
        }
        Ok(())
    };
    let outcome: Result<(), Problem> = outcome.await;
    match outcome {
        Ok(()) => Ok(redirect(&format!("/records/{id}?done=attached#files"))),
        Err(problem) => refused_page(&frame, database, attachments, &visitor, id, &problem).await,
    }
}

/// What the form of an attachment sends.
#[derive(Debug, Deserialize)]
struct AttachmentForm {
    version: Option<i64>,
    name: Option<String>,
    role: Option<Role>,
    /// `remove`, in the place of a change.
    what: Option<String>,
}

#[handler]
pub(crate) async fn change(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Data(attachments): Data<&Attachments>,
    Path((id, attachment)): Path<(i64, i64)>,
    Form(form): Form<AttachmentForm>,
) -> Result<Response> {
    let is_removed = form.what.as_deref() == Some("remove");
    let outcome = async {
        let precondition = meant_for(form.version)?;
        match is_removed {
            true => rows::remove(database, &visitor, attachment, precondition).await,
            false => {
                let change =
                    Change { name: form.name.filter(|name| !name.trim().is_empty()), role: form.role, position: None };
                Ok(rows::change(database, &visitor, attachment, change, precondition).await?.is_some())
            }
        }
    };
    match outcome.await {
        Ok(true) => {
            Ok(redirect(&format!("/records/{id}?done={}#files", if is_removed { "removed" } else { "changed" })))
        }
        Ok(false) => {
            let problem = Problem::not_found("The file was removed meanwhile.");
            refused_page(&frame, database, attachments, &visitor, id, &problem).await
        }
        Err(problem) => refused_page(&frame, database, attachments, &visitor, id, &problem).await,
    }
}

/// Returns the page of a record with why something was refused.
pub(super) async fn refused_page(
    frame: &Frame,
    database: &AuthorizedDatabase,
    attachments: &Attachments,
    visitor: &Visitor,
    id: i64,
    problem: &Problem,
) -> Result<Response> {
    let page = RecordPage::get(database, attachments, visitor, id).await?;
    Ok(refused(problem, page.markup(frame, &Asked::default(), Some(problem))))
}
