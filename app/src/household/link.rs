//! Where does a link lead that is sent to somebody?
//!
//! To where the household reaches Hearth, as the operator has set it; without that, to where this browser reached it. That
//! may be no place for anybody else, and then the page with the link says so. That page is the response to the form that made
//! the link: no address shows it, so going back does not.

use maud::{Markup, html};
use poem::{Request, http::header};
use poem_openapi::Object;
use url::Url;

use crate::{
    auth::{Accounts, caller::ClientInfo},
    config::is_loopback,
    html::Frame,
};

/// A link, and for whom it works.
pub(crate) struct Link {
    pub(crate) address: String,
    pub(crate) reach: Reach,
}

/// For whom a link works.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// For everybody: the operator says that browsers find Hearth there.
    Everybody,
    /// For whoever finds Hearth where this browser found it.
    Here,
    /// On the very machine of this browser.
    ThisMachine,
}

impl Link {
    /// Returns the link to a path.
    pub(crate) fn to(accounts: &Accounts, request: &Request, client: &ClientInfo, path: &str) -> Self {
        let is_set = accounts.http.public_url.is_some();
        let address = match request.header(header::HOST) {
            Some(host) if !is_set => format!("{}://{host}{path}", if client.https { "https" } else { "http" }),
            _ => accounts.address_of(path),
        };
        Self { reach: Reach::of(&address, is_set), address }
    }
}

impl Reach {
    fn of(address: &str, is_set: bool) -> Self {
        match Url::parse(address) {
            Ok(url) if is_loopback(&url) => Self::ThisMachine,
            _ if is_set => Self::Everybody,
            _ => Self::Here,
        }
    }

    /// Returns what to know before the link is sent.
    pub(crate) fn warning(self) -> Option<&'static str> {
        match self {
            Self::Everybody => None,
            Self::Here => Some(
                "This link only works where this address reaches Hearth. For links that work everywhere, the operator must \
                 set HEARTH_HTTP__PUBLIC_URL.",
            ),
            Self::ThisMachine => Some(
                "This link only works on this machine. For links that others can open, the operator must set \
                 HEARTH_HTTP__PUBLIC_URL to the address at which they reach Hearth.",
            ),
        }
    }
}

/// Returns the page with a link for somebody: what it is, what it is for, how long it is good, and for whom it works.
pub(crate) fn link_page(frame: &Frame, title: &str, what: &Markup, good_for: &str, link: &Link) -> Markup {
    let content = html! {
        div.narrow {
            h1 { (title) }
            p { (what) }
            p { code.secret { (link.address) } }
            @if let Some(warning) = link.reach.warning() { p.note { (warning) } }
            p {
                "Anyone who has this link can use it, so send it privately. It works once and expires in " (good_for) ". "
                strong { "It is not shown again." }
            }
            p { a.button.main href="/people" { "Back to People" } }
        }
    };
    frame.page(title, &content)
}

/// A link to send to someone.
#[derive(Debug, Object)]
#[oai(rename = "Link", skip_serializing_if_is_none)]
pub(crate) struct LinkBody {
    /// The address of the link, or a path on this host if `http.public_url` is not set. It is not shown again.
    pub(crate) url: String,
    /// The token in the link, for programs.
    pub(crate) token: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::for_tests::{EVIL, assert_harmless};

    #[test]
    fn a_link_that_others_cannot_open_is_told_from_one_that_they_can() {
        for (address, is_set, reach) in [
            ("https://hearth.example.org/reset/x", true, Reach::Everybody),
            ("http://localhost:3000/reset/x", true, Reach::ThisMachine),
            ("http://localhost:3000/reset/x", false, Reach::ThisMachine),
            ("http://127.0.0.1:3000/reset/x", false, Reach::ThisMachine),
            ("http://[::1]:3000/reset/x", false, Reach::ThisMachine),
            ("http://nas:3000/reset/x", false, Reach::Here),
            ("https://nas.tail1.ts.net/reset/x", false, Reach::Here),
            ("/reset/x", false, Reach::Here),
        ] {
            assert_eq!(Reach::of(address, is_set), reach, "{address} {is_set}");
        }
        assert_eq!(Reach::Everybody.warning(), None);
        for reach in [Reach::Here, Reach::ThisMachine] {
            assert!(reach.warning().unwrap().contains("HEARTH_HTTP__PUBLIC_URL"));
        }
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let sent = Link { address: EVIL.to_owned(), reach: Reach::Here };
        assert_harmless(&link_page(&Frame::default(), EVIL, &html! { (EVIL) }, "a day", &sent));
    }
}
