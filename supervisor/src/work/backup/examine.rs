//! Which backups are there, what is in an archive, and what is in use now, for the operator to choose and compare?
//!
//! Anybody who may write to `backup.dir` or a destination may have put anything there, so the job gives up all that it does not
//! need before it reads.

use std::cmp::Reverse;

use super::{catalog, identity, marker, source};
use crate::{
    config::{Backup as Settings, destination},
    data::{
        DataDir,
        view::{self, Live},
    },
    failure::Failure,
    jobs::backup::{Archive, ArchiveSource, Listed, Listing, Preview},
    process::sandbox::{SandboxSupport, Sockets, rules},
    work::database::Database,
};

/// Lists the backups in `backup.dir`, and those at the destinations.
///
/// # Errors
/// What keeps `backup.dir` from being read. A destination that cannot be read is one of the failures in the list.
pub fn list(data: &DataDir, support: SandboxSupport, settings: &Settings, elsewhere: bool) -> Result<Listing, Failure> {
    let destinations = if elsewhere { &settings.destinations[..] } else { &[] };
    let mut reads = vec![settings.dir.clone()];
    let mut sockets = Sockets::None;
    for (paths, network) in destinations.iter().map(|destination| destination::reach(destination)) {
        reads.extend(paths);
        if network {
            sockets = Sockets::Network;
        }
    }
    support.confine(reads.into_iter().chain(rules::system()).chain(data.places()), &[], sockets)?;
    let here =
        |local: catalog::Local| Listed { place: ArchiveSource::File(local.archive), description: local.description };
    let mut listing = Listing {
        // Restoring to an empty machine begins without one.
        own: identity::known_instance(data).ok().flatten(),
        here: catalog::list(&settings.dir)?.into_iter().map(here).collect(),
        there: Vec::new(),
        failures: Vec::new(),
    };
    let history = catalog::written(data).ok().flatten();
    let missing = history.and_then(|history| marker::check(&settings.dir, &history).err());
    for destination in destinations {
        match source::open_destination(destination, settings).and_then(|open| open.list()) {
            Ok(mut there) => {
                there.sort_by_key(|description| Reverse((description.instance.clone(), description.sequence)));
                listing.there.extend(there.into_iter().map(|description| Listed {
                    place: ArchiveSource::Destination {
                        destination: destination.clone(),
                        instance: description.instance.clone(),
                        id: description.id.clone(),
                        encrypted: description.encrypted,
                    },
                    description,
                }));
            }
            Err(failure) => listing.failures.push(failure),
        }
    }
    listing.failures.extend(missing);
    Ok(listing)
}

/// Returns what an archive says of itself, and with `rows_now` how many rows each table in use has.
pub fn preview(
    data: &DataDir,
    support: SandboxSupport,
    archive: &Archive,
    settings: &Settings,
    rows_now: bool,
) -> Result<Preview, Failure> {
    let live = match view::live(data) {
        Ok(Live::Generation(live)) if rows_now => Some(live),
        _ => None,
    };
    let (reads, network) = archive.place.reach();
    let sockets = if network { Sockets::Network } else { Sockets::None };
    // To read beside an app, SQLite writes to the memory that they share.
    let writes = live.map(|live| data.generation(live));
    let writes: Vec<_> = writes.iter().map(std::path::PathBuf::as_path).collect();
    support.confine(reads.into_iter().chain(rules::system()).chain(data.places()), &writes, sockets)?;
    let opened = source::open(archive, settings)?;
    let manifest = opened.manifest();
    Ok(Preview {
        about: manifest.about.clone(),
        files: manifest.members.len().saturating_sub(1) as u64,
        rows_now: live.and_then(|live| Database::open_live(&data.database(live)).ok()?.rows().ok()),
    })
}
