//! The tags as a page for people: which there are, and forms to rename and to remove each.
//!
//! Guests look and get no forms.

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Form, Query},
};
use serde::Deserialize;

use super::{
    api::no_such_tag,
    store::{self, Tag},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor, role::Role},
    html::{Fields, Frame, Input, answer, encoded, redirect, refused, title_of},
    http::Problem,
    records::{draft::TAG_MAX, store::Viewer},
};

/// What has just happened, as the address has it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Outcome {
    done: Option<String>,
}

/// What the forms of a tag send.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct TagForm {
    #[serde(default)]
    tag: String,
    /// The new name.
    #[serde(default)]
    name: String,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Query(outcome): Query<Outcome>,
) -> Result<Response> {
    let tags = all(database, &visitor).await?;
    Ok(answer(StatusCode::OK, page(&frame, &tags, visitor.role() >= Role::Member, None, outcome.done.as_deref())))
}

#[handler]
pub(crate) async fn rename(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Form(submitted): Form<TagForm>,
) -> Result<Response> {
    match store::rename(database, &visitor, &submitted.tag, &submitted.name).await {
        Ok(Some(changed)) if changed.merged => Ok(redirect("/tags?done=merged")),
        Ok(Some(_)) => Ok(redirect("/tags?done=renamed")),
        Ok(None) => Err(no_such_tag(&submitted.tag).into()),
        Err(problem) => {
            let tags = all(database, &visitor).await?;
            Ok(refused(&problem, page(&frame, &tags, true, Some((&submitted, &problem)), None)))
        }
    }
}

#[handler]
pub(crate) async fn remove(
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Form(submitted): Form<TagForm>,
) -> Result<Response> {
    match store::remove(database, &visitor, &submitted.tag).await? {
        true => Ok(redirect("/tags?done=removed")),
        false => Err(no_such_tag(&submitted.tag).into()),
    }
}

async fn all(database: &AuthorizedDatabase, visitor: &Visitor) -> Result<Vec<Tag>, Problem> {
    store::list(database.reads(), Viewer::of(visitor)).await.map_err(|error| database.failed(error).into())
}

/// Returns the page, with the form that was refused.
fn page(
    frame: &Frame,
    tags: &[Tag],
    may_change: bool,
    refusal: Option<(&TagForm, &Problem)>,
    done: Option<&str>,
) -> Markup {
    let sentence = match done {
        Some("renamed") => Some("The tag was renamed."),
        Some("merged") => Some("There was a tag with that name. The two are one now."),
        Some("removed") => Some("The tag was removed from its records."),
        _ => None,
    };
    let content = html! {
        p.back { a href="/" { "Back to Records" } }
        h1 { "Tags" }
        @if let Some(sentence) = sentence { p.done role="status" { (sentence) } }
        @if tags.is_empty() {
            p.nothing { "There are no tags yet. A tag is a word that you give to records, such as “Garden” or “Taxes 2026”." }
        } @else {
            ul.things {
                @for (tag, number) in tags.iter().zip(1..) {
                    (entry(tag, number, may_change, refusal.filter(|(submitted, _)| submitted.tag == tag.name)))
                }
            }
            p.quiet { "Renaming or removing a tag changes the records that you can see, not those that others keep to themselves." }
        }
    };
    frame.page(&title_of("Tags", refusal.map(|(_, problem)| problem)), &content)
}

fn entry(tag: &Tag, number: usize, may_change: bool, refusal: Option<(&TagForm, &Problem)>) -> Markup {
    let fields = Fields::new(format!("tag-{number}"), refusal.map(|(_, problem)| problem));
    let name = refusal.map_or(&tag.name, |(submitted, _)| &submitted.name);
    html! {
        li {
            div {
                a.tag-name href={ "/?tag=" (encoded(&tag.name)) } { (tag.name) }
                span.quiet { " " (tag.records) @if tag.records == 1 { " record" } @else { " records" } }
            }
            @if may_change {
                details.ask open[refusal.is_some()] {
                    summary { "Edit" span.hidden { " " (tag.name) } }
                    form method="post" action="/tags/rename" {
                        (fields.summary("The tag was not renamed."))
                        input type="hidden" name="tag" value=(tag.name);
                        (fields.input(&Input::new("text", "name", "Name").value(name).longest(TAG_MAX)))
                        button { "Rename" }
                    }
                    form method="post" action="/tags/remove" {
                        input type="hidden" name="tag" value=(tag.name);
                        p.quiet { "The records stay." }
                        button.danger { "Remove from records" }
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
        html::for_tests::{EVIL, assert_harmless},
        http::FieldError,
    };

    #[test]
    fn text_of_people_is_never_taken_for_html() {
        let tags = [Tag { name: EVIL.to_owned(), key: EVIL.to_owned(), records: 1 }];
        let problem = Problem::fields(vec![FieldError::new("name", EVIL)]);
        let submitted = TagForm { tag: EVIL.to_owned(), name: EVIL.to_owned() };
        assert_harmless(&page(&Frame::default(), &tags, true, Some((&submitted, &problem)), Some(EVIL)));
    }

    #[test]
    fn guests_get_no_form() {
        let tags = [Tag { name: "Garden".to_owned(), key: "garden".to_owned(), records: 2 }];
        let text = page(&Frame::default(), &tags, false, None, None).into_string();
        assert!(!text.contains("<form") && text.contains("/?tag=Garden") && text.contains("2 records"), "{text}");
    }
}
