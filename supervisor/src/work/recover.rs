//! What did an earlier run leave unfinished, and how is it put right?
//!
//! A generation that carries a marker and is not live was never committed: nobody outside ever wrote to it, so it is removed. One
//! without a marker is never removed here, wherever `live` points. While it is in doubt what `live` means, nothing is removed
//! at all.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    data::{
        DataDir, GenerationId,
        durable::{self, Explain, is_unfinished},
        generations,
        view::{self, Live, View},
    },
    failure::Failure,
    fault,
    process::sandbox::{Rules, SandboxSupport, Sockets},
    work::{
        backup::catalog,
        database::{Database, beside, length},
        rehearsal,
    },
};

/// Puts right what killed steps left, creates the directories that are missing, has SQLite roll back what a power cut left
/// half-written, and looks.
///
/// # Errors
/// [`crate::failure::Cause::UnknownFormat`] before anything is touched; what keeps the directory from being read or
/// made durable; a stale marker on the live generation that cannot be removed. A removal that fails blocks
/// nothing: it is in [`View::trouble`].
pub fn recover(data: &DataDir, support: SandboxSupport, backups: &Path) -> Result<View, Failure> {
    fault::point("recover.begun").explain(|| "cannot recover the data directory")?;
    // A commit that died between its rename and its fsync: from here on the link is what a power cut leaves, too.
    durable::sync_directory(data.path())?;
    let before = view::look_with(data, backups)?;
    let mut trouble = Vec::new();
    match before.live {
        Live::Generation(live) => {
            unmark(data, live)?;
            sweep(data, &before, &mut trouble)?;
        }
        Live::Missing if before.is_untouched() => sweep(data, &before, &mut trouble)?,
        Live::Missing | Live::Dangling(_) | Live::Elsewhere(_) | Live::NotALink => {}
    }
    remove_unfinished(data, &mut trouble);
    trouble.extend(rehearsal::end_if_nobody_rehearses(data).err().map(|failure| failure.message));
    create_directories(data)?;
    let noted = catalog::written(data).ok().flatten().and_then(|history| history.reindex);
    let reindex = noted.is_some_and(|generation| before.live == Live::Generation(generation));
    if let Live::Generation(live) = before.live {
        roll_back(data, support, live, &mut trouble)?;
    }
    Ok(View { trouble, reindex, ..view::look_with(data, backups)? })
}

/// Returns what a process needs that recovers. It looks for backups only where there is no live generation, for `backup.dir` may
/// be on a disk that does not answer.
pub fn rules(data: &DataDir, backups: PathBuf) -> Rules {
    let reads = match view::live(data) {
        Ok(Live::Generation(_)) => Vec::new(),
        _ => vec![backups, data.backups()],
    };
    Rules { reads, writes: data.places().into(), ..Rules::default() }
}

/// Removes the marker of the live generation, which a killed commit left. Not being able to is a failure: once
/// left behind, a generation with a marker would be taken for unfinished.
fn unmark(data: &DataDir, live: GenerationId) -> Result<(), Failure> {
    if data.is_marked(live) && durable::remove_if_there(&data.marker(live))? {
        durable::sync_directory(&data.generation(live))?;
        fault::point("recover.unmarked").explain(|| format!("cannot recover generation {live}"))?;
    }
    Ok(())
}

/// Has SQLite take back what a power cut left half-written in a live database in rollback-journal mode (put there by
/// hand, or by an app of its own): the migrator, which only reads, cannot. What else is wrong with it is for planning
/// to find out.
fn roll_back(
    data: &DataDir,
    support: SandboxSupport,
    live: GenerationId,
    trouble: &mut Vec<String>,
) -> Result<(), Failure> {
    let path = data.database(live);
    if let Ok(Some(1..)) = length(&beside(&path, "-journal")) {
        // Only looking is left to do.
        support.confine(data.places(), &[&data.generation(live)], Sockets::None)?;
        trouble.extend(Database::open(&path).err().map(|failure| failure.message));
    }
    Ok(())
}

/// Removes what was never committed, and what removals left.
fn sweep(data: &DataDir, view: &View, trouble: &mut Vec<String>) -> Result<(), Failure> {
    let mut note = |result: Result<(), Failure>| trouble.extend(result.err().map(|failure| failure.message));
    if data.generations().is_dir() {
        // Before new ones take their names.
        for removing in generations::leftovers(data)? {
            note(generations::delete(&removing));
        }
    }
    for generation in view.generations.iter().filter(|generation| Live::Generation(generation.id) != view.live) {
        let id = generation.id;
        if generation.staging {
            note(generations::discard(data, id));
            fault::point("recover.removed").explain(|| format!("cannot remove generation {id}"))?;
        } else if generation.is_empty() {
            // Killed between the directory and its marker. rmdir(2) removes nothing that has something in it.
            let path = data.generation(id);
            note(fs::remove_dir(&path).explain(|| format!("cannot remove the empty {}", path.display())));
        }
    }
    Ok(())
}

/// Removes files that were written beside their place and never put there.
fn remove_unfinished(data: &DataDir, trouble: &mut Vec<String>) {
    let mut unfinished = vec![durable::beside(&data.live())];
    let entries = fs::read_dir(data.supervisor()).into_iter().flatten().flatten();
    unfinished.extend(
        entries.filter(|entry| entry.file_name().to_str().is_some_and(is_unfinished)).map(|entry| entry.path()),
    );
    for path in unfinished {
        trouble.extend(durable::remove_if_there(&path).err().map(|failure| failure.message));
    }
}

fn create_directories(data: &DataDir) -> Result<(), Failure> {
    let mut created = false;
    for directory in [data.supervisor(), data.generations()].into_iter().chain(data.kept_by_the_app()) {
        created |= durable::create_directory_if_missing(&directory)?;
    }
    if created { durable::sync_directory(data.path()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;
    use crate::{
        failure::Cause,
        work::testing::{ONE, THREE, TWO, data},
    };

    fn add(data: &DataDir, id: GenerationId, staging: bool) {
        fs::create_dir_all(data.generation(id)).unwrap();
        fs::write(data.database(id), "x").unwrap();
        if staging {
            fs::write(data.marker(id), "").unwrap();
        }
    }

    fn ids(view: &View) -> Vec<GenerationId> {
        view.generations.iter().map(|generation| generation.id).collect()
    }

    #[test]
    fn an_empty_directory_gets_what_it_needs() {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::new(directory.path().to_owned());
        let view = recover(&data, SandboxSupport::default(), &data.backups()).unwrap();
        assert!(view.is_untouched());
        for created in [data.supervisor(), data.generations(), data.files()] {
            assert_eq!(fs::metadata(created).unwrap().permissions().mode() & 0o777, 0o700);
        }
    }

    #[test]
    fn what_was_not_committed_goes_and_everything_else_stays() {
        let (_directory, data) = data();
        add(&data, ONE, false);
        add(&data, TWO, false);
        add(&data, THREE, true);
        // An operator has pointed `live` at an older one: the newer one is kept.
        symlink(DataDir::link_target(ONE), data.live()).unwrap();
        fs::create_dir(data.generation(GenerationId(4))).unwrap();
        fs::create_dir_all(data.generations().join(".removing-0009/sub")).unwrap();
        symlink("/etc", data.generations().join(".removing-0010")).unwrap();
        fs::write(data.generations().join("0005"), "a file").unwrap();
        symlink("0003", data.generations().join("0006")).unwrap();
        fs::create_dir(data.generations().join("lost+found")).unwrap();
        fs::write(data.supervisor().join(".state.json.new"), "{").unwrap();
        symlink("generations/0003", data.path().join(".live.new")).unwrap();
        let view = recover(&data, SandboxSupport::default(), &data.backups()).unwrap();
        assert_eq!(ids(&view), [ONE, TWO]);
        assert_eq!(view.trouble, [""; 0]);
        let mut names: Vec<_> =
            fs::read_dir(data.generations()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, [".removing-0010", "0001", "0002", "0005", "0006", "lost+found"]);
        assert_eq!(fs::read_dir(data.supervisor()).unwrap().count(), 0);
        assert!(!data.path().join(".live.new").is_symlink());
    }

    #[test]
    fn a_marker_on_the_live_one_is_stale() {
        let (_directory, data) = data();
        add(&data, ONE, false);
        add(&data, TWO, true);
        symlink(DataDir::link_target(TWO), data.live()).unwrap();
        let view = recover(&data, SandboxSupport::default(), &data.backups()).unwrap();
        assert_eq!(ids(&view), [ONE, TWO]);
        assert!(!data.marker(TWO).exists());
        assert_eq!(fs::read(data.database(TWO)).unwrap(), b"x");
    }

    #[test]
    fn an_interrupted_first_start_begins_again() {
        let (_directory, data) = data();
        for killed_before_its_marker in [false, true] {
            fs::create_dir_all(data.generation(ONE)).unwrap();
            if !killed_before_its_marker {
                add(&data, ONE, true);
            }
            let view = recover(&data, SandboxSupport::default(), &data.backups()).unwrap();
            assert!(view.is_untouched());
            assert_eq!(ids(&view), []);
        }
    }

    #[test]
    fn while_live_is_in_doubt_nothing_is_removed() {
        type Make = fn(&DataDir);
        let cases: [(&str, Make); 4] = [
            ("missing", |_| ()),
            ("dangling", |data| symlink("generations/0009", data.live()).unwrap()),
            ("elsewhere", |data| symlink("/etc", data.live()).unwrap()),
            ("no link", |data| fs::create_dir(data.live()).unwrap()),
        ];
        for (name, make) in cases {
            let (_directory, data) = data();
            add(&data, ONE, false);
            add(&data, TWO, true);
            fs::create_dir(data.generations().join(".removing-0009")).unwrap();
            make(&data);
            let view = recover(&data, SandboxSupport::default(), &data.backups()).unwrap();
            assert_eq!(ids(&view), [ONE, TWO], "{name}");
            assert_eq!(fs::read_dir(data.generations()).unwrap().count(), 3, "{name}");
        }
    }

    #[test]
    fn a_state_of_another_format_keeps_everything_from_being_touched() {
        let (_directory, data) = data();
        add(&data, ONE, false);
        add(&data, TWO, true);
        symlink(DataDir::link_target(ONE), data.live()).unwrap();
        fs::write(data.state(), r#"{"format":2}"#).unwrap();
        assert_eq!(recover(&data, SandboxSupport::default(), &data.backups()).unwrap_err().cause, Cause::UnknownFormat);
        assert!(data.marker(TWO).exists());
    }

    #[test]
    fn a_transaction_that_a_power_cut_left_half_written_is_taken_back() {
        let (_directory, data) = data();
        add(&data, ONE, false);
        symlink(DataDir::link_target(ONE), data.live()).unwrap();
        let place = tempfile::tempdir().unwrap();
        let original = place.path().join("app.db");
        let writer = rusqlite::Connection::open(&original).unwrap();
        writer
            .execute_batch(
                "CREATE TABLE t (words TEXT); INSERT INTO t VALUES ('kept'); PRAGMA cache_size = 1; BEGIN;
                 UPDATE t SET words = 'lost'; INSERT INTO t SELECT zeroblob(4000) FROM (VALUES (1), (2), (3), (4), (5));",
            )
            .unwrap();
        // As a power cut leaves it: some of the transaction is in the file, and its journal lies beside it.
        fs::copy(&original, data.database(ONE)).unwrap();
        fs::copy(beside(&original, "-journal"), beside(&data.database(ONE), "-journal")).unwrap();
        let view = recover(&data, SandboxSupport::default(), &data.backups()).unwrap();
        assert_eq!(view.trouble, Vec::<String>::new());
        assert!(!beside(&data.database(ONE), "-journal").exists());
        let read = rusqlite::Connection::open(data.database(ONE)).unwrap();
        let words = read.query_row("SELECT group_concat(words) FROM t", [], |row| row.get::<_, String>(0));
        assert_eq!(words.unwrap(), "kept");
    }
}
