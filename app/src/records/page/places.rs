//! Which places are there, as pages list them?

use sea_orm::DbErr;

use crate::db::DirectReads;

/// Returns the places as a table of contents: the id, in how many others it is, and the name.
pub(super) async fn tree(_reads: &DirectReads) -> Result<Vec<(i64, usize, String)>, DbErr> {
    Ok(Vec::new())
}

/// Returns a place and all that it is in, from the outermost on.
pub(super) async fn path(_reads: &DirectReads, _id: i64) -> Result<Vec<(i64, String)>, DbErr> {
    Ok(Vec::new())
}
