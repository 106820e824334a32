//! The records as pages for people: a list to look through, a page for each record, and a form on a page of its own.
//!
//! Guests look and get no forms. Everything works without scripts; those that are there (`binder.js`, `upload.js`, `preview.js`) save a step.

pub(super) mod attachments;
pub(super) mod edit;
mod files;
mod form;
mod form_fields;
pub(super) mod list;
mod list_query;
mod places;
pub(super) mod quick_add;
mod quick_form;
pub(super) mod record;
mod sent_files;

pub(super) mod snippet;
#[cfg(test)]
mod tests;

use maud::{Markup, html};

use crate::{
    html::{asset_address, encoded},
    http::{FieldError, Precondition, Problem},
};

/// Returns the address of the list that is narrowed so.
fn address(query: &[(&str, &str)]) -> String {
    let query: Vec<_> = query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    if query.is_empty() { "/".to_owned() } else { format!("/?{}", query.join("&")) }
}

/// Returns what makes a page quicker to use where there are scripts.
fn script() -> Markup {
    html! { script src=(asset_address("binder.js")) defer {} }
}

/// Returns the version that a form shows: nothing else is changed by it.
fn meant_for(version: Option<i64>) -> Result<Precondition, Problem> {
    let version = version.ok_or_else(|| Problem::fields(vec![FieldError::new("version", "is missing")]))?;
    Ok(Precondition::version(version))
}
