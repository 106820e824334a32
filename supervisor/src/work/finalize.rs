//! What makes a proven generation ready to become the live one?
//!
//! All of its database is in one file, a description for people lies beside it, and everything that it needs is
//! on the disk before the link says that it is.

use std::time::SystemTime;

use super::{
    checkpoint::{hash, stamp},
    database::Database,
};
use crate::{
    data::{
        DataDir,
        durable::{self, Explain},
        state::{self, Description, FORMAT},
        view::{self, Live},
    },
    failure::{Cause, Failure},
    fault,
    jobs::Finalize,
};

/// Checkpoints a staged generation's database, writes its description, and makes all of it durable.
///
/// # Errors
/// When the generation carries no marker, or is live; as [`super::checkpoint`]. A second run puts right what was begun.
pub fn finalize(data: &DataDir, order: Finalize) -> Result<(), Failure> {
    let Finalize { generation, reason, origin, schema, version } = order;
    let doing = || format!("cannot finalize generation {generation}");
    fault::point("finalize.begun").explain(doing)?;
    // What was committed belongs to the app, and its description tells how it was handed over.
    if !data.is_marked(generation) || view::live(data)? == Live::Generation(generation) {
        return Err(Failure::new(Cause::Io, format!("{}: it is not a staged one", doing())));
    }
    let path = data.database(generation);
    let database = Database::open(&path)?;
    // A backup's is in rollback-journal mode, and with nothing to migrate nobody has changed that.
    database.use_wal()?;
    database.checkpoint_and_close()?;
    fault::point("finalize.checkpointed").explain(doing)?;
    let blake3 = hash(&path)?;
    let (bytes, modified_ns) = stamp(&path)?;
    let description = Description {
        format: FORMAT,
        reason,
        source: origin.generation(),
        backup: origin.backup(),
        version,
        schema,
        blake3,
        bytes,
        modified_ns,
        sealed_at: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
    };
    durable::sync_file(&path)?;
    durable::write(&data.description(generation), &state::to_bytes(&description)?)?;
    durable::sync_directory(&data.generation(generation))?;
    durable::sync_directory(&data.generations())?;
    durable::sync_directory(&data.files())?;
    fault::point("finalize.synced").explain(doing)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::data::state::Reason;
    use crate::jobs::Origin;
    use crate::work::testing::{ONE, data, fill};

    fn order(reason: Reason, schema: String) -> Finalize {
        Finalize { generation: ONE, reason, origin: Origin::Nothing, schema, version: "0.8.0".into() }
    }

    #[test]
    fn a_finalized_generation_is_one_file_and_its_description() {
        let (_directory, data) = data();
        fs::write(data.marker(ONE), "").unwrap();
        drop(fill(&data.database(ONE), 10));
        for _ in 0..2 {
            finalize(&data, order(Reason::Upgrade, "m0002_attachments".into())).unwrap();
        }
        let description = state::read_description(&data, ONE).unwrap();
        let bytes = fs::read(data.database(ONE)).unwrap();
        assert_eq!(description.bytes, bytes.len() as u64);
        assert_eq!(description.blake3, blake3::hash(&bytes).to_hex().to_string());
        assert_eq!(description.schema, "m0002_attachments");
        let mut names: Vec<_> =
            fs::read_dir(data.generation(ONE)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["STAGING", "app.db", "generation.json"]);
        // And what the household did not write to since is known by it.
        assert_eq!(super::super::checkpoint::checkpoint(&data, ONE, true, false).unwrap().written_at, None);
        fill_one_more(&data);
        assert!(super::super::checkpoint::checkpoint(&data, ONE, true, false).unwrap().written_at.is_some());
    }

    #[test]
    fn a_finalized_database_is_in_wal_mode_whatever_it_was_in() {
        let (_directory, data) = data();
        fs::write(data.marker(ONE), "").unwrap();
        let connection = fill(&data.database(ONE), 10);
        connection.query_row("PRAGMA journal_mode = DELETE", [], |_| Ok(())).unwrap();
        drop(connection);
        finalize(&data, order(Reason::Restore, String::new())).unwrap();
        // The header's write and read versions: 2 is WAL.
        assert_eq!(fs::read(data.database(ONE)).unwrap()[18..20], [2, 2]);
    }

    fn fill_one_more(data: &DataDir) {
        let connection = rusqlite::Connection::open(data.database(ONE)).unwrap();
        connection.execute("INSERT INTO t (words) VALUES ('more')", []).unwrap();
    }

    #[test]
    fn only_what_is_staged_is_finalized() {
        let (_directory, data) = data();
        drop(fill(&data.database(ONE), 1));
        let failure = finalize(&data, order(Reason::Upgrade, String::new())).unwrap_err();
        assert_eq!(failure.message, "cannot finalize generation 0001: it is not a staged one");
        assert!(!data.description(ONE).exists());
    }
}
