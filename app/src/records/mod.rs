//! The binder's records: their table, queries, API and pages.

mod api;
mod draft;
#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
mod entity;
mod listing;
mod page;
mod search;
mod self_test;
mod store;

pub(crate) use self::{api::RecordsApi, page::routes as pages, self_test::self_test, store::check_schema};
