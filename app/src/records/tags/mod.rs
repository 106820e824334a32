//! Words that records are marked with.

#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod entity;
