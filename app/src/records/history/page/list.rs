//! How does the list of a record's versions look?

use std::collections::HashMap;

use maud::{Markup, html};

use crate::{
    html::{Frame, timestamp},
    records::history::versions::{Page, Summary},
};

/// A page of a record's versions.
pub(super) struct History<'a> {
    pub(super) id: i64,
    /// The title of the record as it is now.
    pub(super) title: &'a str,
    pub(super) page: &'a Page,
    pub(super) names: &'a HashMap<i64, String>,
    /// Whether there are newer versions on another page.
    pub(super) is_later: bool,
}

impl History<'_> {
    /// Returns the page.
    pub(super) fn page(&self, frame: &Frame) -> Markup {
        let address = format!("/records/{}/history", self.id);
        let content = html! {
            p.back { a href={ "/records/" (self.id) } { "Back to “" (self.title) "”" } }
            h1 { "History of “" (self.title) "”" }
            ol.events {
                @for version in &self.page.versions { (self.entry(&address, version)) }
            }
            @if self.is_later || self.page.next.is_some() {
                nav.pages aria-label="Pages" {
                    @if self.is_later { a rel="first" href=(address) { "Newest" } }
                    @if let Some(next) = self.page.next { a rel="next" href={ (address) "?before=" (next) } { "Older" } }
                }
            }
        };
        frame.page(&format!("History of {}", self.title), &content)
    }

    fn entry(&self, address: &str, version: &Summary) -> Markup {
        html! {
            li {
                (timestamp(version.at))
                div {
                    p {
                        a.version href={ (address) "/" (version.number) } { "Version " (version.number) }
                        @if version.is_current { span.mark { "Current" } }
                    }
                    p.quiet {
                        @match version.by.and_then(|by| self.names.get(&by)) {
                            Some(name) => { (name) }
                            None => { "Somebody" }
                        }
                        @match version.changed.as_deref() {
                            None if version.number == 1 => { " added the record" }
                            None => { " made the oldest version that is kept" }
                            Some([]) => { " changed nothing that is shown here" }
                            Some(parts) => {
                                " changed: " (parts.iter().map(|part| part.label()).collect::<Vec<_>>().join(", "))
                            }
                        }
                        "."
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        datetime::Timestamp,
        html::for_tests::{EVIL, assert_harmless},
        records::history::parts::Part,
    };

    fn history(title: &str, changed: Option<Vec<Part>>) -> Markup {
        let names = HashMap::from([(1, EVIL.to_owned())]);
        let version = Summary { number: 7, at: Timestamp::now(), by: Some(1), is_current: true, changed };
        let page = Page { versions: vec![version], next: Some(7) };
        History { id: 3, title, page: &page, names: &names, is_later: true }.page(&Frame::default())
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        assert_harmless(&history(EVIL, None));
    }

    #[test]
    fn a_version_says_what_was_changed_and_leads_on() {
        let text = history("Boiler", Some(vec![Part::Title, Part::DueDate])).into_string();
        for part in ["changed: Title, Due date.", "/records/3/history/7", "?before=7", "Current", r#"rel="first""#] {
            assert!(text.contains(part), "{part}: {text}");
        }
    }
}
