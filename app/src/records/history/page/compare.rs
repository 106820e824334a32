//! How does a version look beside another one?
//!
//! Part by part, as lines that are gone and lines that are new; then the whole version, and the way back to it.

use std::collections::HashMap;

use maud::{Markup, html};
use serde::Deserialize;

use crate::{
    html::{Frame, markdown, timestamp, title_of},
    http::Problem,
    records::{
        entity::Visibility,
        history::{
            content::Content,
            diff::{Line, lines},
            parts::{Part, differing},
            versions::Version,
        },
    },
};

/// What a version is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum With {
    #[default]
    Before,
    Now,
}

/// A version beside another one.
pub(super) struct Comparison<'a> {
    pub(super) id: i64,
    pub(super) current: &'a Version,
    pub(super) version: &'a Version,
    /// The one before it, where there is one, or the current one.
    pub(super) other: Option<&'a Version>,
    pub(super) with: With,
    pub(super) names: &'a HashMap<i64, String>,
    /// Whether whoever looks added the record.
    pub(super) is_owner: bool,
    pub(super) refusal: Option<&'a Problem>,
}

/// Lines that are shown around those that differ.
const AROUND: usize = 2;

impl Comparison<'_> {
    /// Returns the page.
    pub(super) fn page(&self, frame: &Frame) -> Markup {
        let Self { id, version, current, .. } = self;
        let title = format!("Version {} of “{}”", version.number, version.content.title);
        let is_current = version.number == current.number;
        let content = html! {
            p.back { a href={ "/records/" (id) "/history" } { "Back to the history of “" (current.content.title) "”" } }
            h1 { (title) }
            @if self.refusal.is_some() {
                div.alert role="alert" {
                    p {
                        strong { "The version was not restored." }
                        " The record was changed while this page was open. Compare this version with what the record says now."
                    }
                }
            }
            p.quiet {
                @if let Some(name) = version.by.and_then(|by| self.names.get(&by)) { "By " (name) ", " }
                (timestamp(version.at)) "."
                @if is_current { " This is what the record says now." }
            }
            @if !is_current { (self.choice()) }
            section aria-labelledby="changes" {
                h2 #changes { (self.heading()) }
                (self.changes())
            }
            @if !is_current { (self.restore()) }
            section.whole aria-labelledby="whole" {
                h2 #whole { "The whole version" }
                (whole(&version.content))
            }
        };
        frame.page(&title_of(&title, self.refusal), &content)
    }

    /// The two ways to look at it.
    fn choice(&self) -> Markup {
        let address = format!("/records/{}/history/{}", self.id, self.version.number);
        let current = |with| (self.with == with).then_some("true");
        html! {
            nav.pages aria-label="Compare with" {
                a href=(address) aria-current=[current(With::Before)] { "What it changed" }
                a href={ (address) "?with=now" } aria-current=[current(With::Now)] { "What has changed since" }
            }
        }
    }

    fn heading(&self) -> String {
        match (self.with, self.other) {
            (With::Now, _) => "What has changed since".to_owned(),
            (With::Before, Some(before)) => format!("What it changed against version {}", before.number),
            (With::Before, None) => "What it changed".to_owned(),
        }
    }

    fn changes(&self) -> Markup {
        let Some(other) = self.other else {
            return html! {
                p.nothing {
                    @if self.version.number == 1 { "With this version the record was added." }
                    @else { "This is the oldest version that is kept." }
                }
            };
        };
        // The older one first, so that what came later is what was added.
        let (old, new) = match self.with {
            With::Before => (&other.content, &self.version.content),
            With::Now => (&self.version.content, &other.content),
        };
        let parts = differing(old, new);
        html! {
            @if parts.is_empty() { p.nothing { "Nothing." } }
            @for part in parts {
                h3 { (part.label()) }
                (difference(&words(part, old), &words(part, new)))
            }
        }
    }

    fn restore(&self) -> Markup {
        let (old, now) = (&self.version.content, &self.current.content);
        html! {
            section.card aria-labelledby="restore" {
                h2 #restore { "Restore this version" }
                p {
                    "The record will say again what it said then. What it says now stays in its history. Attachments that were \
                     removed since come back, and those that were added since stay."
                }
                @if old.visibility != now.visibility {
                    p {
                        @if self.is_owner { "It will be visible to: " strong { (visible_to(old.visibility)) } "." }
                        @else { "Who can see it does not change." }
                    }
                }
                form method="post" action={ "/records/" (self.id) "/history/" (self.version.number) "/restore" } {
                    input type="hidden" name="version" value=(self.current.number);
                    button.main { "Restore this version" }
                }
            }
        }
    }
}

/// What a part says, line by line.
fn words(part: Part, content: &Content) -> String {
    match part {
        Part::Title => content.title.clone(),
        Part::Kind => content.kind.label().to_owned(),
        Part::Category => content.category.clone(),
        Part::DueDate => content.due_date.map(|day| day.to_string()).unwrap_or_default(),
        Part::Place => content.place.as_ref().map(|place| place.name.clone()).unwrap_or_default(),
        Part::Fields => content
            .fields
            .iter()
            .map(|field| match &field.money {
                Some(money) => format!("{}: {money}", field.label),
                None => format!("{}: {}", field.label, field.value),
            })
            .collect::<Vec<_>>()
            .join("\n"),
        Part::Tags => content.tags.join("\n"),
        Part::Notes => content.notes.clone(),
        Part::Attachments => {
            let name = |attachment: &crate::records::history::content::KeptAttachment| attachment.name.clone();
            content.attachments.iter().map(name).collect::<Vec<_>>().join("\n")
        }
        Part::Visibility => visible_to(content.visibility).to_owned(),
        Part::GuestsSeeAttachments => {
            if content.guests_see_attachments { "Visible to guests" } else { "Hidden from guests" }.to_owned()
        }
    }
}

fn visible_to(visibility: Visibility) -> &'static str {
    match visibility {
        Visibility::Household => "Everyone in the household",
        Visibility::Private => "Only its owner",
    }
}

/// Returns the lines that differ, and some around them.
fn difference(old: &str, new: &str) -> Markup {
    let lines = lines(old, new);
    let differs = |line: &Line<'_>| !matches!(line, Line::Same(_));
    let is_near = |at: usize| lines[at.saturating_sub(AROUND)..lines.len().min(at + AROUND + 1)].iter().any(differs);
    let shown: Vec<bool> = (0..lines.len()).map(is_near).collect();
    html! {
        ul.diff {
            @for (at, line) in lines.iter().enumerate() {
                @if shown[at] {
                    @match line {
                        Line::Same(text) => { li { (text) } }
                        Line::Lost(text) => { li.lost { span.hidden { "Removed: " } del { (text) } } }
                        Line::Gained(text) => { li.gained { span.hidden { "Added: " } ins { (text) } } }
                    }
                } @else if at == 0 || shown[at - 1] { li.left-out { "…" } }
            }
            // The same lines in another order, or another attachment of the same name.
            @if !lines.iter().any(differs) { li.left-out { "Changed in what is not shown here." } }
        }
    }
}

/// Returns all that a version says.
fn whole(content: &Content) -> Markup {
    let said = [
        Part::Title,
        Part::Kind,
        Part::Category,
        Part::DueDate,
        Part::Place,
        Part::Fields,
        Part::Tags,
        Part::Attachments,
        Part::Visibility,
    ];
    html! {
        dl.facts {
            @for part in said {
                @let words = words(part, content);
                @if !words.is_empty() { dt { (part.label()) } dd.lines { (words) } }
            }
        }
        @if !content.notes.is_empty() {
            h3 { "Notes" }
            section.notes aria-label="Notes" { (markdown(&content.notes)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        datetime::Timestamp,
        html::for_tests::{EVIL, assert_harmless},
        records::history::content::tests::titled,
    };

    fn version(number: i64, content: Content) -> Version {
        Version { number, at: Timestamp::now(), by: Some(1), content }
    }

    fn page(version: &Version, other: Option<&Version>, current: &Version, with: With, is_owner: bool) -> Markup {
        let names = HashMap::from([(1, EVIL.to_owned())]);
        Comparison { id: 3, current, version, other, with, names: &names, is_owner, refusal: None }
            .page(&Frame::default())
    }

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let mut content = titled(EVIL);
        let now = version(2, titled("now"));
        content.notes = EVIL.to_owned();
        content.category = EVIL.to_owned();
        content.tags = vec![EVIL.to_owned()];
        content.attachments[0].name = EVIL.to_owned();
        content.fields[0].label = EVIL.to_owned();
        let evil = version(1, content);
        for (one, other) in [(&evil, &now), (&now, &evil)] {
            assert_harmless(&page(one, Some(other), &now, With::Now, true));
        }
    }

    #[test]
    fn what_changed_is_shown_from_the_older_to_the_newer() {
        let (old, new) = (version(1, titled("Boiler")), version(2, titled("Stove")));
        let text = page(&new, Some(&old), &new, With::Before, false).into_string();
        assert!(text.contains("<del>Boiler</del>") && text.contains("<ins>Stove</ins>"), "{text}");
        assert!(!text.contains("<form"), "what the record says now is not restored: {text}");
        let text = page(&old, Some(&new), &new, With::Now, false).into_string();
        assert!(text.contains("<del>Boiler</del>") && text.contains("<ins>Stove</ins>"), "{text}");
        assert!(text.contains(r#"name="version" value="2""#), "{text}");
    }

    #[test]
    fn far_from_what_changed_no_line_is_shown() {
        let text: String = (0..100).map(|number| format!("line {number}\n")).collect();
        let shown = difference(&text, &text.replace("line 50\n", "new\n")).into_string();
        assert_eq!(shown.matches("<li").count(), 2 + 2 + 2 + 2, "{shown}");
        assert!(difference("a", "a").into_string().contains("not shown here"));
    }

    #[test]
    fn its_owner_is_told_that_a_restore_changes_who_sees_it() {
        let private = Content { visibility: Visibility::Private, ..titled("Diary") };
        let (old, new) = (version(1, titled("Diary")), version(2, private));
        let text = |is_owner| page(&old, Some(&new), &new, With::Now, is_owner).into_string();
        assert!(text(true).contains("It will be visible to: <strong>Everyone in the household"));
        assert!(text(false).contains("Who can see it does not change."));
    }
}
