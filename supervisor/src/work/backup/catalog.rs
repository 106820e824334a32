//! Which backups lie in `backup.dir`, and what became of the last ones?
//!
//! What counts is the archives. A description that is missing (someone moved the archive alone) is read from the
//! manifest of a plain one; of an encrypted one only the name is known.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{archive::read, manifest::Manifest};
use crate::{
    data::{
        DataDir, GenerationId,
        backup::{BackupId, Description, is_instance},
        durable::{self, Explain, Unfinished, is_unfinished, open_regular},
        state::{self, FORMAT},
    },
    failure::{Cause, Failure},
};

/// The longest history that is read, in bytes: troubles are few, and each is a line.
const LONGEST_HISTORY: u64 = 1 << 20;

/// A backup in `backup.dir`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Local {
    /// The archive.
    pub archive: PathBuf,
    /// What is known of it. Where the archive was found without a description, the hash is empty.
    pub description: Description,
}

/// `supervisor/backups.json`: what became of the last backups. Information, but for the numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// [`FORMAT`].
    pub format: u32,
    /// The highest sequence number that was given; numbers only go up, whatever was removed since.
    pub sequence: u64,
    /// Since when backups are made by schedule here, RFC 3339.
    pub since: String,
    /// When a scheduled backup was last begun.
    pub attempted_at: Option<String>,
    /// When a backup was last drilled with success.
    pub drilled_at: Option<String>,
    /// What is wrong, by what was being done (`backup`, `drill`, `copy to /mnt/nas`), until it works again.
    #[serde(default)]
    pub trouble: BTreeMap<String, String>,
}

impl History {
    /// Makes the history of an instance that begins to make backups now, RFC 3339.
    #[must_use]
    pub fn beginning(now: &str) -> Self {
        Self {
            format: FORMAT,
            sequence: 0,
            since: now.to_owned(),
            attempted_at: None,
            drilled_at: None,
            trouble: BTreeMap::new(),
        }
    }
}

/// Returns the backups in a directory, the newest (by sequence number) first. A directory that is not there holds none.
///
/// # Errors
/// What keeps the directory from being read.
pub fn list(directory: &Path) -> Result<Vec<Local>, Failure> {
    let mut found = Vec::new();
    for name in names(directory)? {
        if let Some((id, encrypted)) = BackupId::of_archive(&name) {
            found.extend(look(directory, &id, encrypted));
        }
    }
    found.sort_by(|one, other| order(&other.description).cmp(&order(&one.description)));
    Ok(found)
}

/// What orders backups: the sequence number, and the id where that is not known.
#[must_use]
pub fn order(description: &Description) -> (u64, &BackupId) {
    (description.sequence, &description.id)
}

/// Returns a backup by its id.
///
/// # Errors
/// As [`list`].
pub fn find(directory: &Path, id: &BackupId) -> Result<Option<Local>, Failure> {
    let both = [false, true].map(|encrypted| look(directory, id, encrypted));
    // Where it lies there twice, the one that the description is of.
    let described = both.iter().flatten().find(|local| !local.description.blake3.is_empty()).cloned();
    Ok(described.or_else(|| both.into_iter().flatten().next()))
}

fn look(directory: &Path, id: &BackupId, encrypted: bool) -> Option<Local> {
    let archive = directory.join(id.archive(encrypted));
    // Neither a link nor anything else that someone put there.
    let bytes = fs::symlink_metadata(&archive).ok().filter(fs::Metadata::is_file)?.len();
    let described = state::read::<Description>(&directory.join(id.description())).ok().flatten();
    let description = described.filter(|description| description.id == *id && description.encrypted == encrypted);
    let description = description.unwrap_or_else(|| guess(&archive, id, encrypted, bytes));
    Some(Local { archive, description: Description { bytes, ..description }.printable() })
}

/// Describes an archive that has no description, as well as can be.
fn guess(archive: &Path, id: &BackupId, encrypted: bool, bytes: u64) -> Description {
    let manifest = (!encrypted).then(|| {
        let file = open_regular(archive).ok()?;
        Some(read::open(file, &archive.display().to_string()).ok()?.manifest().clone())
    });
    // A copy under another name is not known by what is in it.
    match manifest.flatten().filter(|manifest| manifest.id == *id) {
        Some(manifest) => describe(&manifest, encrypted, bytes, String::new()),
        None => Description {
            format: FORMAT,
            id: id.clone(),
            sequence: 0,
            reason: id.reason(),
            label: None,
            created_at: created_at(id),
            instance: String::new(),
            version: String::new(),
            schema: String::new(),
            generation: GenerationId(0),
            database_bytes: 0,
            files: 0,
            files_bytes: 0,
            rows: BTreeMap::new(),
            left_out: Vec::new(),
            encrypted,
            bytes,
            blake3: String::new(),
            verified_at: None,
            drilled_at: None,
            damage: None,
        },
    }
}

/// The time in an id, as RFC 3339.
fn created_at(id: &BackupId) -> String {
    let (date, time) = id.as_str().split_at("2026-11-24T".len());
    format!("{date}{}Z", time[.."03-30-00".len()].replace('-', ":"))
}

/// Returns the description of an archive with this manifest.
#[must_use]
pub fn describe(manifest: &Manifest, encrypted: bool, bytes: u64, blake3: String) -> Description {
    let database = manifest.members.first().map_or(0, |member| member.bytes);
    let files: Vec<_> = manifest.members.iter().skip(1).collect();
    Description {
        format: FORMAT,
        id: manifest.id.clone(),
        sequence: manifest.sequence,
        reason: manifest.reason,
        label: manifest.label.clone(),
        created_at: manifest.created_at.clone(),
        instance: manifest.instance.clone(),
        version: manifest.version.clone(),
        schema: manifest.schema.clone(),
        generation: manifest.generation,
        database_bytes: database,
        files: files.len() as u64,
        files_bytes: files.iter().map(|member| member.bytes).sum(),
        rows: manifest.rows.clone(),
        left_out: manifest.left_out.clone(),
        encrypted,
        bytes,
        blake3,
        verified_at: None,
        drilled_at: None,
        damage: None,
    }
}

/// Writes a backup's description.
///
/// # Errors
/// What the file system said.
pub fn write(directory: &Path, description: &Description) -> Result<(), Failure> {
    durable::write(&directory.join(description.id.description()), &state::to_bytes(description)?)
}

/// Removes a backup: the archive first, for it is what counts.
///
/// # Errors
/// What the file system said.
pub fn remove(directory: &Path, backup: &Local) -> Result<(), Failure> {
    durable::remove_if_there(&backup.archive)?;
    durable::remove_if_there(&directory.join(backup.description.id.description()))?;
    durable::sync_directory(directory)
}

/// Removes what killed jobs left in a directory of backups: unfinished archives and documents, and descriptions of
/// archives that are not there. Nothing that is not named as Hearth names it is touched.
///
/// # Errors
/// What the file system said.
pub fn tidy(directory: &Path) -> Result<(), Failure> {
    for name in names(directory)? {
        let target = name.strip_prefix('.').unwrap_or(&name);
        let target = target.strip_suffix(".new").unwrap_or(target);
        let left = match target.strip_suffix(".json") {
            Some(id) => id.parse::<BackupId>().is_ok_and(|id| {
                is_unfinished(&name)
                    // Only where it is known that there is none: a NAS may fail for a moment.
                    || [false, true].iter().all(|encrypted| {
                        matches!(directory.join(id.archive(*encrypted)).try_exists(), Ok(false))
                    })
            }),
            None => is_unfinished(&name) && BackupId::of_archive(target).is_some(),
        };
        if left {
            durable::remove_if_there(&directory.join(&name))?;
        }
    }
    Ok(())
}

fn names(directory: &Path) -> Result<Vec<String>, Failure> {
    let doing = || format!("cannot read the directory of backups {}", directory.display());
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Failure::io(doing(), &error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.explain(doing)?.file_name().into_string());
    }
    Ok(names)
}

/// Returns this instance's name, `h-` and 16 hexadecimal digits; gives it one the first time. At a destination each instance
/// writes and removes only below its own name.
///
/// # Errors
/// What the file system said; a name that is none.
pub fn instance(data: &DataDir) -> Result<String, Failure> {
    if let Some(name) = known_instance(data)? {
        return Ok(name);
    }
    let mut random = [0; 8];
    fs::File::open("/dev/urandom")
        .and_then(|mut source| source.read_exact(&mut random))
        .explain(|| "cannot read /dev/urandom")?;
    let name = format!("h-{:016x}", u64::from_be_bytes(random));
    // A first backup and the start of Hearth come at once: the first name counts, since a backup may have it already. Each
    // is written under a hidden name of its own.
    let path = data.instance();
    let own = path.with_file_name(format!("instance-{name}"));
    Unfinished::write(&own, format!("{name}\n").as_bytes())?.put_if_missing(&path)?;
    durable::sync_parent(&path)?;
    Ok(known_instance(data)?.unwrap_or(name))
}

/// Returns this instance's name, if it has one yet.
///
/// # Errors
/// As [`instance`].
pub fn known_instance(data: &DataDir) -> Result<Option<String>, Failure> {
    let path = data.instance();
    match durable::read_small(&path, 256) {
        Ok(bytes) => {
            let name = String::from_utf8_lossy(&bytes).trim().to_owned();
            if is_instance(&name) {
                return Ok(Some(name));
            }
            Err(Failure::new(Cause::Configuration, format!("{} is no name of an instance", path.display()))
                .hint("lower-case letters, digits and hyphens, 64 at most; without the file a new name is made, and backups at destinations are kept under the old one"))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Failure::io(format!("cannot read {}", path.display()), &error)),
    }
}

/// Reads the history; one that begins now where there is none, or a damaged one.
///
/// # Errors
/// [`Cause::UnknownFormat`] when a newer version wrote it.
pub fn history(data: &DataDir, now: &str) -> Result<History, Failure> {
    Ok(written(data)?.unwrap_or_else(|| History::beginning(now)))
}

/// Reads the history that is written down; `None` where there is none, or one that cannot be understood.
///
/// # Errors
/// What keeps it from being read: not what is in it, but for a newer version's format.
pub fn written(data: &DataDir) -> Result<Option<History>, Failure> {
    let path = data.backup_history();
    let bytes = match durable::read_small(&path, LONGEST_HISTORY) {
        Ok(bytes) => bytes,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidData) => return Ok(None),
        // A disk that fails for a moment must not make the numbers begin anew.
        Err(error) => return Err(Failure::io(format!("cannot read {}", path.display()), &error)),
    };
    match state::understand(&path, &bytes) {
        Err(failure) if failure.cause != Cause::UnknownFormat => Ok(None),
        history => history.map(Some),
    }
}

/// Writes the history.
///
/// # Errors
/// What the file system said.
pub fn remember(data: &DataDir, history: &History) -> Result<(), Failure> {
    durable::write(&data.backup_history(), &state::to_bytes(history)?)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, sync::Barrier, thread};

    use super::*;

    #[test]
    fn several_that_name_an_instance_at_once_agree() {
        for _ in 0..50 {
            let directory = tempfile::tempdir().unwrap();
            let data = DataDir::new(directory.path().to_owned());
            fs::create_dir(data.supervisor()).unwrap();
            let begin = Barrier::new(8);
            let names: BTreeSet<_> = thread::scope(|scope| {
                let name = || {
                    begin.wait();
                    instance(&data).unwrap()
                };
                let all: Vec<_> = (0..8).map(|_| scope.spawn(name)).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(names.len(), 1, "{names:?}");
            assert_eq!(known_instance(&data).unwrap(), names.first().cloned());
            assert_eq!(fs::read_dir(data.supervisor()).unwrap().count(), 1, "nothing is left beside it");
        }
    }
}
