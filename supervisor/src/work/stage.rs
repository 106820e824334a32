//! How does the next generation begin?
//!
//! With its marker, which is durable before anything else is in it: from then on the generation is known to be unfinished. Its
//! database follows: empty, a clone of another generation's with its `-wal` and `-journal`, or the one in an archive, checked in
//! full. A clone whose indexes do not agree with its tables gets new ones; a clone whose tables are damaged is refused. Attachments
//! of an archive go to `files/`, which all generations share.

use std::{fs, path::PathBuf};

use super::{
    backup::{self, archive::read::Files, source},
    checkpoint,
    clone::FileClone,
    database::{Database, Indexes, beside, length},
    parts::Parts,
};
use crate::{
    config::Backup as Settings,
    data::{
        DataDir, GenerationId,
        durable::{self, Explain},
        generations, permissions,
        size::Size,
        space, view,
    },
    failure::{Cause, Failure},
    fault,
    jobs::{
        Method, Origin, Source, Staged,
        backup::{Archive, ArchiveSource},
    },
    process::sandbox::{SandboxSupport, Sockets, rules},
};

/// What must stay free besides what is known to be needed.
const MARGIN: u64 = 64 << 20;

/// The shares of the time that a clone and its check take, and the unpacking of an archive and its check.
const CLONE: f64 = 0.3;
const UNPACK: f64 = 0.4;

/// Makes the generation `target` as [`stage`] does, and checks it.
///
/// # Errors
/// As [`stage`] and `check`.
pub fn stage_and_check(
    data: &DataDir,
    support: SandboxSupport,
    target: GenerationId,
    source: &Source,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Staged, Failure> {
    let mut parts = Parts::begin(0, progress);
    match source {
        Source::Generation(_) => {
            let staged = parts.part(CLONE, |progress| stage(data, support, target, source, progress))?;
            // Before there is another thread, which would be confined alone.
            support.confine(data.places(), &[&data.generation(target)], Sockets::None)?;
            parts.untold(1.0 - CLONE, || check(data, target, staged))
        }
        Source::Nothing | Source::Archive { .. } => stage_in(data, support, target, source, &mut parts),
    }
}

/// Makes the generation `target`, with its marker, from `source`. `progress` is told of bytes done and in all.
///
/// # Errors
/// [`Cause::NoSpace`] with the sum and with what could go; what is wrong with an archive; what the file system said. What
/// was made is removed, but for attachments, which are good whoever needs them.
pub fn stage(
    data: &DataDir,
    support: SandboxSupport,
    target: GenerationId,
    source: &Source,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Staged, Failure> {
    stage_in(data, support, target, source, &mut Parts::begin(0, progress))
}

fn stage_in(
    data: &DataDir,
    support: SandboxSupport,
    target: GenerationId,
    source: &Source,
    parts: &mut Parts<'_>,
) -> Result<Staged, Failure> {
    let doing = || format!("cannot stage generation {target}");
    fault::point("stage.begun").explain(doing)?;
    let directory = data.generation(target);
    durable::create_directory(&directory).map_err(|failure| match fs::symlink_metadata(&directory) {
        Ok(_) => failure.hint(format!(
            "something that is no generation has its name: look at it, and move {} away; nothing was touched",
            directory.display()
        )),
        Err(_) => failure,
    })?;
    let staged = mark(data, target)
        .and_then(|()| fault::point("stage.marked").explain(doing))
        .and_then(|()| match source {
            Source::Nothing => empty(data, target),
            Source::Generation(source) => parts.part(1.0, |progress| clone(data, target, *source, progress)),
            Source::Archive { archive, settings } => confine(data, support, target, archive, settings)
                .and_then(|()| unpack(data, target, archive, settings, parts)),
        })
        .and_then(|staged| {
            durable::sync_directory(&directory)?;
            durable::sync_directory(&data.generations())?;
            fault::point("stage.synced").explain(doing)?;
            Ok(staged)
        });
    if staged.is_err() {
        // Best effort; else recovery does it. By its name first, so that no half of it is ever without its marker.
        let _ = generations::discard(data, target);
    }
    staged
}

fn mark(data: &DataDir, target: GenerationId) -> Result<(), Failure> {
    let marker = data.marker(target);
    let file = durable::create_file(&marker)?;
    file.sync_all().explain(|| format!("cannot make {} durable", marker.display()))?;
    durable::sync_directory(&data.generation(target))?;
    durable::sync_directory(&data.generations())
}

fn empty(data: &DataDir, target: GenerationId) -> Result<Staged, Failure> {
    check_space(data, target, None, 0, 0, false)?;
    let file = durable::create_file(&data.database(target))?;
    fault::point("stage.cloned").explain(|| format!("cannot stage generation {target}"))?;
    file.sync_all().explain(|| format!("cannot make {} durable", data.database(target).display()))?;
    Ok(Staged { bytes: 0, method: Method::Empty, origin: Origin::Nothing, reindexed: None })
}

fn clone(
    data: &DataDir,
    target: GenerationId,
    source: GenerationId,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Staged, Failure> {
    let pairs = files(data, target, source)?;
    let mut clones = pairs.iter().map(|(from, to)| FileClone::begin(from, to)).collect::<Result<Vec<_>, _>>()?;
    let total = clones.iter().map(|clone| clone.bytes).sum();
    // All of them or none: what one file of a directory can, the others can.
    let reflinked = clones.iter().all(FileClone::reflink);
    check_space(data, target, Some(source), total, 0, reflinked)?;
    if !reflinked {
        let mut before = 0;
        for clone in &mut clones {
            clone.copy(&mut |done| progress(before + done, total))?;
            before += clone.bytes;
        }
    }
    fault::point("stage.cloned").explain(|| format!("cannot stage generation {target}"))?;
    clones.iter().try_for_each(FileClone::sync)?;
    progress(total, total);
    let method = if reflinked { Method::Reflink } else { Method::Copy };
    Ok(Staged { bytes: total, method, origin: Origin::Generation(source), reindexed: None })
}

/// Checks what was cloned as a whole, and gives it new indexes where those alone are damaged.
///
/// # Errors
/// [`Cause::Damaged`] with what leads back; what kept it from being checked. What was staged is for recovery to remove.
fn check(data: &DataDir, target: GenerationId, staged: Staged) -> Result<Staged, Failure> {
    let Some(source) = staged.origin.generation() else { return Ok(staged) };
    let (database, found) = Database::open(&data.database(target))?.rebuild_damaged_indexes()?;
    let reindexed = match found {
        Indexes::Whole => None,
        Indexes::Rebuilt(problem) => Some(problem),
        Indexes::TablesDamaged(problem) => {
            let message = format!("the database {} is damaged: {problem}", data.database(source).display());
            return Err(checkpoint::lead_back(data, source, Failure::new(Cause::Damaged, message)));
        }
    };
    database.checkpoint_and_close()?;
    fault::point("stage.checked").explain(|| format!("cannot check generation {target}"))?;
    Ok(Staged { reindexed, ..staged })
}

/// Leaves this process what unpacking an archive takes. Not the directory of the generations, so that what is left of one
/// that cannot be unpacked is for recovery to remove.
fn confine(
    data: &DataDir,
    support: SandboxSupport,
    target: GenerationId,
    archive: &Archive,
    settings: &Settings,
) -> Result<(), Failure> {
    if let ArchiveSource::File(_) = archive.place {
        // What is none, or cannot be read, is told as that.
        drop(source::raw(&archive.place, settings)?);
    }
    permissions::open_attachments(&data.files());
    let (mut reads, network) = archive.place.reach();
    let sockets = if network { Sockets::Network } else { Sockets::None };
    reads.extend(rules::system());
    reads.extend(data.places());
    support.confine(reads, &[&data.generation(target), &data.files()], sockets)
}

/// Restores what an archive holds.
fn unpack(
    data: &DataDir,
    target: GenerationId,
    archive: &Archive,
    settings: &Settings,
    parts: &mut Parts<'_>,
) -> Result<Staged, Failure> {
    let doing = || format!("cannot stage generation {target}");
    let opened = source::open(archive, settings)?;
    let bytes = opened.manifest().members.first().map_or(0, |member| member.bytes);
    let files: Vec<_> = opened.manifest().members.iter().skip(1).collect();
    // Those that are there already are not written again; whether they are what they should be is found out on the way.
    let here = |path: &str| length(&data.path().join(path)).ok().flatten();
    let missing = files.iter().filter(|file| here(&file.path) != Some(file.bytes)).map(|file| file.bytes).sum();
    check_space(data, target, None, bytes, missing, false)?;
    let files = data.files();
    let manifest =
        parts.part(UNPACK, |progress| opened.extract(&data.database(target), Files::Restore(&files), progress))?;
    fault::point("stage.unpacked").explain(doing)?;
    let checked = parts.untold(1.0 - UNPACK, || backup::check_database(&data.database(target), &manifest))?;
    if let Some(problem) = checked {
        return Err(Failure::new(
            Cause::Damaged,
            format!("the backup {} cannot be restored: {problem}", archive.place),
        )
        .hint("supervisor backup list shows the others; nothing was changed"));
    }
    Ok(Staged { bytes, method: Method::Archive, origin: Origin::Backup(manifest.about.id), reindexed: None })
}

/// Returns the files that are one database, each with the name of its clone. Never `-shm`: SQLite makes it anew.
fn files(data: &DataDir, target: GenerationId, source: GenerationId) -> Result<Vec<(PathBuf, PathBuf)>, Failure> {
    let (from, to) = (data.database(source), data.database(target));
    if length(&from)?.is_none() {
        return Err(Failure::new(Cause::Damaged, format!("generation {source} has no database at {}", from.display())));
    }
    let mut files = vec![(from.clone(), to.clone())];
    for end in ["-wal", "-journal"] {
        if length(&beside(&from, end))?.is_some_and(|length| length > 0) {
            files.push((beside(&from, end), beside(&to, end)));
        }
    }
    Ok(files)
}

/// Checks that there is room for the clone, unless it shares its blocks, for the WAL of the migrations (about one
/// database more), and a margin.
fn check_space(
    data: &DataDir,
    target: GenerationId,
    source: Option<GenerationId>,
    bytes: u64,
    files: u64,
    reflinked: bool,
) -> Result<(), Failure> {
    let clone = if reflinked { 0 } else { bytes };
    let mut needs = vec![(clone, "the copy of the database"), (bytes, "the migrations")];
    needs.extend((files > 0).then_some((files, "the attachments")));
    let doing = format!("cannot stage generation {target}");
    space::check(&doing, &data.generations(), &needs, MARGIN, || {
        // What is in use, or being cloned, is not offered.
        let view = view::look(data).unwrap_or_default();
        let removable: Vec<_> = view
            .snapshots()
            .filter(|snapshot| Some(snapshot.id) != source && snapshot.id != target)
            .map(|snapshot| format!("{} ({})", data.generation(snapshot.id).display(), Size(snapshot.bytes)))
            .collect();
        let removable = removable.join(", ");
        if removable.is_empty() {
            removable
        } else {
            format!("; snapshots that could be removed with rm -r: {removable}")
        }
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::work::testing::{ONE, THREE, TWO, data, fill, tmpfs};

    fn stage_two(data: &DataDir) -> Result<Staged, Failure> {
        stage(data, SandboxSupport::default(), TWO, &Source::Generation(ONE), &mut |_, _| ())
    }

    #[test]
    fn a_first_start_begins_with_an_empty_database_and_its_marker() {
        let (_directory, data) = data();
        let staged = stage(&data, SandboxSupport::default(), TWO, &Source::Nothing, &mut |_, _| ()).unwrap();
        assert_eq!(staged, Staged { bytes: 0, method: Method::Empty, origin: Origin::Nothing, reindexed: None });
        assert_eq!(fs::metadata(data.database(TWO)).unwrap().len(), 0);
        assert!(data.marker(TWO).exists());
    }

    #[test]
    fn a_clone_has_the_wal_and_leaves_its_source_as_it_was() {
        let (_directory, data) = data();
        let open = fill(&data.database(ONE), 1000);
        let read = |id, end| fs::read(beside(&data.database(id), end)).unwrap();
        let before = (read(ONE, ""), read(ONE, "-wal"));
        let mut told = Vec::new();
        let staged = stage(&data, SandboxSupport::default(), TWO, &Source::Generation(ONE), &mut |done, total| {
            told.push((done, total))
        })
        .unwrap();
        assert_eq!(staged.bytes as usize, before.0.len() + before.1.len());
        assert_eq!(told.last(), Some(&(staged.bytes - 1, staged.bytes)), "the whole is told by the end");
        assert_eq!((read(ONE, ""), read(ONE, "-wal")), before);
        assert_eq!((read(TWO, ""), read(TWO, "-wal")), before);
        assert!(!beside(&data.database(TWO), "-shm").exists());
        drop(open);
        let clone = rusqlite::Connection::open(data.database(TWO)).unwrap();
        assert_eq!(clone.query_row("SELECT count(*) FROM t", [], |row| row.get::<_, i64>(0)).unwrap(), 1000);
    }

    #[test]
    fn what_cannot_be_cloned_leaves_nothing_behind() {
        let (directory, data) = data();
        assert_eq!(stage_two(&data).unwrap_err().cause, Cause::Damaged, "there is no database");
        symlink(directory.path().join("x"), data.database(ONE)).unwrap();
        assert!(stage_two(&data).unwrap_err().message.ends_with("is not a regular file"));
        fs::remove_file(data.database(ONE)).unwrap();
        nix::unistd::mkfifo(&data.database(ONE), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(stage_two(&data).unwrap_err().message.ends_with("is not a regular file"));
        assert_eq!(fs::read_dir(data.generations()).unwrap().count(), 1, "only generation 0001");
    }

    #[test]
    fn what_is_there_already_is_not_touched() {
        let (_directory, data) = data();
        drop(fill(&data.database(ONE), 1));
        fs::create_dir(data.generation(TWO)).unwrap();
        fs::write(data.database(TWO), "precious").unwrap();
        assert!(stage_two(&data).unwrap_err().message.contains("0002"));
        assert_eq!(fs::read(data.database(TWO)).unwrap(), b"precious");
    }

    #[test]
    #[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
    fn too_little_space_is_said_with_the_sum_and_what_could_go() {
        let (_mount, data) = tmpfs(80);
        for id in [ONE, TWO] {
            fs::create_dir_all(data.generation(id)).unwrap();
            fs::write(data.database(id), vec![1; 6 << 20]).unwrap();
        }
        symlink(DataDir::link_target(TWO), data.live()).unwrap();
        let failure =
            stage(&data, SandboxSupport::default(), THREE, &Source::Generation(TWO), &mut |_, _| ()).unwrap_err();
        assert_eq!(failure.cause, Cause::NoSpace);
        assert!(failure.message.contains("needs 76.0 MiB of free space"), "{failure}");
        assert!(
            failure
                .message
                .contains("(6.0 MiB for the copy of the database, 6.0 MiB for the migrations, 64.0 MiB to spare)"),
            "{failure}"
        );
        let hint = failure.hint.unwrap();
        assert!(hint.contains("generations/0001 (6.0 MiB)"), "{hint}");
        assert!(!hint.contains("generations/0002"), "{hint}");
        assert!(hint.ends_with(", then try again; nothing was changed"), "true of a start and of a restore: {hint}");
        assert!(!data.generation(THREE).exists());
    }

    #[test]
    #[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
    fn a_disk_that_fills_up_leaves_nothing_behind() {
        let (_mount, data) = tmpfs(8);
        fs::create_dir_all(data.generation(ONE)).unwrap();
        fs::write(data.database(ONE), vec![1; 5 << 20]).unwrap();
        // Past the check, as if another program had filled the disk since.
        let pair = files(&data, TWO, ONE).unwrap();
        fs::create_dir(data.generation(TWO)).unwrap();
        let mut clone = FileClone::begin(&pair[0].0, &pair[0].1).unwrap();
        let failure = clone.copy(&mut |_| ()).and_then(|()| clone.sync()).unwrap_err();
        assert_eq!(failure.cause, Cause::NoSpace, "{failure}");
        assert!(failure.message.contains("0002/app.db"), "{failure}");
        generations::discard(&data, TWO).unwrap();
        assert_eq!(fs::read_dir(data.generations()).unwrap().count(), 1);
    }
}

#[cfg(test)]
#[path = "stage_index_tests.rs"]
mod index_tests;
