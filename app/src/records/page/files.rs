//! How do the files of a record look on its page?

use std::collections::HashSet;

use maud::{Markup, html};

use super::sent_files;
use crate::{
    config::in_words,
    html::asset_address,
    media,
    records::{
        attachments::{entity::attachment::Role, rows::Attached},
        entity::Model,
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

/// Returns the photographs, the first of them large.
pub(super) fn pictures(attachments: &[Attached], previews: &HashSet<i64>) -> Markup {
    let is_photo =
        |attached: &&Attached| attached.attachment.role == Role::Photo && previews.contains(&attached.attachment.id);
    let photos: Vec<_> = attachments.iter().filter(is_photo).collect();
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

/// Returns the list of files, with the forms for who may change them.
pub(super) fn section(row: &Model, attachments: &[Attached], previews: &HashSet<i64>, may_change: bool) -> Markup {
    let lacks_preview =
        |attached: &Attached| media::takes_preview(&attached.media_type) && !previews.contains(&attached.attachment.id);
    html! {
        @if may_change || !attachments.is_empty() {
            section.attachments aria-labelledby="files" {
                h2 #files { "Files" }
                @if !attachments.is_empty() {
                    ul.things { @for attached in attachments { (entry(row, attached, previews, may_change)) } }
                }
                @if may_change {
                    form method="post" action={ "/records/" (row.id) "/attachments" } enctype="multipart/form-data"
                        data-upload=(row.id) {
                        // Before the files, which are read as they come.
                        label.keep { input type="checkbox" name="keep_location" value="yes"; "Keep the location in photographs" }
                        (sent_files::inputs("add"))
                        p.say data-upload-says role="status" {}
                        button data-without-script { "Add the files" }
                    }
                    script src=(asset_address("upload.js")) defer {}
                    @if attachments.iter().any(lacks_preview) { script src=(asset_address("preview.js")) defer {} }
                }
            }
        }
    }
}

fn entry(row: &Model, attached: &Attached, previews: &HashSet<i64>, may_change: bool) -> Markup {
    let attachment = &attached.attachment;
    let id = attachment.id;
    let has_preview = previews.contains(&id);
    // For `preview.js`: the length, so that nothing is fetched that no browser decodes.
    let wanted = (!has_preview && media::takes_preview(&attached.media_type)).then_some(attached.bytes);
    html! {
        li data-attachment=[wanted.map(|_| id)] data-bytes=[wanted] {
            @if has_preview {
                img.thumbnail src={ "/api/v1/attachments/" (id) "/preview" } alt="" width="56" height="56" loading="lazy";
            }
            div {
                a href={ "/api/v1/attachments/" (id) "/content" } { (attachment.name) }
                p.quiet { (role_name(attachment.role)) " · " (type_name(&attached.media_type)) " · " (in_words(attached.bytes)) }
            }
            @if may_change { (forms(row, attached)) }
        }
    }
}

fn forms(row: &Model, attached: &Attached) -> Markup {
    let attachment = &attached.attachment;
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
        "image/avif" => "AVIF",
        "image/heic" | "image/heif" => "HEIC",
        "text/plain" => "text",
        "application/octet-stream" => "file",
        other => other.rsplit('/').next().unwrap_or(other),
    }
}
