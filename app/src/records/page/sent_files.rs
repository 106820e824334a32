//! How does a form without a script send files?
//!
//! As `multipart/form-data`. A text is read as a whole, up to a limit; a file goes to the disk piece by piece as it comes.

use std::time::Duration;

use maud::{Markup, html};
use poem::{Body, http::StatusCode, web::Multipart};
use tokio::{io::AsyncReadExt, time::timeout};

use crate::{
    auth::{authority::AuthorizedDatabase, caller::Caller},
    http::{IdempotencyKey, Pieces, Precondition, Problem},
    records::{
        attachments::{Announcement, Attachments, cleaned_name, entity::attachment::Role},
        draft::TITLE_MAX,
    },
};

/// The longest text beside a file, in bytes.
const TEXT_MAX: u64 = 8 * 1024;
/// How long the next part may take to begin, and a text to arrive.
const PART_TIMEOUT: Duration = Duration::from_secs(30);

/// A part of what a form sends.
pub(super) enum Sent {
    Text { name: String, value: String },
    File { name: String, pieces: Pieces },
}

/// Returns the next part of a form, but for empty choices of files. The part before it has been read.
pub(super) async fn next(form: &mut Multipart) -> Result<Option<Sent>, Problem> {
    loop {
        let next = timeout(PART_TIMEOUT, form.next_field()).await.map_err(|_| slow())?;
        let Some(field) = next.map_err(|_| cut())? else { return Ok(None) };
        let (name, file_name) = (field.name().unwrap_or_default().to_owned(), field.file_name().map(str::to_owned));
        match file_name {
            // No file was chosen.
            Some(file) if file.is_empty() => {}
            Some(file) => {
                return Ok(Some(Sent::File {
                    name: file,
                    pieces: Pieces::of(Body::from_async_read(field.into_async_read())),
                }));
            }
            None => {
                let mut value = Vec::new();
                let mut text = field.into_async_read().take(TEXT_MAX + 1);
                timeout(PART_TIMEOUT, text.read_to_end(&mut value)).await.map_err(|_| slow())?.map_err(|_| cut())?;
                if value.len() as u64 > TEXT_MAX {
                    return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE)
                        .detail("A text of the form is too long. Nothing was added."));
                }
                return Ok(Some(Sent::Text { name, value: String::from_utf8_lossy(&value).into_owned() }));
            }
        }
    }
}

fn slow() -> Problem {
    Problem::new(StatusCode::REQUEST_TIMEOUT).detail("The form did not arrive in time. What came before was kept.")
}

fn cut() -> Problem {
    Problem::new(StatusCode::BAD_REQUEST).detail("The form ended before it was complete. What came before was kept.")
}

/// Adds a file to a record.
pub(super) async fn add(
    attachments: &Attachments,
    database: &AuthorizedDatabase,
    caller: &Caller,
    record_id: i64,
    name: String,
    keep_location: bool,
    pieces: Pieces,
) -> Result<(), Problem> {
    let role = role_of(&name);
    let announcement = Announcement { name, role, keep_location, bytes: None };
    let (key, any) = (IdempotencyKey(None), Precondition::Any);
    attachments.add(database, caller, record_id, announcement, pieces, key, any).await.map(drop)
}

/// What a file most likely is to its record, by its ending.
fn role_of(name: &str) -> Role {
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase()).unwrap_or_default();
    match ending.as_str() {
        "jpg" | "jpeg" | "png" | "webp" | "heic" | "heif" | "avif" | "gif" => Role::Photo,
        "pdf" => Role::Document,
        _ => Role::Other,
    }
}

/// Returns the title of a record that is made of a file: its name without the ending, and without what nobody sees.
pub(super) fn title_of(file: &str) -> String {
    let name = cleaned_name(file.rsplit(['/', '\\']).next().unwrap_or_default());
    let stem = name.rsplit_once('.').map_or(&*name, |(stem, _)| stem).replace(['_', '-'], " ");
    stem.trim().chars().take(TITLE_MAX).collect()
}

/// Returns the choices of files: one that is taken with a camera, and those that are there already.
pub(super) fn inputs(form: &str) -> Markup {
    html! {
        div.files {
            label for={ (form) "-camera" } { "Take a photo" }
            // An iPhone makes a JPEG of its own format for who takes no other.
            input id={ (form) "-camera" } type="file" name="file" accept="image/jpeg,image/png,image/webp" capture="environment";
            label for={ (form) "-files" } { "Choose files" }
            input id={ (form) "-files" } type="file" name="file" multiple;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_says_what_a_record_is_called() {
        for (file, title) in [
            ("Receipt_Boiler-2026.pdf", "Receipt Boiler 2026"),
            ("C:\\fakepath\\IMG_1.JPG", "IMG 1"),
            (".hidden", "hidden"),
            ("..", "file"),
            ("invoice\u{202e}fdp.exe", "invoicefdp"),
            ("noending", "noending"),
        ] {
            assert_eq!(title_of(file), title);
        }
        assert_eq!(title_of(&"x".repeat(300)).chars().count(), TITLE_MAX);
    }

    #[test]
    fn a_photograph_and_a_pdf_are_told_by_their_endings() {
        assert_eq!(
            [role_of("a.JPEG"), role_of("a.pdf"), role_of("a"), role_of("pdf")],
            [Role::Photo, Role::Document, Role::Other, Role::Other]
        );
    }
}
