//! What is in an archive, and what is in use now, for the operator to compare?

use std::collections::BTreeMap;

use super::{manifest::Manifest, source};
use crate::{
    config::Backup as Settings,
    data::{
        DataDir,
        view::{self, Live},
    },
    failure::Failure,
    jobs::backup::Archive,
    work::database::Database,
};

/// Returns what an archive says of itself.
///
/// # Errors
/// As [`source::open`].
pub fn manifest(archive: &Archive, settings: &Settings) -> Result<Manifest, Failure> {
    Ok(source::open(archive, settings)?.manifest().clone())
}

/// Returns how many rows each table in use has; `None` where that cannot be told.
#[must_use]
pub fn rows_now(data: &DataDir) -> Option<BTreeMap<String, u64>> {
    let Ok(Live::Generation(live)) = view::live(data) else { return None };
    Database::open_live(&data.database(live)).ok()?.rows().ok()
}
