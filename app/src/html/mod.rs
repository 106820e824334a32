//! What do all pages have in common?
//!
//! Plain HTML and forms that work without a script, nothing from elsewhere. `layout` is what stands around a page,
//! `form` how a form shows what was wrong with it, `session_over` what comes of one whose session ended, `markdown` how
//! notes become part of a page, `relative_time` how a time reads. Templates are maud's: the compiler checks them, and text
//! is escaped unless one asks otherwise, which nothing here does.

pub(crate) mod browser;
#[cfg(test)]
pub(crate) mod for_tests;
mod form;
mod layout;
mod manifest;
mod markdown;
mod part;
mod relative_time;
mod session_over;

use maud::{Markup, html};
use poem::{
    Body, IntoResponse, Response, Route,
    endpoint::make_sync,
    get,
    http::{StatusCode, header},
    web::{Html, Redirect},
};

pub(crate) use self::{
    form::{Fields, Input, title_of},
    layout::{Entry, Frame, Newer, Notice, Viewer},
    markdown::markdown,
    part::{PageState, Part, Refusal, on_page},
    relative_time::timestamp,
    session_over::session_over,
};
use crate::http::Problem;
pub(crate) use crate::http::encoded;

const STYLE: &str = include_str!("hearth.css");
const ICON: &str = include_str!("hearth.svg");
/// For passkeys, which only a script can ask a browser for.
const PASSKEY: &str = include_str!("passkey.js");

/// What saves a step on the binder's pages.
const BINDER: &str = include_str!("binder.js");
/// Sends files in pieces, over connections that break.
const UPLOAD: &str = include_str!("upload.js");
/// Makes previews that only a browser can make.
const PREVIEW: &str = include_str!("preview.js");

/// Tells this release's style, icon and scripts from another's.
const FINGERPRINT: u64 = {
    let (all, mut hash, mut index) = ([STYLE, ICON, PASSKEY, BINDER, UPLOAD, PREVIEW], 0xcbf2_9ce4_8422_2325, 0);
    while index < all.len() {
        hash = fingerprint(all[index], hash);
        index += 1;
    }
    hash
};

/// FNV-1a, which can be computed while compiling.
const fn fingerprint(text: &str, start: u64) -> u64 {
    let (bytes, mut hash, mut index) = (text.as_bytes(), start, 0);
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

fn asset(content_type: &'static str, content: impl Into<Body>) -> Response {
    Response::builder()
        .content_type(content_type)
        // For a year: the pages name it with its fingerprint, so other content is another address.
        .header(header::CACHE_CONTROL, "max-age=31536000, immutable")
        .body(content)
}

/// Returns the address of an asset of this release.
pub(crate) fn asset_address(name: &str) -> String {
    format!("/assets/{name}?{FINGERPRINT:x}")
}

/// Adds the pages' style, icons and scripts to the routes.
pub(crate) fn assets(route: Route) -> Route {
    manifest::routes(route)
        .at("/assets/hearth.css", get(make_sync(|_| asset("text/css", STYLE))))
        .at("/assets/hearth.svg", get(make_sync(|_| asset("image/svg+xml", ICON))))
        .at("/assets/passkey.js", get(make_sync(|_| asset("text/javascript", PASSKEY))))
        .at("/assets/binder.js", get(make_sync(|_| asset("text/javascript", BINDER))))
        .at("/assets/upload.js", get(make_sync(|_| asset("text/javascript", UPLOAD))))
        .at("/assets/preview.js", get(make_sync(|_| asset("text/javascript", PREVIEW))))
}

/// Answers with a page.
pub(crate) fn answer(status: StatusCode, page: Markup) -> Response {
    Html(page.into_string()).with_status(status).with_header(header::CACHE_CONTROL, "no-store").into_response()
}

/// Answers a form that was refused with a page that says so, and the problem's own status and
/// headers.
pub(crate) fn refused(problem: &Problem, page: Markup) -> Response {
    let page = answer(problem.status(), page);
    // The problem's own answer has the right headers, such as Retry-After.
    let mut response = problem.clone().into_response();
    for name in [header::CONTENT_TYPE, header::CACHE_CONTROL] {
        if let Some(value) = page.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response.set_body(page.into_body());
    response
}

/// Sends somebody on to another page, after a form: reloading that page does nothing twice.
pub(crate) fn redirect(address: &str) -> Response {
    Redirect::see_other(address).with_header(header::CACHE_CONTROL, "no-store").into_response()
}

/// Sends somebody to the sign-in page, and back to where they wanted to go.
pub(crate) fn to_sign_in(wanted: Option<&str>) -> Response {
    match wanted {
        None | Some("/") => redirect("/sign-in"),
        Some(wanted) => redirect(&format!("/sign-in?next={}", encoded(wanted))),
    }
}

/// Returns the page for a person whose request could not be answered.
pub(crate) fn error_page(problem: &Problem, frame: &Frame) -> Response {
    let title = match problem.status() {
        StatusCode::NOT_FOUND => "Page not found",
        StatusCode::FORBIDDEN => "Access denied",
        status if status.is_server_error() => "Something went wrong",
        _ => "The request failed",
    };
    let way_on = match problem.status() {
        // Under a name that Hearth does not answer to, every page is this one.
        StatusCode::MISDIRECTED_REQUEST => None,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if frame.viewer.is_none() => Some(("/sign-in", "Sign in")),
        _ => Some(("/", "Back to Records")),
    };
    let content = html! {
        div.narrow {
            h1 { (title) }
            p { (problem.sentence()) }
            @if let Some((address, words)) = way_on { p { a.button href=(address) { (words) } } }
        }
    };
    let mut response = refused(problem, frame.page(title, &content));
    // Here there is no form to correct.
    response.set_status(problem.status());
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::FieldError;

    #[test]
    fn addresses_are_encoded() {
        assert_eq!(encoded("a b&c=猫"), "a%20b%26c%3D%E7%8C%AB");
    }

    #[test]
    fn a_refusal_has_the_status_and_the_headers_of_its_problem() {
        let wrong = refused(&Problem::fields(vec![FieldError::new("name", "must not be empty")]), html! {});
        assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
        let throttled = refused(&Problem::too_many("Later.", 7), html! { "page" });
        assert_eq!(throttled.status(), StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(throttled.header(header::RETRY_AFTER), Some("7"));
        assert_eq!(throttled.header(header::CONTENT_TYPE), Some("text/html; charset=utf-8"));
    }
}
