//! Which backups lie in `backup.dir`, and what became of the last ones?
//!
//! The archives count. Where a description is missing (somebody moved the archive alone), the manifest of a plain archive takes its
//! place; of an encrypted one only the name is known.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::{archive::read, manifest::Manifest};
use crate::{
    data::{
        DataDir, GenerationId,
        backup::{About, BackupId, Description, is_instance},
        durable::{self, Explain, UNFINISHED, open_regular},
        state::{self, FORMAT},
    },
    failure::{Cause, Failure},
    status::now,
};

/// The longest history that is read, in bytes: troubles are few, and each is a line.
const LONGEST_HISTORY: u64 = 1 << 20;
/// How long after the last write to an unfinished file nobody writes it any more.
const ABANDONED: Duration = Duration::from_secs(2 * 24 * 60 * 60);

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
    /// The generation whose indexes do not agree with its tables: the next start goes over to a copy of it with new ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reindex: Option<GenerationId>,
    /// The directory that a backup was last made in; it has a [`super::marker`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<PathBuf>,
}

impl History {
    /// Makes the history of an instance that begins to make backups now, RFC 3339.
    pub fn beginning(now: &str) -> Self {
        Self {
            format: FORMAT,
            sequence: 0,
            since: now.to_owned(),
            attempted_at: None,
            drilled_at: None,
            trouble: BTreeMap::new(),
            reindex: None,
            directory: None,
        }
    }
}

/// Returns the backups in a directory, the newest (by sequence number) first. A directory that is not there holds none.
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
pub fn order(description: &Description) -> (u64, &BackupId) {
    (description.sequence, &description.id)
}

/// Returns a backup by its id.
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
        None => {
            let about = About {
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
                rows: BTreeMap::new(),
                left_out: Vec::new(),
            };
            Description::new(about, encrypted, bytes, String::new())
        }
    }
}

/// The time in an id, as RFC 3339.
fn created_at(id: &BackupId) -> String {
    let (date, time) = id.as_str().split_at("2026-11-24T".len());
    format!("{date}{}Z", time[.."03-30-00".len()].replace('-', ":"))
}

/// Returns the description of an archive with this manifest.
pub fn describe(manifest: &Manifest, encrypted: bool, bytes: u64, blake3: String) -> Description {
    let files = manifest.members.get(1..).unwrap_or_default();
    Description {
        database_bytes: manifest.members.first().map_or(0, |member| member.bytes),
        files: files.len() as u64,
        files_bytes: files.iter().map(|member| member.bytes).sum(),
        ..Description::new(manifest.about.clone(), encrypted, bytes, blake3)
    }
}

/// Writes a backup's description, as the instance `own`.
pub fn write(directory: &Path, own: &str, description: &Description) -> Result<(), Failure> {
    durable::write_of(own, &directory.join(description.id.description()), &state::to_bytes(description)?)
}

/// Removes a backup: the archive first, for it is what counts.
pub fn remove(directory: &Path, backup: &Local) -> Result<(), Failure> {
    durable::remove_if_there(&backup.archive)?;
    durable::remove_if_there(&directory.join(backup.description.id.description()))?;
    durable::sync_directory(directory)
}

/// Removes what killed jobs of the instance `own` left in a directory of backups: unfinished archives and documents, and
/// descriptions of archives that are not there. What another instance is about to write there stays, and so does all that is not named as
/// Hearth names it.
///
/// Before 0.5.0 no instance wrote its name: what has none goes where nobody else makes backups (`is_private`), and elsewhere
/// when nothing was written to it for two days.
pub fn clean_up(directory: &Path, own: &str, is_private: bool) -> Result<(), Failure> {
    for name in names(directory)? {
        let path = directory.join(&name);
        let is_left = match Unfinished::parse(&name) {
            Some(Unfinished { owner: Some(owner), .. }) => owner == own,
            Some(Unfinished { owner: None, .. }) => is_private || is_abandoned(&path),
            None => match name.strip_suffix(".json").and_then(|id| id.parse::<BackupId>().ok()) {
                // Only where it is known that there is no archive: a NAS may fail for a moment.
                Some(id) => {
                    let is_gone = |encrypted| matches!(directory.join(id.archive(encrypted)).try_exists(), Ok(false));
                    let whose = || state::read::<Description>(&path).ok().flatten().map(|found| found.about.instance);
                    is_gone(false) && is_gone(true) && whose().map_or(is_private, |instance| instance == own)
                }
                None => false,
            },
        };
        if is_left {
            durable::remove_if_there(&path)?;
        }
    }
    Ok(())
}

/// What the name of an archive or description says that is not yet in its place: `.<id>.tar.zst.<instance>.new`.
struct Unfinished<'a> {
    id: BackupId,
    owner: Option<&'a str>,
}

impl<'a> Unfinished<'a> {
    fn parse(name: &'a str) -> Option<Self> {
        let of = |name: &str| match name.strip_suffix(".json") {
            Some(id) => id.parse().ok(),
            None => BackupId::of_archive(name).map(|(id, _)| id),
        };
        let name = name.strip_prefix('.')?.strip_suffix(UNFINISHED)?;
        if let Some(id) = of(name) {
            return Some(Self { id, owner: None });
        }
        let (name, owner) = name.rsplit_once('.').filter(|(_, owner)| is_instance(owner))?;
        Some(Self { id: of(name)?, owner: Some(owner) })
    }
}

fn is_abandoned(path: &Path) -> bool {
    let modified = fs::symlink_metadata(path).and_then(|stat| stat.modified());
    modified.ok().and_then(|at| at.elapsed().ok()).is_some_and(|ago| ago > ABANDONED)
}

/// Returns the ids that are in use in a directory, by whatever instance, those of unfinished backups included.
pub fn ids(directory: &Path) -> Result<BTreeSet<BackupId>, Failure> {
    let id = |name: &String| match name.strip_suffix(".json") {
        Some(id) => id.parse().ok(),
        None => BackupId::of_archive(name).map(|(id, _)| id).or_else(|| Some(Unfinished::parse(name)?.id)),
    };
    Ok(names(directory)?.iter().filter_map(id).collect())
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

/// Writes down when the history begins, where there is none or a damaged one: what is counted from, or nothing ever comes due.
///
/// # Errors
/// As [`written`] and [`remember`].
pub fn begin(data: &DataDir) -> Result<(), Failure> {
    if written(data)?.is_some() { Ok(()) } else { remember(data, &History::beginning(&now())) }
}

/// Writes the history.
pub fn remember(data: &DataDir, history: &History) -> Result<(), Failure> {
    durable::write(&data.backup_history(), &state::to_bytes(history)?)
}

/// Writes down that something worked, or what is wrong with it.
pub fn note(data: &DataDir, what: &str, trouble: Option<String>) -> Result<(), Failure> {
    let mut history = history(data, &now())?;
    let before = history.clone();
    match trouble {
        Some(trouble) => history.trouble.insert(what.to_owned(), trouble),
        None => history.trouble.remove(what),
    };
    if history == before { Ok(()) } else { remember(data, &history) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "2026-11-24T03-30-00Z-manual";

    #[test]
    fn what_others_have_begun_in_a_shared_directory_stays() {
        let place = tempfile::tempdir().unwrap();
        let left = || names(place.path()).unwrap().into_iter().collect::<BTreeSet<_>>();
        let put = |name: &str| fs::write(place.path().join(name), "x").unwrap();
        let own = ["tar.zst", "tar.zst.age", "json"].map(|end| format!(".{ID}.{end}.h-own.new"));
        let others = ["tar.zst", "tar.zst.age", "json"].map(|end| format!(".{ID}.{end}.zst.new"));
        let unnamed = ["tar.zst", "tar.zst.age", "json"].map(|end| format!(".{ID}.{end}.new"));
        let strange = [".note.new".to_owned(), format!("{ID}.new"), format!(".{ID}.tar.zst.H.new"), "a.json".into()];
        [&own[..], &others, &unnamed, &strange].concat().iter().for_each(|name| put(name));
        assert_eq!(ids(place.path()).unwrap().len(), 1);
        clean_up(place.path(), "h-own", false).unwrap();
        assert_eq!(left(), [&others[..], &unnamed, &strange].concat().into_iter().collect());
        let days_ago = std::time::SystemTime::now() - 2 * ABANDONED;
        for name in unnamed.iter().chain(&others) {
            fs::File::options().write(true).open(place.path().join(name)).unwrap().set_modified(days_ago).unwrap();
        }
        clean_up(place.path(), "h-own", false).unwrap();
        assert_eq!(left(), [&others[..], &strange].concat().into_iter().collect(), "as 0.4.0 left them");
        put(&unnamed[0]);
        clean_up(place.path(), "h-own", true).unwrap();
        assert!(!left().contains(&unnamed[0]), "where nobody else makes backups");
    }

    #[test]
    fn a_description_goes_only_with_the_instance_that_wrote_it() {
        let place = tempfile::tempdir().unwrap();
        let archive = place.path().join(format!("{ID}.tar.zst"));
        let mut description = guess(&archive, &ID.parse().unwrap(), false, 1);
        description.about.instance = "h-other".into();
        write(place.path(), "h-other", &description).unwrap();
        clean_up(place.path(), "h-own", false).unwrap();
        assert_eq!(names(place.path()).unwrap(), [format!("{ID}.json")], "the other is about to name the archive");
        clean_up(place.path(), "h-other", false).unwrap();
        assert_eq!(names(place.path()).unwrap(), [""; 0]);
    }
}
