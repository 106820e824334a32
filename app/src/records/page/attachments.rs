//! How do the files of a record look on its page, and how are they added, renamed and removed there?

use maud::{Markup, html};
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
    config::in_words,
    html::{Frame, asset_address, redirect, refused},
    http::Problem,
    records::attachments::{
        Attachments,
        entity::attachment::Role,
        rows::{self, Attached, Change},
    },
};

/// The largest name that a form takes; the store cuts what is longer than a file system takes.
const NAME_MAX: usize = 255;

const ROLES: [(Role, &str); 5] = [
    (Role::Photo, "Photograph"),
    (Role::Receipt, "Receipt"),
    (Role::Manual, "Manual"),
    (Role::Document, "Document"),
    (Role::Other, "Other"),
];

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
        Err(problem) => refused_page(&frame, database, &visitor, id, &problem).await,
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
            refused_page(&frame, database, &visitor, id, &problem).await
        }
        Err(problem) => refused_page(&frame, database, &visitor, id, &problem).await,
    }
}

/// Returns the page of a record with why something was refused.
pub(super) async fn refused_page(
    frame: &Frame,
    database: &AuthorizedDatabase,
    visitor: &Visitor,
    id: i64,
    problem: &Problem,
) -> Result<Response> {
    let page = RecordPage::get(database, visitor, id).await?;
    Ok(refused(problem, page.markup(frame, &Asked::default(), Some(problem))))
}

/// Returns the photographs, the first of them large.
pub(super) fn pictures(attachments: &[Attached]) -> Markup {
    let photos: Vec<_> = attachments.iter().filter(|attached| is_photo(attached)).collect();
    html! {
        @if let Some((first, others)) = photos.split_first() {
            div.photos {
                (photo(first, "first"))
                @for other in others { (photo(other, "other")) }
            }
        }
    }
}

fn photo(attached: &Attached, class: &str) -> Markup {
    let (id, name) = (attached.attachment.id, &attached.attachment.name);
    html! {
        a class=(class) href={ "/api/v1/attachments/" (id) "/content" } {
            img src={ "/api/v1/attachments/" (id) "/preview" } alt=(name);
        }
    }
}

/// What a browser shows as a picture. Any other, such as HEIC, is downloaded.
fn is_photo(attached: &Attached) -> bool {
    attached.attachment.role == Role::Photo && has_preview(attached)
}

fn has_preview(attached: &Attached) -> bool {
    matches!(attached.media_type.as_str(), "image/jpeg" | "image/png" | "image/webp")
}

/// Returns the list of files, with the forms for who may change them.
pub(super) fn section(page: &RecordPage) -> Markup {
    let row = &page.record.row;
    html! {
        @if page.may_change || !page.attachments.is_empty() {
            section.attachments aria-labelledby="files" {
                h2 #files { "Files" }
                @if !page.attachments.is_empty() {
                    ul.things { @for attached in &page.attachments { (entry(page, attached)) } }
                }
                @if page.may_change {
                    form method="post" action={ "/records/" (row.id) "/attachments" } enctype="multipart/form-data"
                        data-upload=(row.id) {
                        // Before the files, which are read as they come.
                        label.keep { input type="checkbox" name="keep_location" value="yes"; "Keep where photographs were taken" }
                        (sent_files::inputs("add"))
                        p.say data-upload-says role="status" {}
                        button data-without-script { "Add the files" }
                    }
                    script src=(asset_address("upload.js")) defer {}
                }
            }
        }
    }
}

fn entry(page: &RecordPage, attached: &Attached) -> Markup {
    let attachment = &attached.attachment;
    let id = attachment.id;
    html! {
        li {
            @if has_preview(attached) {
                img.thumbnail src={ "/api/v1/attachments/" (id) "/preview" } alt="" width="56" height="56" loading="lazy";
            }
            div {
                a href={ "/api/v1/attachments/" (id) "/content" } { (attachment.name) }
                p.quiet { (role_name(attachment.role)) " · " (type_name(&attached.media_type)) " · " (in_words(attached.bytes)) }
            }
            @if page.may_change { (forms(page, attached)) }
        }
    }
}

fn forms(page: &RecordPage, attached: &Attached) -> Markup {
    let (row, attachment) = (&page.record.row, &attached.attachment);
    let id = format!("file-{}", attachment.id);
    html! {
        details.ask {
            summary { "Edit" span.hidden { " " (attachment.name) } }
            form method="post" action={ "/records/" (row.id) "/attachments/" (attachment.id) } {
                input type="hidden" name="version" value=(row.version);
                div.field {
                    label for={ (id) "-name" } { "Name" }
                    input id={ (id) "-name" } name="name" type="text" value=(attachment.name) maxlength=(NAME_MAX) required
                        autocomplete="off";
                }
                div.field {
                    label for={ (id) "-role" } { "What it is" }
                    select id={ (id) "-role" } name="role" {
                        @for (role, name) in ROLES {
                            option value=(name_of(role)) selected[role == attachment.role] { (name) }
                        }
                    }
                }
                div.buttons {
                    button { "Save" }
                    button.danger name="what" value="remove" formnovalidate { "Remove" }
                }
            }
        }
    }
}

fn role_name(role: Role) -> &'static str {
    ROLES.iter().find(|(known, _)| *known == role).map_or("Other", |(_, name)| name)
}

/// Its name in the API and in forms.
fn name_of(role: Role) -> &'static str {
    match role {
        Role::Photo => "photo",
        Role::Receipt => "receipt",
        Role::Manual => "manual",
        Role::Document => "document",
        Role::Other => "other",
    }
}

/// What people call a type of files.
fn type_name(media_type: &str) -> &str {
    match media_type {
        "application/pdf" => "PDF",
        "image/jpeg" => "JPEG",
        "image/png" => "PNG",
        "image/webp" => "WebP",
        "image/gif" => "GIF",
        "image/heic" | "image/heif" => "HEIC",
        "text/plain" => "text",
        "application/octet-stream" => "file",
        other => other.rsplit('/').next().unwrap_or(other),
    }
}
