//! The binder comes and goes as a whole: one archive that people and programs read without Hearth, and what other programs have.

pub(super) mod api;
mod bounded_list;
mod export;
#[cfg(test)]
mod for_tests;
mod format;
mod import;
mod names;
pub(super) mod page;
mod take_in;
mod zip;

use sea_orm::DbErr;

pub(crate) use self::export::Exports;
use super::store::Viewer;
use crate::db::DirectReads;

/// Reads through each query of an export.
pub(super) async fn self_test(reads: &DirectReads, viewer: Viewer) -> Result<(), DbErr> {
    let contents = export::Contents::new(reads, viewer).await?;
    contents.places().await?;
    contents.after(i64::MIN).await.map(drop)
}
