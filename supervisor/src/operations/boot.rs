//! How does a household's data come to this version, or stay exactly as it was?
//!
//! A boot looks ([`start::look`], [`decide`], [`plan`]). Where migrations are pending, or only indexes are damaged, it makes the next
//! generation ([`generation`]).

use std::rc::Rc;

use super::{
    State,
    decide::{self, Decision},
    generation::{self, Incomplete},
    held::{self, Stuck},
    plan::{self, Plan},
    start,
};
use crate::{
    app::lifecycle::{App, point},
    data::{
        GenerationId,
        size::counted,
        state::{Held, Reason},
        view::View,
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{
        Source,
        door::{Door, SOON},
    },
    status::{Attempt, Phase, VERSION},
};

/// Boots: from whatever is on disk to the generation to serve, or to *held*. Dropped at any moment (the
/// supervisor was told to stop), the next boot finds its way.
pub(super) async fn boot(instance: &Rc<Instance>, door: &Rc<Door>, attempt: Attempt) -> State {
    let _data = instance.data_mutex.lock().await;
    let before = instance.publisher.status().held.filter(|_| attempt == Attempt::Recheck);
    match try_to(instance, door, attempt).await {
        Ok(state) => state,
        Err(stuck) => {
            let held = held::held(instance, stuck).await;
            // The same as before, since when it was held.
            let same = before.filter(|before| held::is_same_failure(&held.failure, &before.failure));
            let ways_out = held.ways_out.clone();
            State::Hold(same.map_or(held, |before| Box::new(Held { ways_out, ..before })))
        }
    }
}

async fn try_to(instance: &Rc<Instance>, door: &Rc<Door>, attempt: Attempt) -> Result<State, Stuck> {
    instance.publisher.enter(Phase::Starting(attempt));
    let checking = |failure| Stuck::before_a_commit(failure, "checking the data directory");
    let view = start::look(instance).await.map_err(checking)?;
    if attempt != Attempt::Requested
        && let Some(held) = held::remembered(instance).await.map_err(checking)?
    {
        return Ok(State::Hold(held));
    }

    instance.publisher.enter(Phase::Planning);
    tracing::info!(target: "Migrate", "Checking database state...");
    let generation = match decide::decide(&view) {
        Decision::Hold(failure) => {
            let stuck = Stuck::before_a_commit(failure, "finding the live generation");
            return Err(Stuck { view: Some(view), ..stuck });
        }
        Decision::FirstStart => {
            let doing = "setting up the first generation".to_owned();
            make_next(instance, door, view, Reason::FirstStart, None, doing).await?
        }
        Decision::Live(live) => {
            instance.publisher.update(|status| status.live = Some(live));
            match pending(instance, &view, live).await {
                Err(failure) => {
                    let stuck = Stuck::before_a_commit(failure, format!("checking generation {live}"));
                    return Err(Stuck { view: Some(view), ..stuck });
                }
                Ok((0, damage)) if damage.is_some() || view.reindex => {
                    reindex(instance, door, view, live, damage).await?
                }
                Ok((0, _)) => live,
                Ok((count, _)) => {
                    let migrations = counted(count as u64, "migration", "migrations");
                    let doing = format!("upgrading generation {live} to v{VERSION} ({migrations})");
                    make_next(instance, door, view, Reason::Upgrade, Some(live), doing).await?
                }
            }
        }
    };
    instance.publisher.update(|status| status.live = Some(generation));
    Ok(State::Serve(generation))
}

/// Finds out how many migrations are pending on the live generation, and what is damaged in it, perhaps only its indexes.
async fn pending(instance: &Instance, view: &View, live: GenerationId) -> Result<(usize, Option<Failure>), Failure> {
    let unclean = view.generations.iter().any(|generation| generation.id == live && generation.unclean);
    let (status, damage) = match plan::ask(instance, live, unclean).await {
        // Perhaps only its indexes are damaged: a clone of it shows that.
        Err(damage) if unclean && damage.cause == Cause::Damaged => {
            (plan::ask(instance, live, false).await.map_err(|_| damage.clone())?, Some(damage))
        }
        asked => (asked?, None),
    };
    point("plan.status")?;
    for migration in &status.applied {
        tracing::info!(target: "Migrate", "Skipping: {}", migration.name);
    }
    match plan::plan(&status, view, live) {
        Plan::Nothing { drift } => {
            drift.into_iter().for_each(|drift| instance.publisher.note(drift));
            tracing::info!(target: "Migrate", "All migrations complete!");
            Ok((0, damage))
        }
        Plan::Refuse(failure) => Err(failure),
        Plan::Upgrade { count } => Ok((count, damage)),
    }
}

/// Goes over to a clone of the live generation with new indexes, though nothing is pending. Where that was only because a backup
/// found the indexes damaged (no `damage` of the database itself), and it cannot be done, the live one serves on.
async fn reindex(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    view: View,
    live: GenerationId,
    damage: Option<Failure>,
) -> Result<GenerationId, Stuck> {
    tracing::warn!(target: "Supervisor", "generation {live} is damaged, perhaps only in its indexes: checking a clone of it");
    let doing = format!("checking generation {live}");
    match make_next(instance, door, view, Reason::Upgrade, Some(live), doing).await {
        Err(stuck) if damage.is_none() && !stuck.commit_unknown => {
            instance
                .publisher
                .note(format!("the indexes of generation {live} could not be built anew: {}", stuck.failure));
            Ok(live)
        }
        made => made,
    }
}

/// Makes the next generation, from the live one or from nothing, and commits it.
async fn make_next(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    view: View,
    reason: Reason,
    live: Option<GenerationId>,
    doing: String,
) -> Result<GenerationId, Stuck> {
    door.open_after(SOON);
    let made = async {
        let checkpointed = match live {
            Some(live) => {
                App::is_of_this_version(instance).await?;
                Some(generation::checkpoint(instance, live, false).await?)
            }
            None => None,
        };
        let source = live.map_or(Source::Nothing, Source::Generation);
        let target = decide::next(&view)?;
        let prepared = generation::prepare(instance, reason, source, target).await?;
        generation::complete(instance, &prepared, live, checkpointed).await
    };
    match made.await {
        Ok(generation) => Ok(generation),
        Err(incomplete) => {
            let commit_unknown = matches!(incomplete, Incomplete::Unknown(_));
            let failure = generation::clean_up(instance, incomplete).await;
            Err(Stuck { failure, doing, commit_unknown, view: Some(view) })
        }
    }
}
