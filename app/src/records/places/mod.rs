//! Where things are: places within places.

pub(crate) mod api;
#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod entity;
pub(crate) mod page;
pub(crate) mod store;
pub(crate) mod tree;
mod view;
