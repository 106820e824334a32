//! Which places are there, as pages list them?

use sea_orm::DbErr;

use crate::{db::DirectReads, records::places::store};

/// Returns the places as a table of contents: the id, in how many others it is, and the name.
pub(super) async fn tree(reads: &DirectReads) -> Result<Vec<(i64, usize, String)>, DbErr> {
    let tree = store::tree(reads).await?;
    Ok(tree.in_order().into_iter().map(|(depth, place)| (place.id, depth, place.name.clone())).collect())
}

/// Returns a place and all that it is in, from the outermost on.
pub(super) async fn path(reads: &DirectReads, id: i64) -> Result<Vec<(i64, String)>, DbErr> {
    let tree = store::tree(reads).await?;
    Ok(tree.way(id).into_iter().map(|place| (place.id, place.name.clone())).collect())
}
