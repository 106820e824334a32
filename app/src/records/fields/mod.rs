//! What a record says beside its title and its notes: fields with a label and a value.

#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod entity;
