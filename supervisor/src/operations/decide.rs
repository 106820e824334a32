//! What has to be done with this data directory?
//!
//! Pure: from a [`View`] to a [`Decision`].

use std::path::Path;

use crate::{
    data::{
        DATABASE, GenerationId,
        view::{Live, View},
    },
    failure::{Cause, Failure},
};

/// What to do with the data directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// There is no data and never was: make the first generation.
    FirstStart,
    /// This generation is the live one.
    Live(GenerationId),
    /// The operator has to say which data is meant.
    Hold(Failure),
}

/// Returns the number of the next generation: one above the highest that is there or was ever known.
///
/// # Errors
/// When that one has the highest number there can be: Hearth itself never comes so far.
pub fn next(view: &View) -> Result<GenerationId, Failure> {
    let here = view.generations.iter().map(|generation| generation.id);
    let known = view
        .state
        .iter()
        .flat_map(|state| state.snapshots.iter().map(|snapshot| snapshot.generation).chain([state.live]));
    let Some(highest) = here.chain(known).max() else { return Ok(GenerationId(1)) };
    highest.next().ok_or_else(|| {
        let (names, mend) = if view.generations.iter().any(|generation| generation.id == highest) {
            (format!("generations/{highest} is there"), format!("move generations/{highest} away"))
        } else {
            (
                format!("supervisor/state.json names generation {highest}"),
                "put that number right, or move the file away".to_owned(),
            )
        };
        let message =
            format!("there is no number for a next generation: {names}, and the highest is {}", GenerationId::HIGHEST);
        Failure::new(Cause::Io, message)
            .hint(format!("that is no number that Hearth came to by itself: {mend}; nothing was touched"))
    })
}

/// Decides.
pub fn decide(view: &View) -> Decision {
    let hold = |message: String| Decision::Hold(Failure::new(Cause::Live, message));
    match &view.live {
        Live::Generation(id) => match view.generations.iter().find(|generation| generation.id == *id) {
            Some(generation) if generation.database => Decision::Live(*id),
            _ => hold(format!("generation {id}, which live points to, has no database file app.db")),
        },
        Live::Missing => {
            let committed = view.generations.iter().any(|generation| !generation.staging);
            let has_database = view.generations.iter().any(|generation| generation.database && !generation.staging);
            if let (false, None, Some(path)) = (has_database, &view.state, &view.misplaced) {
                return hold_misplaced(path);
            }
            match (committed, view.backups, &view.state) {
                (false, false, None) if view.files => hold_lost_files(),
                (false, false, None) if view.state_trouble.is_none() => Decision::FirstStart,
                (true, _, _) => hold("the link live is missing, although there are generations".into()),
                (false, _, Some(state)) => hold(format!(
                    "the data is gone: the link live and every generation are missing, although generation {} was in use", state.live
                )),
                (false, true, None) => hold("there are backups, but neither the link live nor any generation".into()),
                (false, false, None) => hold("the link live is missing, and supervisor/state.json, which would say whether there was data, cannot be read".into()),
            }
        }
        Live::Dangling(target) => hold(format!("the link live points to {target}, where nothing is")),
        Live::Elsewhere(target) => {
            hold(format!("the link live points to {target}, which is not one of this data directory's generations"))
        }
        Live::NotALink => hold("live is not a link but a file or directory".into()),
    }
}

fn hold_misplaced(path: &Path) -> Decision {
    let shown = path.display();
    let (what, way) = if path.ends_with(DATABASE) {
        let steps =
            format!("mkdir -p generations/0001, mv {shown} generations/0001/{DATABASE}, ln -s generations/0001 live");
        ("database", format!("to start with it, in the data directory: {steps} (docs/BACKUPS.md, Restore by hand)"))
    } else {
        ("backup", format!("to start with it: supervisor restore {shown}"))
    };
    let message = format!("there is no live generation, but a {what} at {shown}, where Hearth does not look for one");
    Decision::Hold(Failure::new(Cause::Live, message).hint(format!("{way}; to begin with no data, move it away")))
}

fn hold_lost_files() -> Decision {
    let message = "the data is gone: there are attachments in files/, but neither the link live nor any generation";
    Decision::Hold(Failure::new(Cause::Live, message).hint(
        "put live and generations/ back (a volume that is not mounted?); or, to begin with no data, move what is in files/ away",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::{state::State, view::Generation};

    fn view(live: Live, generations: &[(u32, bool)]) -> View {
        View {
            live,
            generations: generations
                .iter()
                .map(|(number, staging)| Generation {
                    id: GenerationId(*number),
                    staging: *staging,
                    database: true,
                    unclean: false,
                    bytes: 0,
                    description: None,
                })
                .collect(),
            backups: false,
            files: false,
            misplaced: None,
            state: None,
            state_trouble: None,
            trouble: Vec::new(),
            reindex: false,
        }
    }

    fn state(live: u32) -> State {
        State { format: 1, live: GenerationId(live), version: "0.1.0".into(), snapshots: Vec::new() }
    }

    fn held(decision: &Decision) -> &str {
        match decision {
            Decision::Hold(failure) => &failure.message,
            other => panic!("not held: {other:?}"),
        }
    }

    #[test]
    fn only_a_directory_that_never_had_data_is_a_first_start() {
        assert_eq!(decide(&view(Live::Missing, &[])), Decision::FirstStart);
        assert_eq!(decide(&view(Live::Missing, &[(1, true)])), Decision::FirstStart);
        let with_backup = View { backups: true, ..view(Live::Missing, &[]) };
        assert!(held(&decide(&with_backup)).contains("there are backups"));
        let with_state = View { state: Some(state(7)), ..view(Live::Missing, &[]) };
        assert!(held(&decide(&with_state)).contains("generation 0007 was in use"));
        let unreadable = View { state_trouble: Some("damaged".into()), ..view(Live::Missing, &[]) };
        assert!(held(&decide(&unreadable)).contains("state.json"));
        let with_files = View { files: true, ..view(Live::Missing, &[(1, true)]) };
        assert!(held(&decide(&with_files)).contains("there are attachments in files/"));
        let unpacked = View { misplaced: Some("/app/data/app.db".into()), ..view(Live::Missing, &[]) };
        assert!(held(&decide(&unpacked)).contains("a database at /app/data/app.db, where Hearth does not look"));
        let with_both = View { files: true, ..with_state };
        assert!(held(&decide(&with_both)).contains("generation 0007 was in use"));
        assert!(held(&decide(&view(Live::Missing, &[(7, false)]))).contains("there are generations"));
    }

    #[test]
    fn a_link_that_leads_nowhere_holds() {
        for live in [Live::Dangling("generations/0009".into()), Live::Elsewhere("/etc".into()), Live::NotALink] {
            held(&decide(&view(live, &[(7, false)])));
        }
        assert!(held(&decide(&view(Live::Generation(GenerationId(3)), &[]))).contains("0003"));
        assert_eq!(decide(&view(Live::Generation(GenerationId(7)), &[(7, false)])), Decision::Live(GenerationId(7)));
    }

    #[test]
    fn numbers_only_go_up() {
        let next = |view: &View| super::next(view).unwrap();
        assert_eq!(next(&view(Live::Missing, &[])), GenerationId(1));
        assert_eq!(next(&view(Live::Generation(GenerationId(6)), &[(6, false), (7, false)])), GenerationId(8));
        let known = View { state: Some(state(12)), ..view(Live::Generation(GenerationId(6)), &[(6, false)]) };
        assert_eq!(next(&known), GenerationId(13));
    }

    #[test]
    fn a_number_that_cannot_go_up_is_said_and_not_passed() {
        let known = View { state: Some(state(u32::MAX)), ..view(Live::Generation(GenerationId(6)), &[(6, false)]) };
        let failure = next(&known).unwrap_err();
        assert_eq!(
            failure.message,
            "there is no number for a next generation: supervisor/state.json names generation 4294967295, and the highest is 999999999"
        );
        let failure = next(&view(Live::Generation(GenerationId(6)), &[(6, false), (999_999_999, false)])).unwrap_err();
        assert!(failure.message.contains("generations/999999999 is there"), "{failure}");
        assert!(failure.hint.unwrap().contains("move generations/999999999 away"));
    }
}
