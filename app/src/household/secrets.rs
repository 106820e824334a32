//! How is a secret shown that is not shown again: recovery codes, a token, a link?
//!
//! In the answer to the form that made it, on a page of its own: no address shows it, so going back does not.

use maud::{Markup, html};

use super::link::Link;
use crate::html::Frame;

/// Returns the page with recovery codes.
pub(crate) fn recovery_codes(frame: &Frame, codes: &[String]) -> Markup {
    let content = html! {
        div.narrow {
            h1 { "Your recovery codes" }
            p.done role="status" { "Your second factor is on." }
            p {
                "Each of these codes lets you in once when your phone is gone. Print this page, or copy them into a \
                 password manager. " strong { "They are not shown again." }
            }
            ul.codes { @for code in codes { li { code { (code) } } } }
            p { a.button.main href="/account#second-factor" { "I have kept them" } }
        }
    };
    frame.page("Your recovery codes", &content)
}

/// Returns the page with a token.
pub(crate) fn token(frame: &Frame, name: &str, token: &str) -> Markup {
    let content = html! {
        div.narrow {
            h1 { "Your new token" }
            p.done role="status" { "The token “" (name) "” was made." }
            p { "Copy it now into the program that is to use it. " strong { "It is not shown again." } }
            p { code.secret { (token) } }
            p.quiet { "Programs send it as " code { "Authorization: Bearer …" } "." }
            p { a.button.main href="/account#tokens" { "I have copied it" } }
        }
    };
    frame.page("Your new token", &content)
}

/// Returns the page with a link for somebody: what it is, what it is for, how long it is good, and for whom it works.
pub(crate) fn link(frame: &Frame, title: &str, what: &Markup, good_for: &str, link: &Link) -> Markup {
    let content = html! {
        div.narrow {
            h1 { (title) }
            p { (what) }
            p { code.secret { (link.address) } }
            @if let Some(warning) = link.reach.warning() { p.note { (warning) } }
            p {
                "Whoever opens it first can use it, so send it by a way that only they read. It is good for " (good_for)
                " and once. " strong { "It is not shown again." }
            }
            p { a.button.main href="/people" { "Back to the people" } }
        }
    };
    frame.page(title, &content)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        household::link::Reach,
        html::for_tests::{EVIL, assert_harmless},
    };

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let frame = Frame::default();
        assert_harmless(&recovery_codes(&frame, &[EVIL.to_owned()]));
        assert_harmless(&token(&frame, EVIL, EVIL));
        let sent = Link { address: EVIL.to_owned(), reach: Reach::Here };
        assert_harmless(&link(&frame, EVIL, &html! { (EVIL) }, "a day", &sent));
    }
}
