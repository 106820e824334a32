//! What records were: their versions, and the trash.

pub(crate) mod content;
mod diff;
pub(crate) mod emptying;
#[allow(unreachable_pub, missing_docs, reason = "SeaORM's macros make public types of their own")]
pub(crate) mod entity;
pub(crate) mod page;
pub(crate) mod parts;
pub(crate) mod restore;
mod self_test;
#[cfg(test)]
mod tests;
pub(crate) mod trash;
pub(crate) mod versions;

pub(super) use self::self_test::self_test;

use super::store::Viewer;

/// The scopes that somebody sees as one value, so that a statement is the same for everybody.
fn scopes(viewer: Viewer) -> String {
    serde_json::json!(viewer.scopes()).to_string()
}
