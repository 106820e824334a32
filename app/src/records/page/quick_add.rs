//! How is something added in a moment, by a photograph and a title?
//!
//! With a script the file is sent in pieces that can be resumed (`upload.js`). Without one, the form itself sends it: it is read
//! piece by piece, and a title that is missing is the file's name.

use poem::{
    Response, Result, handler,
    web::{Data, Multipart},
};

use super::{
    list::List,
    list_query::ListQuery,
    quick_form::QuickAdd,
    sent_files::{self, Sent},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor},
    html::{Frame, redirect, refused},
    http::Problem,
    records::{attachments::Attachments, draft::Draft, store},
};

#[handler]
pub(crate) async fn add(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Data(attachments): Data<&Attachments>,
    mut form: Multipart,
) -> Result<Response> {
    let (mut title, mut id) = (String::new(), None);
    let outcome = async {
        while let Some(sent) = sent_files::next(&mut form).await? {
            match sent {
                Sent::Text { name, value } if name == "title" => title = value,
                Sent::Text { .. } => {}
                Sent::File { name, pieces } => {
                    let record_id = match id {
                        Some(id) => id,
                        None => {
                            let named =
                                if title.trim().is_empty() { sent_files::title_of(&name) } else { title.clone() };
                            create(database, &visitor, &named).await?
                        }
                    };
                    id = Some(record_id);
                    sent_files::add(attachments, database, &visitor, record_id, name, false, pieces).await?;
                }
            }
        }
        if id.is_none() {
            id = Some(create(database, &visitor, &title).await?);
        }
        Ok(())
    };
    let outcome: Result<(), Problem> = outcome.await;
    match (outcome, id) {
        (Ok(()), Some(id)) => Ok(redirect(&format!("/records/{id}?done=added"))),
        // The record is there, and can be added to.
        (Err(problem), Some(id)) => {
            super::attachments::refused_page(&frame, database, attachments, &visitor, id, &problem).await
        }
        (Err(problem), None) => {
            let list = List::read(database, attachments, &visitor, ListQuery::default()).await?;
            let quick_add = QuickAdd { title: &title, refusal: Some(&problem) };
            Ok(refused(&problem, list.page(&frame, &quick_add)))
        }
        (Ok(()), None) => Ok(redirect("/")),
    }
}

async fn create(database: &AuthorizedDatabase, visitor: &Visitor, title: &str) -> Result<i64, Problem> {
    let draft = Draft { title: Some(title.to_owned()), ..Draft::default() };
    let record = store::create(database, visitor, draft.checked().map_err(Problem::fields)?, None).await?;
    Ok(record.row.id)
}
