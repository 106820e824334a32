//! How are backups copied to a destination, and pruned there?
//!
//! The policy judges the backups that are there together with those that could be. First those that it keeps are copied, then
//! those that it does not keep are removed there. So a destination that was away catches up, and no copy is made only to be
//! removed. What lies under this instance's name is its own only as long as nobody else writes there: see `lease`.

use std::path::Path;

use super::{catalog, confine, identity, lease, prune::decide, source::open_destination};
use crate::{
    config::{Backup as Settings, destination},
    data::{
        DataDir,
        backup::{BackupId, Description},
        durable::Explain,
    },
    failure::{Cause, Failure},
    fault,
    jobs::backup::Copied,
    process::sandbox::{SandboxSupport, Sockets},
    status::{COPY, now},
};

/// Brings one destination up to date, and removes these backups there, whatever the policy says.
///
/// # Errors
/// What went wrong; what was copied by then is there, complete.
pub fn copy(
    data: &DataDir,
    support: SandboxSupport,
    settings: &Settings,
    destination: &str,
    remove: &[BackupId],
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Copied, Failure> {
    // What lies there, and what a server sends, may be anything.
    let (mut reads, network) = destination::reach(destination);
    reads.push(settings.dir.clone());
    let directory = destination.starts_with('/').then(|| Path::new(destination));
    confine(data, support, reads, directory, if network { Sockets::Network } else { Sockets::None })?;
    let place = open_destination(destination, settings)?;
    fault::point("copy.begun").explain(|| format!("cannot copy backups to {}", place.name()))?;
    let lease = lease::take(data, Some(&place), identity::identity(data)?)?;
    if let Some(gave_way) = &lease.gave_way {
        let message = format!("cannot copy backups to {}: {gave_way}", place.name());
        return Err(Failure::new(Cause::Configuration, message).hint(
            "was the data directory or the whole machine copied? Nothing was removed there; the next backup is copied under the new name",
        ));
    }
    let own = lease.own.instance.clone();
    let there = place.list_of(&own)?;
    keep_ahead(data, &there)?;
    let local = catalog::list(&settings.dir)?;
    let missing: Vec<&catalog::Local> = local
        .iter()
        .filter(|local| local.description.instance == own && local.description.is_sound())
        .filter(|local| {
            let own = &local.description;
            !there.iter().any(|there| there.id == own.id && there.blake3 == own.blake3)
        })
        .collect();
    let all = there.iter().chain(missing.iter().map(|local| &local.description));
    let verdicts = decide(all, |instance| instance == own, settings);
    let keeps = |id: &BackupId| {
        !remove.contains(id) && verdicts.iter().any(|verdict| verdict.id == *id && !verdict.kept.is_empty())
    };
    let mut done = Copied { copied: Vec::new(), removed: Vec::new() };
    // The newest first: it is the one that is wanted.
    for local in missing.iter().filter(|local| keeps(&local.description.id)) {
        place.put(&local.archive, &local.description, progress)?;
        done.copied.push(local.description.id.clone());
    }
    let may_remove = lease.may_remove()?;
    for description in there.iter().filter(|there| may_remove && !keeps(&there.id)) {
        place.remove(&own, &description.id, description.encrypted)?;
        fault::point("copy.removed").explain(|| format!("cannot prune the backups at {}", place.name()))?;
        done.removed.push(description.id.clone());
    }
    // Last: what a killed copy had sent already was completed above, if it is still wanted.
    place.tidy(&own)?;
    // It is copied, whether or not that can be written down.
    let _ = catalog::note(data, &format!("{}{}", COPY, place.name()), None);
    Ok(done)
}

/// Sees to it that the next backup has a higher number than any there: after a disk was set back to an earlier day, new
/// ones would else count as older than what was copied since.
fn keep_ahead(data: &DataDir, there: &[Description]) -> Result<(), Failure> {
    // The far end may say anything; no house makes that many.
    const HIGHEST: u64 = 1 << 40;
    let highest = there.iter().map(|there| there.sequence).filter(|sequence| *sequence < HIGHEST).max().unwrap_or(0);
    let mut history = catalog::history(data, &now())?;
    if highest > history.sequence {
        history.sequence = highest;
        catalog::remember(data, &history)?;
    }
    Ok(())
}
