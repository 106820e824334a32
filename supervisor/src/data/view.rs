//! What is in the data directory right now?
//!
//! A [`View`] is read, never remembered: decisions come from the link and the directories themselves.

use std::{
    ffi::OsString,
    fs, io,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    DATABASE, DataDir, GenerationId,
    durable::Explain,
    generations::named,
    state::{self, State},
};
use crate::failure::{Cause, Failure};

/// What the data directory holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// Where `live` points.
    pub live: Live,
    /// The generations, oldest number first.
    pub generations: Vec<Generation>,
    /// Whether there is any backup archive.
    pub backups: bool,
    /// Whether there is anything in `files/`.
    #[serde(default)]
    pub files: bool,
    /// Without a live generation: a database or an archive that lies where Hearth does not look for one, as what somebody
    /// unpacked by hand and did not put in its place.
    #[serde(default)]
    pub misplaced: Option<PathBuf>,
    /// What state.json says, if it is there. A damaged one is like none, but for `state_trouble`.
    pub state: Option<State>,
    /// Why state.json could not be read, as a sentence.
    pub state_trouble: Option<String>,
    /// What `work::recover` could not remove, as sentences. It blocks nothing.
    #[serde(default)]
    pub trouble: Vec<String>,
    /// Whether a backup found that the live generation's indexes do not agree with its tables.
    #[serde(default)]
    pub reindex: bool,
}

/// Where `live` points.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Live {
    /// There is no such name.
    #[default]
    Missing,
    /// To a generation, which is there.
    Generation(GenerationId),
    /// To a generation's path, where nothing is.
    Dangling(String),
    /// To somewhere that is not a generation of this data directory.
    Elsewhere(String),
    /// It is a file or a directory, not a link.
    NotALink,
}

/// One generation as found on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number.
    pub id: GenerationId,
    /// Whether it carries the STAGING marker.
    pub staging: bool,
    /// Whether it has a database file (a regular file named app.db).
    pub database: bool,
    /// Whether the database has a `-wal` or `-journal` file that is not empty: it was not closed cleanly.
    pub unclean: bool,
    /// Bytes on disk of its files; those that a reflink shares with another generation count in both.
    pub bytes: u64,
    /// What generation.json says about it, if there is a readable one.
    pub description: Option<super::state::Description>,
}

impl View {
    /// Returns the snapshots: what was committed, has a database and is not live; newest number first.
    pub fn snapshots(&self) -> impl Iterator<Item = &Generation> {
        self.generations.iter().rev().filter(|generation| {
            !generation.staging && generation.database && Live::Generation(generation.id) != self.live
        })
    }

    /// Whether nothing here was ever committed: no link, no generation without a marker, no backup, no attachment,
    /// and no state. Only then is a start the first one, and only then may what carries a marker go without a live one.
    pub fn is_untouched(&self) -> bool {
        self.live == Live::Missing
            && self.generations.iter().all(|generation| generation.staging || generation.is_empty())
            && !self.backups
            && !self.files
            && self.misplaced.is_none()
            && self.state.is_none()
            && self.state_trouble.is_none()
    }
}

impl Generation {
    /// Whether nothing is in it: its making was killed before its marker.
    pub fn is_empty(&self) -> bool {
        !self.staging && !self.database && self.bytes == 0
    }
}

/// Looks at the data directory. Changes nothing, needs no lock, and looks neither at backups nor at attachments, which may lie
/// on a disk that does not answer: whether there are backups is what is written down of them.
///
/// # Errors
/// [`Cause::UnknownFormat`] when a newer version wrote state.json; what keeps a directory from being read: where a
/// generation may be that cannot be seen, nothing can be decided.
pub fn look(data: &DataDir) -> Result<View, Failure> {
    let (state, state_trouble) = match state::read_state(data) {
        Ok(state) => (state, None),
        Err(failure) if failure.cause == Cause::UnknownFormat => return Err(failure),
        Err(failure) => (None, Some(failure.message)),
    };
    let mut generations = Vec::new();
    for id in names(&data.generations())?.iter().filter_map(|name| named(name)) {
        // A link or a file of that name is no generation, and is left alone.
        if fs::symlink_metadata(data.generation(id)).is_ok_and(|found| found.is_dir()) {
            generations.push(generation(data, id)?);
        }
    }
    generations.sort_by_key(|generation| generation.id);
    Ok(View { live: live(data)?, generations, backups: made_backups(data), state, state_trouble, ..View::default() })
}

/// As [`look`], for a start: without a live generation it looks for backups in this directory and where they are by default,
/// and for attachments. With one nothing depends on those, and a disk that is away keeps no app from serving.
///
/// # Errors
/// As [`look`]; what keeps those directories from being read.
pub fn look_with(data: &DataDir, backup_dir: &Path) -> Result<View, Failure> {
    let mut view = look(data)?;
    if !matches!(view.live, Live::Generation(_)) {
        view.backups = false;
        for place in [backup_dir, &data.backups()] {
            view.backups |= names(place)?.iter().any(|name| is_backup(name));
        }
        view.files = holds_files(&data.files())?;
    }
    if view.live == Live::Missing {
        view.misplaced = misplaced(data)?;
    }
    Ok(view)
}

/// Whether a backup was ever made here, by what is written down.
fn made_backups(data: &DataDir) -> bool {
    #[derive(Deserialize)]
    struct History {
        sequence: u64,
    }
    let history = state::read::<History>(&data.backup_history()).ok().flatten();
    history.is_some_and(|history| history.sequence > 0)
}

/// Returns where `live` points.
pub fn live(data: &DataDir) -> Result<Live, Failure> {
    let link = data.live();
    match fs::symlink_metadata(&link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Live::Missing),
        Err(error) => return Err(Failure::io(format!("cannot look at {}", link.display()), &error)),
        Ok(found) if !found.is_symlink() => return Ok(Live::NotALink),
        Ok(_) => {}
    }
    let target = fs::read_link(&link).explain(|| format!("cannot read the link {}", link.display()))?;
    let words = target.display().to_string();
    // Written out absolutely by an operator is as good as the relative link that Hearth makes.
    let inside = target.strip_prefix(data.path()).unwrap_or(&target);
    if let Some(id) = generation_path(inside) {
        return match fs::symlink_metadata(data.generation(id)) {
            Ok(found) if found.is_dir() => Ok(Live::Generation(id)),
            Ok(_) => Ok(Live::Elsewhere(words)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Live::Dangling(words)),
            Err(error) => Err(Failure::io(format!("cannot look at {}", data.generation(id).display()), &error)),
        };
    }
    // Any other way that leads to the same place.
    let real = fs::canonicalize(&link).ok().zip(fs::canonicalize(data.generations()).ok());
    let id = real.and_then(|(place, generations)| named(place.strip_prefix(generations).ok()?.to_str()?));
    Ok(id.map_or(Live::Elsewhere(words), Live::Generation))
}

/// Returns the generation of a path such as `generations/0007`, `./generations/0007/`.
fn generation_path(path: &Path) -> Option<GenerationId> {
    let mut parts = path.components().filter(|part| *part != Component::CurDir);
    match (parts.next(), parts.next(), parts.next()) {
        (Some(Component::Normal(first)), Some(Component::Normal(second)), None) if first == "generations" => {
            named(second.to_str()?)
        }
        _ => None,
    }
}

fn generation(data: &DataDir, id: GenerationId) -> Result<Generation, Failure> {
    let path = data.generation(id);
    let mut found = Generation { id, staging: false, database: false, unclean: false, bytes: 0, description: None };
    for name in names(&path)? {
        let stat = match fs::symlink_metadata(path.join(&name)) {
            Ok(stat) => stat,
            // Gone since: only the app's own -wal and -shm come and go.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::io(format!("cannot look at {}", path.join(&name).display()), &error)),
        };
        match name.strip_prefix(DATABASE) {
            Some("") => found.database = stat.is_file(),
            Some("-wal" | "-journal") => found.unclean |= !stat.is_file() || stat.len() > 0,
            // As [`DataDir::is_marked`].
            _ => found.staging |= name == super::STAGING && stat.is_file(),
        }
        // st_blocks counts units of 512 bytes, whatever the block size: stat(2).
        found.bytes += stat.blocks() * 512;
    }
    found.description = state::read_description(data, id);
    Ok(found)
}

/// Whether there is anything in `files/`. Not what a file system, a NAS or a file manager puts into each directory
/// (`@eaDir`, `#recycle`, `.DS_Store`). There may be very many: the first one is enough.
fn holds_files(directory: &Path) -> Result<bool, Failure> {
    const OTHERS: [&str; 4] = ["lost+found", "Thumbs.db", "desktop.ini", "System Volume Information"];
    for name in entries(directory)? {
        let name = name?;
        let hidden = name.as_bytes().first().is_some_and(|first| b".@#$".contains(first));
        if !hidden && !OTHERS.iter().any(|other| name == *other) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Looks for what a person unpacked, or copied here, and Hearth would not find.
fn misplaced(data: &DataDir) -> Result<Option<PathBuf>, Failure> {
    let is_file = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    let own = [data.generations(), data.files(), data.supervisor(), data.backups()];
    let mut found = Vec::new();
    for directory in [data.path(), &data.generations()] {
        for name in names(directory)?.into_iter().filter(|name| !name.starts_with('.')) {
            let path = directory.join(&name);
            let is_own = own.contains(&path) || directory != data.path() && named(&name).is_some();
            if is_file(&path) && (name == DATABASE || is_backup(&name)) {
                found.push(path);
            } else if !is_own && is_file(&path.join(DATABASE)) {
                found.push(path.join(DATABASE));
            }
        }
    }
    Ok(found.into_iter().min())
}

/// Returns the names in a directory, those that are no text left out; none when there is no such directory.
fn names(directory: &Path) -> Result<Vec<String>, Failure> {
    let mut names = Vec::new();
    for name in entries(directory)? {
        names.extend(name?.into_string());
    }
    Ok(names)
}

/// Goes through the names in a directory; there are none when there is no such directory.
fn entries(directory: &Path) -> Result<impl Iterator<Item = Result<OsString, Failure>>, Failure> {
    let doing = || format!("cannot read the directory {}", directory.display());
    let entries = match fs::read_dir(directory) {
        Ok(entries) => Some(entries),
        Err(error) if error.kind() == io::ErrorKind::NotFound => match fs::read_link(directory) {
            // What is on a disk that is not mounted is not taken for nothing.
            Ok(target) => {
                let message = format!("{} is a link to {}, where nothing is", directory.display(), target.display());
                return Err(Failure::new(Cause::FileSystem, message).hint("mount what it leads to, or remove the link"));
            }
            Err(_) => None,
        },
        Err(error) => return Err(Failure::io(doing(), &error)),
    };
    Ok(entries.into_iter().flatten().map(move |entry| entry.map(|entry| entry.file_name()).explain(doing)))
}

/// Whether this is the name of a finished backup archive.
fn is_backup(name: &str) -> bool {
    !name.starts_with('.') && [".tar.zst", ".tar.zst.age"].iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn data() -> (tempfile::TempDir, DataDir) {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().to_owned());
        fs::create_dir(data.supervisor()).unwrap();
        for id in [6, 7] {
            fs::create_dir_all(data.generation(GenerationId(id))).unwrap();
            fs::write(data.database(GenerationId(id)), "x").unwrap();
        }
        (directory, data)
    }

    #[test]
    fn live_is_found_however_the_operator_wrote_the_link() {
        let (directory, data) = data();
        let absolute = directory.path().join("generations/0006");
        let roundabout = directory.path().join("files/../generations/0006");
        fs::create_dir(data.files()).unwrap();
        for target in [Path::new("generations/0006"), Path::new("./generations/0006/"), &absolute, &roundabout] {
            symlink(target, data.live()).unwrap();
            assert_eq!(live(&data).unwrap(), Live::Generation(GenerationId(6)), "{}", target.display());
            fs::remove_file(data.live()).unwrap();
        }
    }

    #[test]
    fn what_live_is_otherwise_is_told_apart() {
        let (directory, data) = data();
        assert_eq!(live(&data).unwrap(), Live::Missing);
        fs::create_dir(data.live()).unwrap();
        assert_eq!(live(&data).unwrap(), Live::NotALink);
        fs::remove_dir(data.live()).unwrap();
        symlink(data.generation(GenerationId(7)), data.generation(GenerationId(8))).unwrap();
        for (target, expected) in [
            ("generations/0009", Live::Dangling("generations/0009".into())),
            ("generations/9", Live::Elsewhere("generations/9".into())),
            ("generations/0008", Live::Elsewhere("generations/0008".into())),
            ("/nowhere", Live::Elsewhere("/nowhere".into())),
            ("live", Live::Elsewhere("live".into())),
            ("supervisor", Live::Elsewhere("supervisor".into())),
        ] {
            symlink(target, data.live()).unwrap();
            assert_eq!(live(&data).unwrap(), expected);
            fs::remove_file(data.live()).unwrap();
        }
        drop(directory);
    }

    #[test]
    fn garbage_in_generations_is_no_generation() {
        let (_directory, data) = data();
        let place = data.generations();
        for name in ["lost+found", "0007.bak", "9", ".removing-0011", "12345678901"] {
            fs::create_dir(place.join(name)).unwrap();
        }
        fs::write(place.join("0009"), "a file").unwrap();
        symlink("0007", place.join("0008")).unwrap();
        let view = look(&data).unwrap();
        assert_eq!(view.generations.iter().map(|found| found.id.0).collect::<Vec<_>>(), [6, 7]);
    }

    #[test]
    fn a_generation_is_seen_as_it_is() {
        let (_directory, data) = data();
        let (six, seven) = (GenerationId(6), GenerationId(7));
        fs::write(data.marker(seven), "").unwrap();
        fs::write(data.generation(six).join("app.db-wal"), "frames").unwrap();
        fs::remove_file(data.database(seven)).unwrap();
        symlink("../0006/app.db", data.database(seven)).unwrap();
        fs::write(data.description(six), r#"{"format":2}"#).unwrap();
        let view = look(&data).unwrap();
        let [six, seven] = &view.generations[..] else { panic!("{view:?}") };
        assert_eq!((six.staging, six.database, six.unclean, &six.description), (false, true, true, &None));
        assert_eq!((seven.staging, seven.database, seven.unclean), (true, false, false));
        assert!(six.bytes > 0);
    }

    #[test]
    fn what_lies_where_nothing_is_looked_for_is_no_first_start() {
        for path in
            ["app.db", "unpacked/app.db", "generations/1/app.db", "generations/app.db", "x.tar.zst", "x.tar.zst.age"]
        {
            let directory = tempfile::tempdir().unwrap();
            let data = DataDir::new(directory.path().to_owned());
            let misplaced = directory.path().join(path);
            fs::create_dir_all(misplaced.parent().unwrap()).unwrap();
            fs::write(&misplaced, "x").unwrap();
            let view = look_with(&data, &data.backups()).unwrap();
            assert_eq!(view.misplaced.as_deref(), Some(&*misplaced));
            assert!(!view.is_untouched(), "{path}");
        }
    }

    #[test]
    fn a_link_that_leads_nowhere_is_not_taken_for_an_empty_directory() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().to_owned());
        for place in [data.generations(), data.files(), data.backups()] {
            symlink("/nowhere/at/all", &place).unwrap();
            assert!(
                look_with(&data, &data.backups())
                    .unwrap_err()
                    .message
                    .contains("is a link to /nowhere/at/all, where nothing is")
            );
            fs::remove_file(&place).unwrap();
        }
    }

    #[test]
    fn a_first_start_is_one_without_any_trace_of_an_earlier_one() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().to_owned());
        let backups = data.backups();
        let look = || look_with(&data, &data.backups()).unwrap();
        assert!(look().is_untouched());
        fs::create_dir_all(data.generation(GenerationId(1))).unwrap();
        assert!(look().is_untouched(), "only what was killed before its marker");
        fs::write(data.database(GenerationId(1)), "").unwrap();
        assert!(!look().is_untouched());
        fs::write(data.marker(GenerationId(1)), "").unwrap();
        assert!(look().is_untouched(), "only what carries a marker");
        fs::create_dir(&backups).unwrap();
        fs::write(backups.join(".unfinished.tar.zst"), "").unwrap();
        assert!(look().is_untouched());
        fs::write(backups.join("2026-11-24.tar.zst.age"), "").unwrap();
        assert!(!look().is_untouched(), "there is a backup");
        fs::remove_dir_all(&backups).unwrap();
        fs::create_dir_all(data.files().join("lost+found")).unwrap();
        fs::write(data.files().join(".DS_Store"), "").unwrap();
        for strange in ["@eaDir", "@Recycle", "#recycle", "$RECYCLE.BIN", "System Volume Information"] {
            fs::create_dir(data.files().join(strange)).unwrap();
        }
        fs::write(data.files().join("Thumbs.db"), "").unwrap();
        assert!(look().is_untouched(), "what a file system or a file manager makes is no attachment");
        fs::create_dir(data.files().join("ab")).unwrap();
        assert!(!look().is_untouched(), "there are attachments");
        fs::remove_dir(data.files().join("ab")).unwrap();
        fs::create_dir(data.supervisor()).unwrap();
        fs::write(data.state(), "{}").unwrap();
        assert!(!look().is_untouched(), "there is a state, though a damaged one");
        assert!(look().state_trouble.unwrap().contains("state.json"));
        fs::write(data.state(), r#"{"format":9}"#).unwrap();
        let failure = look_with(&data, &backups).unwrap_err();
        assert_eq!(failure.cause, Cause::UnknownFormat, "another format is not guessed around");
    }
}
