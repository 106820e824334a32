//! Is a backup undamaged, and can it be restored?
//!
//! It is restored to a scratch place and checked, attachments hashed from the stream. An encrypted one without an
//! identity is compared with the hash that was recorded when what went into it was checked.

use std::{io, path::Path};

use super::{
    Hashing, Scratch, archive::read::Files, catalog, check_database, check_space, clear, identity, manifest::Manifest,
    source,
};
use crate::{
    data::{
        DataDir,
        backup::{BackupId, Description},
        durable::Explain,
    },
    failure::{Cause, Failure},
    fault,
    jobs::backup::{Archive, ArchiveSource, DrillResult, How, Verified, Verify},
    process::sandbox::{SandboxSupport, Sockets},
    work::parts::Parts,
};

/// The share of the time that it takes to restore a backup; the rest is the check of the restored database.
const EXTRACT: f64 = 0.4;

/// Verifies one backup, and writes down what was found.
///
/// # Errors
/// What kept it from being verified. Damage is no error, but what was found.
pub fn verify(
    data: &DataDir,
    support: SandboxSupport,
    order: &Verify,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verified, Failure> {
    let dir = &order.settings.dir;
    let mut scratch = Scratch::make(data)?;
    // A first one gives the instance its name, for which something random is read.
    let own = identity::identity(data)?.instance;
    // What lies in backup.dir may be anybody's, what describes it included.
    support.confine(data.places(), &[&data.supervisor(), dir], Sockets::None)?;
    let local = find(dir, &order.id)?;
    fault::point("verify.begun").explain(|| "cannot verify a backup")?;
    let Description { encrypted, blake3, bytes, .. } = local.description.clone();
    let damaged = |why: &str| format!("the backup {} is damaged: {why}", order.id);
    let archive = Archive { place: ArchiveSource::File(local.archive.clone()), identities: order.identities.clone() };
    let by_hash = encrypted && order.identities.is_none();
    let mut input = Hashing::new(source::raw(&archive.place, &order.settings)?);
    let mut read = None;
    let (hash, damage) = if by_hash {
        if order.keep || blake3.is_empty() {
            let why = if order.keep {
                "a drill boots what is in it"
            } else {
                "its description is lost, and with it the hash that it could be compared with"
            };
            return Err(Failure::new(Cause::Configuration, format!("the backup {} is encrypted, and {why}", order.id))
                .hint("name the file with the age identity that opens it: --identity FILE"));
        }
        io::copy(&mut input, &mut io::sink()).explain(|| format!("cannot read {}", local.archive.display()))?;
        (input.blake3(), None)
    } else {
        let restored = restore(&mut input, &archive, &scratch, &local.description, progress);
        let damage = match restored {
            Ok((damage, manifest)) => {
                read = Some(manifest);
                damage.map(|why| damaged(&why))
            }
            // That it cannot be read to its end is what verification is for; that something else is in the way is not.
            // It says itself what is damaged.
            Err(failure) if failure.cause == Cause::Damaged => Some(failure.message),
            Err(failure) if failure.cause == Cause::NotADatabase => Some(damaged(&failure.message)),
            // A bit that turned may look like a wrong identity or an unknown version; the hash tells it apart.
            Err(failure)
                if !blake3.is_empty() && matches!(failure.cause, Cause::Configuration | Cause::UnknownFormat) =>
            {
                io::copy(&mut input, &mut io::sink()).explain(|| format!("cannot read {}", local.archive.display()))?;
                if input.blake3() == blake3 {
                    return Err(failure);
                }
                Some(damaged(&failure.message))
            }
            // Not one of ours, by its first bytes; and there is nothing to compare it with.
            Err(failure) if failure.cause == Cause::Configuration && !encrypted => Some(damaged(&failure.message)),
            Err(failure) => return Err(failure),
        };
        scratch.keep = order.keep && damage.is_none();
        // What comes after the archive's end belongs to the file, too.
        let rest = io::copy(&mut input, &mut io::sink());
        (
            input.blake3(),
            damage.or_else(|| rest.err().map(|error| damaged(&format!("it cannot be read to its end: {error}")))),
        )
    };
    fault::point("verify.read").explain(|| "cannot verify a backup")?;
    let damage = match damage {
        None if !blake3.is_empty() && (hash != blake3 || input.bytes != bytes) => {
            Some(damaged("it is not, byte for byte, what was written when it was made"))
        }
        damage => damage,
    };
    let how = if by_hash { How::Hash } else { How::Restored };
    let mut description = local.description;
    if damage.is_none() {
        // A good archive whose description was lost has one again.
        if let (true, Some(manifest)) = (description.instance.is_empty(), &read) {
            description = catalog::describe(manifest, encrypted, input.bytes, String::new());
        }
        description.blake3 = hash;
    }
    description.verified(damage.clone());
    let drilled_at = description.drilled_at.clone();
    catalog::write(dir, &own, &description)?;
    Ok(Verified { id: order.id.clone(), how, damage, not_drilled: None, drilled_at })
}

fn find(dir: &Path, id: &BackupId) -> Result<catalog::Local, Failure> {
    catalog::find(dir, id)?.ok_or_else(|| {
        Failure::new(Cause::Configuration, format!("there is no backup {id} in {}", dir.display()))
            .hint("supervisor backup list shows the backups there are")
    })
}

fn restore(
    input: &mut Hashing<Box<dyn io::Read + Send>>,
    archive: &Archive,
    scratch: &Scratch,
    description: &Description,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(Option<String>, Manifest), Failure> {
    let opened = source::open_stream(input, archive)?;
    let bytes = opened.manifest().members.first().map_or(0, |member| member.bytes);
    check_space("cannot verify a backup", &scratch.path, bytes, "its database")?;
    let restored = scratch.database();
    let mut parts = Parts::begin(0, progress);
    let manifest = parts.part(EXTRACT, |progress| opened.extract(&restored, Files::Check, progress))?;
    if manifest.id != description.id {
        return Ok((Some(format!("it is the backup {} under another name", manifest.id)), manifest));
    }
    let problem = parts.untold(1.0 - EXTRACT, || check_database(&restored, &manifest))?;
    Ok((problem, manifest))
}

/// Writes down what a drill found, and removes what it ran on.
pub fn drilled(
    data: &DataDir,
    support: SandboxSupport,
    dir: &Path,
    id: &BackupId,
    found: DrillResult,
) -> Result<(), Failure> {
    let _ = clear(data);
    support.confine(data.places(), &[&data.supervisor(), dir], Sockets::None)?;
    let mut description = find(dir, id)?.description;
    match found {
        DrillResult::Nothing => return Ok(()),
        DrillResult::Unfit(why) => description.damage = Some(why),
        DrillResult::Healthy => {
            let now = crate::status::now();
            let mut history = catalog::history(data, &now)?;
            history.drilled_at = Some(now.clone());
            history.trouble.remove("drill");
            catalog::remember(data, &history)?;
            description.drilled_at = Some(now);
            description.damage = None;
        }
    }
    catalog::write(dir, &identity::identity(data)?.instance, &description)
}
