//! How are backups removed that the policy does not keep?

use jiff::Timestamp;

use super::{
    catalog, confine, identity, lease, marker,
    retention::{self, Candidate, Policy},
    schedule,
};
use crate::{
    config::Backup as Settings,
    data::{
        DataDir,
        backup::{About, BackupId, Description},
        durable::Explain,
    },
    failure::{Cause, Failure},
    fault,
    jobs::backup::{Pruned, RetentionVerdict},
    process::sandbox::{SandboxSupport, Sockets},
    status::now,
};

/// Removes what the policy does not keep.
///
/// # Errors
/// What the file system said; what is gone by then is gone, and the rest is untouched.
pub fn prune(data: &DataDir, support: SandboxSupport, settings: &Settings, dry_run: bool) -> Result<Pruned, Failure> {
    let dir = &settings.dir;
    let shared = if dir.is_dir() { marker::shared(data, dir)? } else { None };
    confine(data, support, Vec::new(), Some(dir), Sockets::None)?;
    marker::check(dir, &catalog::history(data, &now())?)?;
    let own = identity::identity(data)?;
    let (own, may_remove) = if dry_run {
        let is_held = shared.as_ref().is_none_or(|place| lease::is_held(place, &own));
        (own, is_held)
    } else {
        let lease = lease::take(data, shared.as_ref(), own)?;
        let may_remove = lease.may_remove()?;
        (lease.own, may_remove)
    };
    // A copy of the data directory has copies of these backups, too: in it they are nobody else's.
    let is_own = |instance: &str| own.instance == instance || shared.is_none() && own.went_by(instance);
    let local = catalog::list(dir)?;
    let mut verdicts = decide(local.iter().map(|local| &local.description), is_own, settings);
    for verdict in verdicts.iter_mut().filter(|verdict| verdict.kept.is_empty() && !may_remove) {
        verdict.kept.push("another instance may have the same name".to_owned());
    }
    if !dry_run {
        fault::point("prune.begun").explain(|| "cannot prune the backups")?;
        for backup in &local {
            // One id may lie there twice, plain and encrypted, with one description: both go or none.
            let mut of_it = verdicts.iter().filter(|verdict| verdict.id == backup.description.id).peekable();
            if of_it.peek().is_some() && of_it.all(|verdict| verdict.kept.is_empty()) {
                catalog::remove(dir, backup)?;
                fault::point("prune.removed").explain(|| "cannot prune the backups")?;
            }
        }
        catalog::note(data, "prune", None)?;
    }
    Ok(Pruned { backups: verdicts, dry_run })
}

/// Removes these backups, by a person's word and whatever the policy says. Those that are not there are passed over.
///
/// # Errors
/// One that is, or may be, another instance's; what the file system said. What is gone by then is gone.
pub fn remove(
    data: &DataDir,
    support: SandboxSupport,
    settings: &Settings,
    ids: &[BackupId],
) -> Result<Vec<BackupId>, Failure> {
    let dir = &settings.dir;
    let shared = if dir.is_dir() { marker::shared(data, dir)? } else { None };
    confine(data, support, Vec::new(), Some(dir), Sockets::None)?;
    marker::check(dir, &catalog::history(data, &now())?)?;
    let lease = lease::take(data, shared.as_ref(), identity::identity(data)?)?;
    let (own, may_remove) = (&lease.own, lease.may_remove()?);
    let mut removed = Vec::new();
    for backup in catalog::list(dir)?.iter().filter(|backup| ids.contains(&backup.description.id)) {
        let Description { about: About { id, instance, .. }, .. } = &backup.description;
        let is_own = own.instance == *instance || shared.is_none() && (own.went_by(instance) || instance.is_empty());
        if !is_own || !may_remove {
            let message = format!("the backup {id} was not removed: it is another instance's, or may be");
            return Err(Failure::new(Cause::Configuration, message)
                .hint(format!("remove it where it was made, or delete {}", backup.archive.display())));
        }
        catalog::remove(dir, backup)?;
        if !removed.contains(id) {
            removed.push(id.clone());
        }
    }
    Ok(removed)
}

/// Says of each backup why it is kept. Only this instance's own are judged: others, and those of which nothing is known
/// (encrypted, and the description is lost), stay.
pub fn decide<'a>(
    descriptions: impl Iterator<Item = &'a Description>,
    is_own: impl Fn(&str) -> bool,
    settings: &Settings,
) -> Vec<RetentionVerdict> {
    let (candidates, others) = candidates(descriptions, is_own);
    let policy = Policy {
        last: settings.keep_last,
        daily: settings.keep_daily,
        weekly: settings.keep_weekly,
        monthly: settings.keep_monthly,
        yearly: settings.keep_yearly,
    };
    let (zone, _) = schedule::zone();
    let mut verdicts = retention::decide(&candidates, &policy, Timestamp::now(), &zone);
    verdicts.extend(others);
    verdicts
}

/// Returns what the policy judges, and why the others stay.
pub(super) fn candidates<'a>(
    descriptions: impl Iterator<Item = &'a Description>,
    is_own: impl Fn(&str) -> bool,
) -> (Vec<Candidate>, Vec<RetentionVerdict>) {
    let mut candidates = Vec::new();
    let mut others: Vec<RetentionVerdict> = Vec::new();
    let stays = |id: &BackupId, why: &str| RetentionVerdict { id: id.clone(), kept: vec![why.to_owned()] };
    for description in descriptions {
        let id = &description.id;
        match description.created_at.parse::<Timestamp>() {
            _ if description.instance.is_empty() => others.push(stays(id, "not described")),
            _ if !is_own(&description.instance) => others.push(stays(id, "of another instance")),
            Err(_) => others.push(stays(id, "of an unknown time")),
            Ok(at) => candidates.push(Candidate {
                id: id.clone(),
                sequence: description.sequence,
                reason: description.reason,
                at,
                sound: description.is_sound(),
                labelled: description.label.is_some(),
            }),
        }
    }
    (candidates, others)
}
