//! What stands around every page?
//!
//! A way past it for the keyboard, where one is and may go, who one is and the way out, and, for those who look after
//! the instance, that there is a newer version.

use maud::{DOCTYPE, Markup, html};
use poem::{FromRequest, Request, RequestBody, Result};

use super::asset_address;
use crate::{
    auth::{
        caller::{By, Caller},
        role::Role,
    },
    instance::{Newer, News},
};

/// What a page's surroundings depend on; handlers take it as an argument.
#[derive(Debug, Default)]
pub(crate) struct Frame {
    viewer: Option<Caller>,
    /// Where the page is, so that the navigation can say so.
    path: String,
    newer: Option<Newer>,
}

impl<'a> FromRequest<'a> for Frame {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        let viewer = request.extensions().get::<Caller>().cloned();
        let looks_after = viewer.as_ref().is_some_and(|viewer| viewer.role() >= Role::Admin);
        let newer = request.data::<News>().filter(|_| looks_after).and_then(News::newer);
        Ok(Self { viewer, path: request.uri().path().to_owned(), newer })
    }
}

/// Returns a page with this title and content, where no more is known than who looks at it.
pub(crate) fn layout(title: &str, viewer: Option<&Caller>, content: &Markup) -> Markup {
    Frame { viewer: viewer.cloned(), ..Frame::default() }.page(title, content)
}

impl Frame {
    /// Returns who looks at the page, when it is somebody of the household.
    pub(crate) fn viewer(&self) -> Option<&Caller> {
        self.viewer.as_ref()
    }

    /// Returns a page with this title and content.
    pub(crate) fn page(&self, title: &str, content: &Markup) -> Markup {
        let icon = asset_address("hearth.svg");
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    title { (title) " · Hearth" }
                    link rel="icon" type="image/svg+xml" href=(icon);
                    link rel="stylesheet" href=(asset_address("hearth.css"));
                }
                body {
                    a.skip href="#main" { "Skip to the content" }
                    header.top {
                        a.brand href="/" { img src=(icon) alt="" width="28" height="28"; "Hearth" }
                        @if let Some(viewer) = &self.viewer { (self.navigation(viewer)) }
                    }
                    @if let Some(newer) = &self.newer { (news(newer)) }
                    main #main tabindex="-1" { (content) }
                    @if self.viewer.is_some() {
                        footer { "Hearth " (env!("CARGO_PKG_VERSION")) " · " a href="/api/v1/docs" { "API" } }
                    }
                }
            }
        }
    }

    fn navigation(&self, viewer: &Caller) -> Markup {
        let looks_after = viewer.role() >= Role::Admin;
        html! {
            nav.sections aria-label="Main" {
                ul {
                    li { a href="/" aria-current=[self.current("/")] { "Records" } }
                    @if looks_after {
                        li { a href="/people" aria-current=[self.current("/people")] { "People" } }
                        li { a href="/audit" aria-current=[self.current("/audit")] { "Audit" } }
                    }
                    li {
                        a href="/account" aria-current=[self.current("/account")] {
                            "Account" span.person { (viewer.user.name) }
                        }
                    }
                }
            }
            // Whom Tailscale answers for is in again with the next request.
            @if !matches!(viewer.by, By::Tailscale) {
                form.out method="post" action="/sign-out" { button { "Sign out" } }
            }
        }
    }

    /// Whether a part of the site is the one that is shown, in the words of `aria-current`.
    fn current(&self, address: &str) -> Option<&'static str> {
        let within = match address {
            "/" => self.path.starts_with("/records"),
            _ => self.path.strip_prefix(address).is_some_and(|rest| rest.starts_with('/')),
        };
        match self.path == address {
            true => Some("page"),
            false => within.then_some("true"),
        }
    }
}

fn news(newer: &Newer) -> Markup {
    html! {
        aside.news aria-label="News" {
            p {
                "Hearth " (newer.version) " is out. "
                @if let Some(notes) = &newer.notes {
                    a href=(notes) rel="noreferrer" { "What is new, and what to do" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::for_tests::{EVIL, assert_harmless, caller};

    #[test]
    fn the_navigation_says_where_one_is_and_offers_what_one_may() {
        let page = |role, path: &str| {
            let frame = Frame { viewer: Some(caller(role)), path: path.to_owned(), newer: None };
            frame.page("Title", &html! { h1 { "Title" } }).into_string()
        };
        let owner = page(Role::Owner, "/people");
        assert!(owner.contains(r#"<a href="/people" aria-current="page">"#), "{owner}");
        assert!(owner.contains(r#"<a href="/audit">"#) && owner.contains("Sign out"));
        let guest = page(Role::Guest, "/records/7");
        assert!(guest.contains(r#"<a href="/" aria-current="true">"#), "{guest}");
        assert!(!guest.contains("/people") && !guest.contains("/audit"));
        let nobody = Frame::default().page("Title", &html! {}).into_string();
        assert!(!nobody.contains("<nav") && !nobody.contains("<footer"), "{nobody}");
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let newer = Newer { version: EVIL.to_owned(), notes: Some(EVIL.to_owned()) };
        let frame = Frame { viewer: Some(caller(Role::Owner)), path: EVIL.to_owned(), newer: Some(newer) };
        assert_harmless(&frame.page(EVIL, &html! {}));
    }
}
