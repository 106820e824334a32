//! How does a generation become the live one?
//!
//! By one rename of a link: the only commit point. Before it the old one is live, after it the new one is; the
//! marker goes only when the link is on the disk. Killed anywhere, a second run ends in the same state.

use std::{fs, os::unix::fs::symlink};

use crate::{
    data::{
        DataDir, GenerationId,
        durable::{self, Explain},
        permissions,
        view::{self, Live},
    },
    failure::{Cause, Failure},
    fault,
};

/// Makes a finalized generation the live one.
///
/// # Errors
/// [`Cause::Live`] when `live` is no link, or the generation was never staged; what the file system said. Which of
/// the two is live then is what the link says: see [`view::live`].
pub fn commit(data: &DataDir, generation: GenerationId) -> Result<(), Failure> {
    let doing = || format!("cannot make generation {generation} the live one");
    fault::point("commit.begun").explain(doing)?;
    let live = view::live(data)?;
    check(data, generation, &live)?;
    // An app may have put it there. Left behind with a marker, a generation would be taken for unfinished and removed.
    if let Live::Generation(outgoing) = live
        && outgoing != generation
        && let Ok(stat) = fs::symlink_metadata(data.marker(outgoing))
    {
        // To a version before 0.3.0 whatever has the name is one.
        let marker = data.marker(outgoing);
        if stat.is_dir() {
            permissions::remove_all(&marker).explain(|| format!("cannot remove {}", marker.display()))?;
        } else {
            durable::remove_if_there(&marker)?;
        }
        durable::sync_directory(&data.generation(outgoing))?;
    }
    if live != Live::Generation(generation) {
        let link = data.live();
        let beside = durable::beside(&link);
        durable::remove_if_there(&beside)?;
        symlink(DataDir::link_target(generation), &beside)
            .explain(|| format!("cannot create the link {}", beside.display()))?;
        durable::rename(&beside, &link)?;
        fault::point("commit.linked").explain(doing)?;
    }
    durable::sync_directory(data.path())?;
    fault::point("commit.synced").explain(doing)?;
    if durable::remove_if_there(&data.marker(generation))? {
        durable::sync_directory(&data.generation(generation))?;
    }
    fault::point("commit.unmarked").explain(doing)
}

fn check(data: &DataDir, generation: GenerationId, live: &Live) -> Result<(), Failure> {
    let refuse = |why: String| {
        Err(Failure::new(Cause::Live, format!("cannot make generation {generation} the live one: {why}"))
            .hint("nothing was changed"))
    };
    match live {
        Live::Generation(id) if *id == generation => return Ok(()),
        Live::NotALink => return refuse(format!("{} is not a link", data.live().display())),
        Live::Missing | Live::Generation(_) | Live::Dangling(_) | Live::Elsewhere(_) => {}
    }
    if !data.is_marked(generation)
        || !fs::symlink_metadata(data.database(generation)).is_ok_and(|found| found.is_file())
    {
        return refuse(format!("{} is not a staged generation with a database", data.generation(generation).display()));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::testing::{ONE, TWO, data};

    /// Generation 1 live, generation 2 staged.
    fn staged() -> (tempfile::TempDir, DataDir) {
        let (directory, data) = data();
        fs::write(data.database(ONE), "one").unwrap();
        symlink(DataDir::link_target(ONE), data.live()).unwrap();
        fs::create_dir(data.generation(TWO)).unwrap();
        fs::write(data.database(TWO), "two").unwrap();
        fs::write(data.marker(TWO), "").unwrap();
        (directory, data)
    }

    #[test]
    fn a_commit_ends_in_the_same_state_wherever_it_was_killed_before_and_however_often_it_is_done() {
        let nothing = |_: &DataDir| ();
        let no_earlier_link = |data: &DataDir| fs::remove_file(data.live()).unwrap();
        let killed_before_the_rename =
            |data: &DataDir| symlink("generations/0009", durable::beside(&data.live())).unwrap();
        let killed_after_the_rename = |data: &DataDir| {
            fs::remove_file(data.live()).unwrap();
            symlink(DataDir::link_target(TWO), data.live()).unwrap();
        };
        let all: [fn(&DataDir); 4] = [nothing, no_earlier_link, killed_before_the_rename, killed_after_the_rename];
        for before in all {
            let (_directory, data) = staged();
            before(&data);
            for _ in 0..2 {
                commit(&data, TWO).unwrap();
                assert_eq!(fs::read_link(data.live()).unwrap(), DataDir::link_target(TWO));
                assert!(!data.marker(TWO).exists());
                assert_eq!(fs::read(data.live().join("app.db")).unwrap(), b"two");
                assert_eq!(fs::read(data.database(ONE)).unwrap(), b"one");
                assert!(fs::symlink_metadata(durable::beside(&data.live())).is_err());
            }
        }
    }

    #[test]
    fn what_is_no_link_is_not_replaced() {
        let (_directory, data) = staged();
        fs::remove_file(data.live()).unwrap();
        fs::write(data.live(), "precious").unwrap();
        let failure = commit(&data, TWO).unwrap_err();
        assert_eq!(failure.cause, Cause::Live);
        assert!(failure.message.ends_with("live is not a link"), "{failure}");
        assert_eq!(fs::read(data.live()).unwrap(), b"precious");
        assert!(data.marker(TWO).exists());
    }

    #[test]
    fn only_a_staged_generation_is_committed_and_none_is_left_behind_marked() {
        let (_directory, data) = staged();
        let marker = fs::read(data.marker(TWO)).unwrap();
        fs::remove_file(data.marker(TWO)).unwrap();
        fs::create_dir(data.marker(TWO)).unwrap();
        assert!(
            commit(&data, TWO).unwrap_err().message.contains("is not a staged generation"),
            "a directory is no marker"
        );
        assert_eq!(fs::read_link(data.live()).unwrap(), DataDir::link_target(ONE));
        fs::remove_dir(data.marker(TWO)).unwrap();
        fs::write(data.marker(TWO), marker).unwrap();
        // As an app that was taken over might.
        fs::write(data.marker(ONE), "").unwrap();
        commit(&data, TWO).unwrap();
        assert!(!data.marker(ONE).exists(), "the next start would take it for unfinished");
    }
}
