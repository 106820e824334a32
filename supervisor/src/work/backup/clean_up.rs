//! What do killed backup jobs leave, and how is it removed?

use super::{archive::read, catalog, clear, identity, lease, marker, source::open_destination};
use crate::{config::Backup as Settings, data::DataDir};

/// Begins the history where there is none, and removes what killed jobs left: the scratch directory, unfinished archives in `backup.dir` and in directories that are
/// destinations (at S3 the next copy does it), half-restored attachments. Returns what could not be removed, as sentences;
/// a destination that is not there has nothing to remove.
pub fn clean_up(data: &DataDir, settings: &Settings) -> Vec<String> {
    let mut trouble = Vec::new();
    let mut note =
        |done: Result<(), crate::failure::Failure>| trouble.extend(done.err().map(|failure| failure.message));
    note(catalog::begin(data));
    note(clear(data));
    note(read::tidy(&data.files()));
    let own = match identity::identity(data) {
        Ok(own) => own,
        Err(failure) => {
            note(Err(failure));
            return trouble;
        }
    };
    match marker::shared(data, &settings.dir) {
        Ok(shared) if shared.as_ref().is_none_or(|place| lease::is_held(place, &own)) => {
            note(catalog::clean_up(&settings.dir, &own.instance, shared.is_none()));
        }
        // It is not there, or somebody else may be at work there.
        _ => {}
    }
    for destination in settings.destinations.iter().filter(|destination| destination.starts_with('/')) {
        if std::path::Path::new(destination).is_dir()
            && let Ok(place) = open_destination(destination, settings)
            && lease::is_held(&place, &own)
        {
            note(place.tidy(&own.instance));
        }
    }
    trouble
}
