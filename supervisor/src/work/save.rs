//! How are the supervisor's own documents written?

use std::path::Path;

use super::keep;
use crate::{
    data::{
        DataDir,
        durable::{self, Explain, Unfinished},
        programs, state,
    },
    failure::{Cause, Failure},
    fault,
    jobs::{Document, update::Known},
};

/// Writes a document, or removes held.json; it is durable when this returns.
///
/// # Errors
/// What the file system said. The document is as it was, or the new one.
pub fn save(data: &DataDir, document: &Document) -> Result<(), Failure> {
    match document {
        Document::State(state) => write(&data.state(), &state::to_bytes(state)?),
        Document::Held(Some(held)) => write(&data.held(), &state::to_bytes(held)?),
        Document::Held(None) => match durable::remove_if_there(&data.held())? {
            true => durable::sync_directory(&data.supervisor()),
            false => Ok(()),
        },
        Document::Programs(programs) => {
            // On a full disk, what is left over can go all the same.
            if programs::read(data).ok().as_ref() != Some(programs) {
                write(&data.kept_programs(), &state::to_bytes(programs)?)?;
            }
            keep::forget_others(data, programs);
            Ok(())
        }
        Document::Tries(tries) => write(&data.tries(), &state::to_bytes(tries)?),
        Document::Update(known) => match state::read::<Known>(&data.update()) {
            Err(failure) if failure.cause == Cause::UnknownFormat => Ok(()),
            _ => write(&data.update(), &state::to_bytes(known)?),
        },
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Failure> {
    let doing = || format!("cannot write {}", path.display());
    let unfinished = Unfinished::write(path, bytes)?;
    fault::point("save.written").explain(doing)?;
    unfinished.put()?;
    fault::point("save.renamed").explain(doing)?;
    durable::sync_parent(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        data::state::{FORMAT, Held, State},
        work::testing::{ONE, data, tmpfs},
    };

    fn state() -> State {
        State { format: FORMAT, live: ONE, version: "0.1.0".into(), snapshots: Vec::new() }
    }

    #[test]
    fn documents_are_written_read_back_and_removed() {
        let (_directory, data) = data();
        let held = Held {
            format: FORMAT,
            failure: Failure::new(Cause::Migration, "it failed").hint("resume"),
            doing: "upgrading".into(),
            since: "2026-11-24T22:30:00Z".into(),
            version: "0.1.0".into(),
            image: "0.1.0+0123".into(),
            live: None,
            ways_out: Vec::new(),
            step: Some(state::Step::Migrating),
            settings: None,
            data: None,
        };
        save(&data, &Document::State(state())).unwrap();
        save(&data, &Document::Held(Some(Box::new(held.clone())))).unwrap();
        assert_eq!(state::read_state(&data).unwrap(), Some(state()));
        assert_eq!(state::read_held(&data).unwrap(), Some(held));
        for _ in 0..2 {
            save(&data, &Document::Held(None)).unwrap();
        }
        assert_eq!(fs::read_dir(data.supervisor()).unwrap().count(), 1);
    }

    #[test]
    #[cfg_attr(not(has = "root"), ignore = "needs root, for mounts, namespaces and other users")]
    fn a_full_disk_leaves_the_document_as_it_was() {
        let (_mount, data) = tmpfs(1);
        save(&data, &Document::State(state())).unwrap();
        let filler = vec![1; 2 << 20];
        let _ = fs::write(data.files().join("filler"), filler);
        let failure = save(&data, &Document::State(State { version: "9".repeat(10_000), ..state() })).unwrap_err();
        assert_eq!(failure.cause, Cause::NoSpace, "{failure}");
        assert_eq!(state::read_state(&data).unwrap(), Some(state()));
        assert_eq!(fs::read_dir(data.supervisor()).unwrap().count(), 1);
    }
}
