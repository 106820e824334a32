//! How is a file sent that anybody may have made?
//!
//! By the attachment's id, never by its hash. Pictures and PDFs are shown, everything else is saved. Whatever it is, a browser takes
//! it for what Hearth says it is, runs nothing in it, and asks again before it shows what it kept: the next user of the same browser
//! may not see it.

use std::{fs::File, io, os::unix::fs::FileExt, sync::Arc};

use futures_util::stream;
use hyper::body::Bytes;
use poem::{
    Body, IntoResponse, Response,
    http::{HeaderName, HeaderValue, StatusCode, header},
};
use poem_openapi::{
    ApiResponse,
    payload::{Binary, Payload},
    registry::{MetaHeader, MetaMediaType, MetaResponse, MetaResponses, Registry},
    types::Type,
};
use tokio::task::spawn_blocking;

use super::rows::Attached;
use crate::{
    http::{Disposition, Part, Problem, disposition, has_tag, part},
    media,
    secret::digest,
};

/// What is in memory of a file that is sent.
const PIECE: u64 = 64 << 10;

/// No script, no form, nothing from elsewhere, and an origin of its own.
const SANDBOX: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";
/// Browsers show a PDF with a program of their own, which a sandbox would keep out; it runs nothing in Hearth's origin.
const PDF: &str = "default-src 'none'; style-src 'unsafe-inline'; object-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The headers of a request by which it wants a part, or nothing new.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    pub(super) range: Option<&'a str>,
    pub(super) if_range: Option<&'a str>,
    pub(super) if_none_match: Option<&'a str>,
}

/// A content as it is sent.
#[derive(Debug)]
pub(super) struct Content(Response);

impl Content {
    /// Returns a file, or the part of it that is wanted.
    pub(super) fn of_file(attached: &Attached, file: File, wanted: Wanted<'_>) -> Result<Self, Problem> {
        let media_type = match attached.media_type.as_str() {
            known if media::is_inline(known) => known,
            known @ ("text/plain" | "text/csv") => known,
            _ => "application/octet-stream",
        };
        let what = if media::is_inline(media_type) { Disposition::Show } else { Disposition::Save };
        let tag = entity_tag(attached, "");
        if has_tag(wanted.if_none_match, &tag)? {
            return Ok(Self(not_modified(&tag)));
        }
        let length = attached.bytes;
        let (status, range) = match part(wanted.range, wanted.if_range, &tag, length) {
            Part::Whole => (StatusCode::OK, 0..length),
            Part::Range(range) => (StatusCode::PARTIAL_CONTENT, range),
            Part::None => {
                let whole = HeaderValue::from_str(&format!("bytes */{length}")).unwrap_or(HeaderValue::from_static(""));
                return Err(Problem::new(StatusCode::RANGE_NOT_SATISFIABLE)
                    .detail(format!("The file has {length} bytes."))
                    .header(header::CONTENT_RANGE, whole));
            }
        };
        let mut response = Response::builder().status(status).content_type(match media_type {
            "text/plain" => "text/plain; charset=utf-8",
            "text/csv" => "text/csv; charset=utf-8",
            other => other,
        });
        if status == StatusCode::PARTIAL_CONTENT {
            let sent = format!("bytes {}-{}/{length}", range.start, range.end - 1);
            response = response.header(header::CONTENT_RANGE, sent);
        }
        let response = response
            .header(header::CONTENT_LENGTH, range.end - range.start)
            .header(header::ACCEPT_RANGES, "bytes")
            .header(header::CONTENT_DISPOSITION, disposition(what, &attached.attachment.name))
            .body(body(file, range));
        Ok(Self(guarded(response, &tag, if media_type == "application/pdf" { PDF } else { SANDBOX })))
    }
}

/// A preview as it is sent.
#[derive(Debug)]
pub(super) struct Preview(Response);

impl Preview {
    /// Returns a preview, which is a JPEG; one that a client has already, if it may have been replaced, as that it is so.
    pub(super) fn new(attached: &Attached, preview: Vec<u8>, if_none_match: Option<&str>) -> Result<Self, Problem> {
        let is_replaceable = media::takes_preview(&attached.media_type);
        let of = if is_replaceable { blake3::hash(&preview).to_string() } else { "preview".to_owned() };
        let tag = entity_tag(attached, &of);
        if is_replaceable && has_tag(if_none_match, &tag)? {
            return Ok(Self(not_modified(&tag)));
        }
        let response = Response::builder()
            .content_type("image/jpeg")
            .header(header::CONTENT_DISPOSITION, "inline")
            .body(Body::from_vec(preview));
        Ok(Self(guarded(response, &tag, SANDBOX)))
    }

    /// Returns that a client has the preview already, where that is known without the preview.
    pub(super) fn unchanged(attached: &Attached, if_none_match: Option<&str>) -> Result<Option<Self>, Problem> {
        if media::takes_preview(&attached.media_type) {
            return Ok(None);
        }
        let tag = entity_tag(attached, "preview");
        Ok(has_tag(if_none_match, &tag)?.then(|| Self(not_modified(&tag))))
    }
}

/// Returns the entity tag of a content. It hangs on the hash, since after a restore another file may have the same id, and
/// does not tell it.
fn entity_tag(attached: &Attached, of: &str) -> String {
    let attachment = &attached.attachment;
    format!("\"{}\"", &digest(&format!("{} {of} {}", attachment.id, attachment.hash))[..16])
}

fn not_modified(tag: &str) -> Response {
    guarded(Response::builder().status(StatusCode::NOT_MODIFIED).finish(), tag, SANDBOX)
}

/// Adds the headers that keep a content from doing anything. Those that each response has are added by `app::front`.
fn guarded(mut response: Response, tag: &str, policy: &'static str) -> Response {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(tag) {
        headers.insert(header::ETAG, tag);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(header::VARY, HeaderValue::from_static("Cookie, Authorization"));
    headers.insert(HeaderName::from_static("referrer-policy"), HeaderValue::from_static("no-referrer"));
    response
}

/// Reads a part of a file as it is sent.
fn body(file: File, range: std::ops::Range<u64>) -> Body {
    let pieces = stream::try_unfold((Arc::new(file), range.start), move |(file, at)| async move {
        let length = PIECE.min(range.end.saturating_sub(at));
        if length == 0 {
            return Ok(None);
        }
        let reader = file.clone();
        let read = spawn_blocking(move || {
            let mut piece = vec![0; usize::try_from(length).unwrap_or_default()];
            reader.read_exact_at(&mut piece, at).map(|()| Bytes::from(piece))
        });
        let piece = read.await.unwrap_or_else(|error| Err(io::Error::other(error)))?;
        Ok::<_, io::Error>(Some((piece, (file, at + length))))
    });
    Body::from_bytes_stream(pieces)
}

impl IntoResponse for Content {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for Content {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![
                documented(200, "The content. `Content-Type` is its own.", true),
                documented(206, "The part that `Range` names.", true),
                documented(304, "Not modified: the client has it.", false),
            ],
        }
    }

    fn register(_registry: &mut Registry) {}
}

impl IntoResponse for Preview {
    fn into_response(self) -> Response {
        self.0
    }
}

impl ApiResponse for Preview {
    fn meta() -> MetaResponses {
        MetaResponses {
            responses: vec![
                documented(200, "The preview: a JPEG.", true),
                documented(304, "Not modified: the client has it.", false),
            ],
        }
    }

    fn register(_registry: &mut Registry) {}
}

/// Generators of clients know one type that is only bytes.
fn documented(status: u16, description: &'static str, has_content: bool) -> MetaResponse {
    let bytes =
        MetaMediaType { content_type: Binary::<Vec<u8>>::CONTENT_TYPE, schema: Binary::<Vec<u8>>::schema_ref() };
    let tag = MetaHeader {
        name: "ETag".to_owned(),
        description: Some("Changes when the content does.".to_owned()),
        required: true,
        deprecated: false,
        schema: String::schema_ref(),
    };
    MetaResponse {
        description,
        status: Some(status),
        status_range: None,
        content: has_content.then_some(bytes).into_iter().collect(),
        headers: vec![tag],
    }
}
