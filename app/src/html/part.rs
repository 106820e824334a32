//! How do several forms share a page, when each is a part that knows nothing of the others?
//!
//! What a form did is in the address that its handler redirects to. What it was refused for is an error, a [`Refusal`]: the
//! page, which alone knows all of its parts, catches it and shows itself again.

use std::{borrow::Cow, future::Future, sync::Arc};

use maud::{Markup, html};
use poem::{Endpoint, EndpointExt, Request, Response, Result, endpoint::BoxEndpoint};

use super::{Fields, redirect};
use crate::http::Problem;

/// A part of a page: a heading, and forms of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Part {
    /// The address of the page.
    pub(crate) page: &'static str,
    /// What the fragment of an address names it by.
    pub(crate) id: &'static str,
    pub(crate) title: &'static str,
    /// What its forms do, by the name in the address, as a sentence for whom it is done.
    pub(crate) done: &'static [(&'static str, &'static str)],
}

impl Part {
    /// Returns where a form leads that did something.
    pub(crate) fn address(&self, done: &str) -> String {
        format!("{}?done={done}#{}", self.page, self.id)
    }

    /// Returns the response to a form that did something.
    pub(crate) fn done(&self, done: &str) -> Response {
        redirect(&self.address(done))
    }

    /// Returns the response to a form that takes something away that may be gone already.
    pub(crate) fn taken_away(&self, outcome: Result<bool, Problem>, done: &str, gone: &str) -> Result<Response> {
        match outcome {
            Ok(true) => Ok(self.done(done)),
            Ok(false) => Err(self.refuse(Problem::not_found(gone)).into()),
            Err(problem) => Err(self.refuse(problem).into()),
        }
    }

    /// Returns the refusal of one of its forms.
    pub(crate) fn refuse(&self, problem: Problem) -> Refusal {
        Refusal::new(self.id, problem)
    }

    /// Returns the fields of its form.
    pub(crate) fn fields<'a>(&self, state: &PageState<'a>) -> Fields<'a> {
        // Not the name of the part alone, which is the id of its title.
        Fields::new(format!("{}-form", self.id), state.problem_of(self.id)).unfocused()
    }

    /// Returns it with its content, and with what was done in it.
    pub(crate) fn section(&self, state: &PageState<'_>, content: &Markup) -> Markup {
        html! {
            section.card aria-labelledby=(self.id) {
                h2 id=(self.id) { (self.title) }
                @if let Some(sentence) = self.was_done(state) { p.done role="status" { (sentence) } }
                (content)
            }
        }
    }

    /// Returns what was done in it, when something was.
    pub(crate) fn was_done(&self, state: &PageState<'_>) -> Option<&'static str> {
        let name = state.done?;
        self.done.iter().find(|(known, _)| *known == name).map(|(_, sentence)| *sentence)
    }
}

/// Why a form on a page of several was refused, and what was filled in that is worth to be kept.
#[derive(Debug, thiserror::Error)]
#[error("{problem}")]
pub(crate) struct Refusal {
    /// Which part, by its id.
    part: Cow<'static, str>,
    pub(crate) problem: Problem,
    filled: Vec<(&'static str, String)>,
}

impl Refusal {
    /// Returns the refusal of a form of this part.
    pub(crate) fn new(part: impl Into<Cow<'static, str>>, problem: Problem) -> Self {
        Self { part: part.into(), problem, filled: Vec::new() }
    }

    /// Returns it with a field as it was filled in.
    pub(crate) fn with(mut self, field: &'static str, value: impl Into<String>) -> Self {
        self.filled.push((field, value.into()));
        self
    }
}

impl From<Refusal> for poem::Error {
    fn from(refusal: Refusal) -> Self {
        let status = refusal.problem.status();
        Self::new(refusal, status)
    }
}

/// What happened last on a page of several parts.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PageState<'a> {
    /// What was done, by its name in the address.
    pub(crate) done: Option<&'a str>,
    pub(crate) refusal: Option<&'a Refusal>,
}

impl<'a> PageState<'a> {
    /// Returns why a form was refused.
    pub(crate) fn problem(&self) -> Option<&'a Problem> {
        self.refusal.map(|refusal| &refusal.problem)
    }

    /// Returns why a form of this part was refused.
    pub(crate) fn problem_of(&self, part: &str) -> Option<&'a Problem> {
        self.refusal.filter(|refusal| refusal.part == part).map(|refusal| &refusal.problem)
    }

    /// Returns what was filled in there.
    pub(crate) fn submitted(&self, part: &str, field: &str) -> Option<&'a str> {
        let refusal = self.refusal.filter(|refusal| refusal.part == part)?;
        refusal.filled.iter().find(|(name, _)| *name == field).map(|(_, value)| value.as_str())
    }
}

/// Returns a form that is shown again on its page when it is refused. `page` takes from the request what the page needs, and
/// returns how it is shown.
pub(crate) fn on_page<E, P, S, F>(form: E, page: P) -> BoxEndpoint<'static, Response>
where
    E: Endpoint<Output = Response> + 'static,
    P: Fn(&Request) -> Result<S> + Send + Sync + 'static,
    S: FnOnce(Refusal) -> F + Send + 'static,
    F: Future<Output = Result<Response>> + Send,
{
    let page = Arc::new(page);
    form.around(move |form, request| {
        let page = page.clone();
        async move {
            let show = page(&request)?;
            match form.call(request).await {
                Err(error) if error.is::<Refusal>() => show(error.downcast()?).await,
                outcome => outcome,
            }
        }
    })
    .boxed()
}
