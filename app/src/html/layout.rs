//! What stands around every page?
//!
//! A way past it for the keyboard, where one is and may go, who one is and the way out, and, for those who look after
//! the instance, that there is a newer version, that backups fail and that an upgrade failed.

use maud::{DOCTYPE, Markup, html};
use poem::{FromRequest, Request, RequestBody, Result};

use super::{asset_address, manifest::MANIFEST, relative_time::timestamp};
use crate::datetime::Timestamp;

/// The page that says how the instance is.
const STATUS: &str = "/status";

/// What the pages of a request stand in: who looks at them, from where on they may go on, and what is new.
#[derive(Debug, Clone, Default)]
pub(crate) struct Frame {
    pub(crate) path: String,
    pub(crate) viewer: Option<Viewer>,
    /// The entries that the viewer may see.
    pub(crate) navigation: Vec<Entry>,
    pub(crate) newer: Option<Newer>,
    /// Whether something is wrong with the backups, and the viewer can do something about it.
    pub(crate) backups_need_attention: bool,
    /// That an upgrade failed, if the viewer can do something about it.
    pub(crate) notice: Option<Notice>,
}

/// Who looks at a page.
#[derive(Debug, Clone)]
pub(crate) struct Viewer {
    pub(crate) name: String,
    /// Whether there is a session to end.
    pub(crate) can_sign_out: bool,
}

/// An entry of the navigation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) address: &'static str,
    pub(crate) label: &'static str,
    /// The address below which its pages are.
    pub(crate) within: &'static str,
    /// Whether the viewer's name stands beside it.
    pub(crate) is_named: bool,
}

/// A version that is newer than this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newer {
    pub(crate) version: String,
    /// The address of its notes.
    pub(crate) notes: Option<String>,
}

/// What those who look after the instance read on every page until it is mended: an upgrade failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    /// What failed, why, and which version serves, in sentences.
    pub(crate) message: String,
    pub(crate) since: Option<Timestamp>,
}

impl<'a> FromRequest<'a> for Frame {
    async fn from_request(request: &'a Request, _body: &mut RequestBody) -> Result<Self> {
        Ok(request.data::<Self>().cloned().unwrap_or_default())
    }
}

impl Frame {
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
                    link rel="apple-touch-icon" href=(asset_address("touch-180.png"));
                    link rel="manifest" href=(MANIFEST);
                    link rel="stylesheet" href=(asset_address("hearth.css"));
                }
                body {
                    a.skip href="#main" { "Skip to content" }
                    header.top {
                        a.brand href="/" { img src=(icon) alt="" width="28" height="28"; "Hearth" }
                        @if let Some(viewer) = &self.viewer { (self.navigation(viewer)) }
                    }
                    @if let Some(notice) = &self.notice { (failed_upgrade(notice)) }
                    @if self.backups_need_attention && self.path != STATUS {
                        aside.news aria-label="Backups" { p { "The backups need attention. " a href=(STATUS) { "Details" } } }
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

    fn navigation(&self, viewer: &Viewer) -> Markup {
        html! {
            nav.sections aria-label="Main" {
                ul {
                    @for entry in &self.navigation {
                        li {
                            a href=(entry.address) aria-current=[self.current(entry)] {
                                (entry.label) @if entry.is_named { span.person { (viewer.name) } }
                            }
                        }
                    }
                }
            }
            // Whom Tailscale answers for is in again with the next request.
            @if viewer.can_sign_out {
                form.out method="post" action="/sign-out" { button { "Sign out" } }
            }
        }
    }

    /// Returns `aria-current`: this very page, or one of its part of the site.
    fn current(&self, entry: &Entry) -> Option<&'static str> {
        let is_within =
            self.path.strip_prefix(entry.within).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        match self.path == entry.address {
            true => Some("page"),
            false => is_within.then_some("true"),
        }
    }
}

fn failed_upgrade(notice: &Notice) -> Markup {
    html! {
        div.news.trouble role="status" {
            p { (notice.message) @if let Some(since) = notice.since { " (" (timestamp(since)) ")" } }
        }
    }
}

fn news(newer: &Newer) -> Markup {
    html! {
        aside.news aria-label="Update" {
            p {
                "Hearth " (newer.version) " is available. "
                @if let Some(notes) = &newer.notes {
                    a href=(notes) rel="noreferrer" { "Release notes" }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::html::for_tests::{EVIL, assert_harmless};

    const RECORDS: Entry = Entry { address: "/", label: "Records", within: "/records", is_named: false };
    const PEOPLE: Entry = Entry { address: "/people", label: "People", within: "/people", is_named: false };
    const ACCOUNT: Entry = Entry { address: "/account", label: "Account", within: "/account", is_named: true };

    fn frame(path: &str) -> Frame {
        let viewer = Some(Viewer { name: EVIL.to_owned(), can_sign_out: true });
        Frame { path: path.to_owned(), viewer, navigation: vec![RECORDS, PEOPLE, ACCOUNT], ..Frame::default() }
    }

    #[test]
    fn the_navigation_says_where_one_is() {
        let page = |path: &str| frame(path).page("Title", &html! { h1 { "Title" } }).into_string();
        let people = page("/people");
        assert!(
            people.contains(r#"<a href="/people" aria-current="page">"#) && people.contains("Sign out"),
            "{people}"
        );
        assert!(people.contains(r#"<a href="/">"#), "{people}");
        for (path, entry) in [("/records/7", "/"), ("/records", "/"), ("/people/7", "/people")] {
            assert!(page(path).contains(&format!(r#"<a href="{entry}" aria-current="true">"#)), "{path}");
        }
        assert!(!page("/peoples").contains("aria-current"));
        let nobody = Frame::default().page("Title", &html! {}).into_string();
        assert!(!nobody.contains("<nav") && !nobody.contains("<footer"), "{nobody}");
    }

    #[test]
    fn that_backups_fail_stands_on_every_page_but_the_one_that_says_more() {
        let page = |path: &str, backups_need_attention| {
            Frame { backups_need_attention, ..frame(path) }.page("Title", &html! {}).into_string()
        };
        assert!(page("/", true).contains(r#"The backups need attention. <a href="/status">"#), "{}", page("/", true));
        assert!(!page("/status", true).contains("need attention") && !page("/", false).contains("need attention"));
    }

    #[test]
    fn that_an_upgrade_failed_stands_on_every_page() {
        let notice = Notice { message: "Upgrade to v9.0.0 failed: a < b.".to_owned(), since: Some(Timestamp::now()) };
        for path in ["/", "/status", "/records/7"] {
            let page = Frame { notice: Some(notice.clone()), ..frame(path) }.page("Title", &html! {}).into_string();
            let (before, banner) = page.split_once(r#"<div class="news trouble" role="status"><p>"#).unwrap();
            assert!(!before.contains("<main"), "{page}");
            assert!(banner.starts_with("Upgrade to v9.0.0 failed: a &lt; b. (<time datetime="), "{page}");
        }
        let page = frame("/").page("Title", &html! {}).into_string();
        assert!(!page.contains(r#"role="status""#), "{page}");
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let newer = Newer { version: EVIL.to_owned(), notes: Some(EVIL.to_owned()) };
        let notice = Some(Notice { message: EVIL.to_owned(), since: None });
        assert_harmless(&Frame { newer: Some(newer), notice, ..frame(EVIL) }.page(EVIL, &html! {}));
    }
}
