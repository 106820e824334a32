//! What do all pages have in common?
//!
//! Plain HTML and forms, no script, nothing from elsewhere. Templates are maud's: the compiler checks them, and text
//! is escaped unless one asks otherwise, which nothing here does.

use maud::{DOCTYPE, Markup, html};
use poem::{
    IntoResponse, Response, Route,
    endpoint::make_sync,
    get,
    http::{StatusCode, header},
    web::{Html, Redirect},
};

use crate::http::Problem;

const STYLE: &str = include_str!("hearth.css");
const ICON: &str = include_str!("hearth.svg");

/// Tells this release's style and icon from another's.
const FINGERPRINT: u64 = fingerprint(STYLE, fingerprint(ICON, 0xcbf2_9ce4_8422_2325));

/// FNV-1a, which can be computed while compiling.
const fn fingerprint(text: &str, start: u64) -> u64 {
    let (bytes, mut hash, mut index) = (text.as_bytes(), start, 0);
    while index < bytes.len() {
        hash = (hash ^ bytes[index] as u64).wrapping_mul(0x0100_0000_01b3);
        index += 1;
    }
    hash
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    Response::builder()
        .content_type(content_type)
        // For a year: the pages name it with its fingerprint, so other content is another address.
        .header(header::CACHE_CONTROL, "max-age=31536000, immutable")
        .body(text)
}

/// Adds the pages' style and icon to the routes.
pub(crate) fn assets(route: Route) -> Route {
    route
        .at("/assets/hearth.css", get(make_sync(|_| asset("text/css", STYLE))))
        .at("/assets/hearth.svg", get(make_sync(|_| asset("image/svg+xml", ICON))))
}

/// Answers with a page.
pub(crate) fn answer(status: StatusCode, page: Markup) -> Response {
    Html(page.into_string()).with_status(status).with_header(header::CACHE_CONTROL, "no-store").into_response()
}

/// Sends somebody to the sign-in page, and back to where they wanted to go.
pub(crate) fn to_sign_in(wanted: Option<&str>) -> Response {
    let place = match wanted {
        None | Some("/") => "/sign-in".to_owned(),
        Some(wanted) => format!("/sign-in?next={}", encoded(wanted)),
    };
    Redirect::see_other(place).with_header(header::CACHE_CONTROL, "no-store").into_response()
}

/// Percent-encodes all but letters and digits.
pub(crate) fn encoded(text: &str) -> String {
    use std::fmt::Write;
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// Returns the page for a person whose request could not be answered.
pub(crate) fn error_page(problem: &Problem) -> Response {
    let content = html! {
        main {
            h1 { (problem.sentence()) }
            p { a href="/" { "Back to the records" } }
        }
    };
    // The problem's own answer has the right headers.
    let mut response = problem.clone().into_response();
    let page = answer(problem.status(), layout("Hearth", &content));
    for name in [header::CONTENT_TYPE, header::CACHE_CONTROL] {
        if let Some(value) = page.headers().get(&name) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    response.set_body(page.into_body());
    response
}

/// Returns a page with this title and content.
pub(crate) fn layout(title: &str, content: &Markup) -> Markup {
    let icon = format!("/assets/hearth.svg?{FINGERPRINT:x}");
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) }
                link rel="icon" type="image/svg+xml" href=(icon);
                link rel="stylesheet" href=(format!("/assets/hearth.css?{FINGERPRINT:x}"));
            }
            body {
                header {
                    a href="/" { img src=(icon) alt="" width="28" height="28"; "Hearth" }
                    nav { a href="/api/v1/docs" { "API" } }
                }
                (content)
            }
        }
    }
}
