//! What does the data directory ask for?
//!
//! Pure: from a [`View`] to a [`Decision`].

use crate::{
    data::{
        GenerationId,
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
#[must_use]
pub fn next(view: &View) -> GenerationId {
    let here = view.generations.iter().map(|generation| generation.id);
    let known = view
        .state
        .iter()
        .flat_map(|state| state.snapshots.iter().map(|snapshot| snapshot.generation).chain([state.live]));
    here.chain(known).max().map_or(GenerationId(1), GenerationId::next)
}

/// Decides.
#[must_use]
pub fn decide(view: &View) -> Decision {
    let hold = |message: String| Decision::Hold(Failure::new(Cause::Live, message));
    match &view.live {
        Live::Generation(id) => match view.generations.iter().find(|generation| generation.id == *id) {
            Some(generation) if generation.database => Decision::Live(*id),
            _ => hold(format!("generation {id}, which live points to, has no database file app.db")),
        },
        Live::Missing => {
            let committed = view.generations.iter().any(|generation| !generation.staging);
            match (committed, view.backups, &view.state) {
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
            state: None,
            state_trouble: None,
            trouble: Vec::new(),
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
        assert_eq!(next(&view(Live::Missing, &[])), GenerationId(1));
        assert_eq!(next(&view(Live::Generation(GenerationId(6)), &[(6, false), (7, false)])), GenerationId(8));
        let known = View { state: Some(state(12)), ..view(Live::Generation(GenerationId(6)), &[(6, false)]) };
        assert_eq!(next(&known), GenerationId(13));
    }
}
