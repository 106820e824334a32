//! The binder's records: their table, queries, API and pages.

mod api;
mod draft;
#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
mod entity;
mod listing;
mod pages;
mod queries;
mod search;
mod self_test;

pub(crate) use self::{api::RecordsApi, pages::routes as pages, queries::check_schema, self_test::self_test};
