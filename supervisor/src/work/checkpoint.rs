//! Is this database intact, and all of it in one file?
//!
//! Before a database is cloned or left behind, its WAL is moved into it, and it is checked unless its clone will be. No process
//! has it open by then.

use std::{
    fs,
    os::unix::fs::MetadataExt,
    path::Path,
    time::{Duration, SystemTime},
};

use super::database::{Database, beside, length};
use crate::{
    data::{
        DataDir, GenerationId,
        durable::{self, Explain},
        state, view,
    },
    failure::{Cause, Failure},
    fault,
    jobs::Checkpointed,
};

/// Checks a generation's database, unless its clone will be, moves its WAL into it, and makes it durable.
///
/// # Errors
/// [`Cause::Damaged`], [`Cause::NotADatabase`] with the snapshots that lead back; [`Cause::Busy`]; what the file
/// system said. The database is as it was, or checkpointed.
pub fn checkpoint(data: &DataDir, generation: GenerationId, check: bool, hash: bool) -> Result<Checkpointed, Failure> {
    fault::point("checkpoint.begun").explain(|| format!("cannot checkpoint generation {generation}"))?;
    let path = data.database(generation);
    let written_at = written_at(data, generation)?;
    let checked = Database::open(&path).and_then(|database| {
        let problems = if check { database.quick_check()? } else { Vec::new() };
        if problems.is_empty() {
            return Ok(database);
        }
        let message = format!("the database {} is damaged: {}", path.display(), problems.join("; "));
        Err(Failure::new(Cause::Damaged, message))
    });
    let database = checked.map_err(|failure| lead_back(data, generation, failure))?;
    database.checkpoint_and_close()?;
    fault::point("checkpoint.done").explain(|| format!("cannot checkpoint generation {generation}"))?;
    durable::sync_file(&path)?;
    durable::sync_directory(&data.generation(generation))?;
    let blake3 = hash.then(|| self::hash(&path)).transpose()?;
    Ok(Checkpointed { written_at, blake3 })
}

/// Returns BLAKE3 of a database that no connection of this process has open.
pub(super) fn hash(path: &Path) -> Result<String, Failure> {
    let mut hasher = blake3::Hasher::new();
    durable::open_regular(path)
        .and_then(|file| hasher.update_reader(file).map(|_| ()))
        .explain(|| format!("cannot read {}", path.display()))?;
    Ok(hasher.finalize().to_hex().to_string())
}

/// Returns length and time of modification (nanoseconds since the epoch) of a file.
pub(super) fn stamp(path: &Path) -> Result<(u64, u64), Failure> {
    let stat = fs::symlink_metadata(path).explain(|| format!("cannot look at {}", path.display()))?;
    let nanoseconds = i128::from(stat.mtime()) * 1_000_000_000 + i128::from(stat.mtime_nsec());
    Ok((stat.len(), u64::try_from(nanoseconds).unwrap_or(0)))
}

/// Returns when the household last wrote to a database since it was finalized. To be asked before the database is
/// opened: a checkpoint writes, too.
fn written_at(data: &DataDir, generation: GenerationId) -> Result<Option<String>, Failure> {
    let path = data.database(generation);
    if length(&path)?.is_none() {
        return Ok(None);
    }
    let (bytes, mut newest) = stamp(&path)?;
    let finalized = state::read_description(data, generation);
    let mut written = finalized.is_none_or(|then| (then.bytes, then.modified_ns) != (bytes, newest));
    for journal in ["-wal", "-journal"].map(|end| beside(&path, end)) {
        if length(&journal)?.is_some_and(|length| length > 0) {
            newest = newest.max(stamp(&journal)?.1);
            written = true;
        }
    }
    let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(newest);
    Ok(written.then(|| humantime::format_rfc3339_seconds(time).to_string()))
}

/// Adds to the failure of a damaged database what leads back.
pub(super) fn lead_back(data: &DataDir, generation: GenerationId, failure: Failure) -> Failure {
    if !matches!(failure.cause, Cause::Damaged | Cause::NotADatabase) || failure.hint.is_some() {
        return failure;
    }
    let view = view::look(data).unwrap_or_default();
    let snapshots: Vec<_> = view
        .snapshots()
        .filter(|snapshot| snapshot.id != generation)
        .map(|snapshot| {
            let left =
                view.state.iter().flat_map(|state| &state.snapshots).find(|known| known.generation == snapshot.id);
            let left = left.map(|known| format!(" (the data of {})", known.left_at)).unwrap_or_default();
            format!("supervisor restore {}{left}", snapshot.id)
        })
        .collect();
    let backups = if view.backups { "; there are backups, too: supervisor restore latest" } else { "" };
    let untouched = format!("nothing was changed, and {} is kept", data.generation(generation).display());
    if snapshots.is_empty() {
        failure.hint(format!("{untouched}; there is no snapshot to go back to{backups}"))
    } else {
        failure.hint(format!("{untouched}; go back to a snapshot with: {}{backups}", snapshots.join(", or ")))
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use rusqlite::Connection;

    use super::*;
    use crate::work::testing::{ONE, TWO, data, fill};

    #[test]
    fn a_wal_that_a_crash_left_is_moved_into_the_database() {
        let (_directory, data) = data();
        let path = data.database(ONE);
        let open = fill(&path, 100);
        // As a killed process leaves it: the files as they are, without a close.
        let copy = data.generation(TWO);
        fs::create_dir(&copy).unwrap();
        for end in ["", "-wal"] {
            fs::copy(beside(&path, end), beside(&data.database(TWO), end)).unwrap();
        }
        drop(open);
        let checkpointed = checkpoint(&data, TWO, true, false).unwrap();
        assert!(!beside(&data.database(TWO), "-wal").exists());
        assert!(checkpointed.written_at.is_some(), "when it was finalized is not known");
        let rows: i64 = Connection::open(data.database(TWO))
            .unwrap()
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap();
        assert_eq!(rows, 100);
    }

    #[test]
    fn checkpointing_one_at_rest_changes_nothing() {
        let (_directory, data) = data();
        drop(fill(&data.database(ONE), 10));
        checkpoint(&data, ONE, true, false).unwrap();
        let (before, bytes) = (stamp(&data.database(ONE)).unwrap(), fs::read(data.database(ONE)).unwrap());
        checkpoint(&data, ONE, true, false).unwrap();
        assert_eq!(stamp(&data.database(ONE)).unwrap(), before);
        assert_eq!(fs::read(data.database(ONE)).unwrap(), bytes);
        assert_eq!(fs::read_dir(data.generation(ONE)).unwrap().count(), 1);
    }

    #[test]
    fn a_database_that_is_open_elsewhere_is_busy() {
        let (_directory, data) = data();
        let open = fill(&data.database(ONE), 10);
        open.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        let failure = checkpoint(&data, ONE, true, false).unwrap_err();
        assert_eq!(failure.cause, Cause::Busy, "{failure}");
        assert!(failure.message.contains("0001/app.db"), "{failure}");
    }

    #[test]
    fn damage_is_described_and_the_way_back_named() {
        let (_directory, data) = data();
        for id in [ONE, TWO] {
            fs::create_dir_all(data.generation(id)).unwrap();
            drop(fill(&data.database(id), 2000));
        }
        symlink(DataDir::link_target(TWO), data.live()).unwrap();
        let mut bytes = fs::read(data.database(TWO)).unwrap();
        let length = bytes.len();
        bytes[4096 * 3..length - 4096].fill(0xAA);
        fs::write(data.database(TWO), &bytes).unwrap();
        let failure = checkpoint(&data, TWO, true, false).unwrap_err();
        assert_eq!(failure.cause, Cause::Damaged, "{failure}");
        assert!(failure.hint.unwrap().contains("supervisor restore 0001"));
        assert_eq!(fs::read(data.database(TWO)).unwrap(), bytes);
    }

    #[test]
    fn what_is_no_database_is_said_to_be_none_and_none_is_made() {
        let (_directory, data) = data();
        let path = data.database(ONE);
        assert_eq!(checkpoint(&data, ONE, true, false).unwrap_err().cause, Cause::Damaged);
        assert!(!path.exists());
        for garbage in [&b""[..], b"SQLite", &[7; 5000]] {
            fs::write(&path, garbage).unwrap();
            let failure = checkpoint(&data, ONE, true, false).unwrap_err();
            assert_eq!(failure.cause, Cause::NotADatabase, "{failure}");
            assert!(failure.hint.unwrap().contains("there is no snapshot"));
            assert_eq!(fs::read(&path).unwrap(), garbage);
        }
        fs::write(&path, [&b"SQLite format 3\0"[..], &[0; 5000]].concat()).unwrap();
        let failure = checkpoint(&data, ONE, true, false).unwrap_err();
        assert!(matches!(failure.cause, Cause::NotADatabase | Cause::Damaged), "{failure}");
    }

    #[test]
    fn links_are_not_followed() {
        let (directory, data) = data();
        let elsewhere = directory.path().join("elsewhere.db");
        drop(fill(&elsewhere, 1));
        symlink(&elsewhere, data.database(ONE)).unwrap();
        assert!(checkpoint(&data, ONE, true, false).unwrap_err().message.ends_with("is not a regular file"));
        fs::remove_file(data.database(ONE)).unwrap();
        drop(fill(&data.database(ONE), 1));
        symlink(&elsewhere, beside(&data.database(ONE), "-wal")).unwrap();
        assert!(checkpoint(&data, ONE, true, false).unwrap_err().message.ends_with("-wal is not a regular file"));
    }
}
