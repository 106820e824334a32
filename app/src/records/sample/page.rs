//! The page on which the sample household is loaded, and removed again.

use maud::{Markup, html};
use poem::{
    Response, Result, handler,
    http::StatusCode,
    web::{Data, Query},
};
use serde::Deserialize;

use super::{
    TAG,
    store::{self, State},
};
use crate::{
    auth::{authority::AuthorizedDatabase, caller::Visitor},
    html::{Fields, Frame, answer, redirect, refused, title_of},
    http::Problem,
    records::store::Viewer,
};

/// What has just happened, as the address has it.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Outcome {
    done: Option<String>,
}

#[handler]
pub(crate) async fn show(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
    Query(outcome): Query<Outcome>,
) -> Result<Response> {
    let state = state(database, &visitor).await?;
    Ok(answer(StatusCode::OK, page(&frame, state, None, outcome.done.as_deref())))
}

#[handler]
pub(crate) async fn load(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
) -> Result<Response> {
    finished(&frame, &visitor, database, store::load(database, &visitor).await, "loaded").await
}

#[handler]
pub(crate) async fn remove(
    frame: Frame,
    visitor: Visitor,
    Data(database): Data<&AuthorizedDatabase>,
) -> Result<Response> {
    finished(&frame, &visitor, database, store::remove(database, &visitor).await, "removed").await
}

async fn finished(
    frame: &Frame,
    visitor: &Visitor,
    database: &AuthorizedDatabase,
    outcome: std::result::Result<(), Problem>,
    done: &str,
) -> Result<Response> {
    match outcome {
        Ok(()) => Ok(redirect(&format!("/sample?done={done}"))),
        Err(problem) => {
            let state = state(database, visitor).await?;
            Ok(refused(&problem, page(frame, state, Some(&problem), None)))
        }
    }
}

async fn state(database: &AuthorizedDatabase, visitor: &Visitor) -> Result<State, Problem> {
    store::state(database.reads(), Viewer::of(visitor)).await.map_err(|error| database.failed(error).into())
}

fn page(frame: &Frame, state: State, refusal: Option<&Problem>, done: Option<&str>) -> Markup {
    let content = html! {
        div.narrow {
            p.back { a href="/" { "Back to Records" } }
            h1 { "Sample household" }
            @match done {
                Some("loaded") => {
                    p.done role="status" { "The sample was loaded. " a href="/" { "Look at the records" } }
                }
                Some("removed") => {
                    p.done role="status" { "The sample was moved to the trash. " a href="/records/new" { "New record" } }
                }
                _ => {}
            }
            (Fields::new("sample", refusal).summary("Nothing was changed."))
            @match state {
                State::Empty => {
                    p { "A dozen records of a household that does not exist, to look around in: things, contracts, a car, a passport, \
                         in places and with tags. You can remove them all at once." }
                    form method="post" action="/sample" { button.main { "Load the sample" } }
                }
                State::Loaded(number) => {
                    p {
                        a href={ "/?tag=" (TAG) } { (number) @if number == 1 { " record" } @else { " records" } }
                        " with the tag “" (TAG) "” can be moved to the trash at once. To keep one of them, take the tag from it first."
                    }
                    form method="post" action="/sample/remove" { button.danger.wide { "Remove the sample" } }
                }
                State::Used => { p { "The sample is for an empty binder, and there are records in this one." } }
            }
        }
    };
    frame.page(&title_of("Sample household", refusal), &content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_offers_what_can_be_done() {
        let text = |state| page(&Frame::default(), state, None, None).into_string();
        assert!(text(State::Empty).contains("Load the sample") && !text(State::Empty).contains("/sample/remove"));
        assert!(text(State::Loaded(3)).contains(r#"/?tag=Sample">3 records</a>"#), "{}", text(State::Loaded(3)));
        assert!(!text(State::Used).contains("<form"));
    }
}
