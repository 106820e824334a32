//! What records were: their versions, and the trash.

#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod entity;
