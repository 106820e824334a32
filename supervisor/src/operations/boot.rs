//! How does a household's data come to this version, or stay exactly as it was?
//!
//! A boot looks ([`start::look`], [`decide`], [`plan`]). Where migrations are pending, or only indexes are damaged, it makes the next
//! generation ([`generation`]).

use std::rc::Rc;

use super::{
    State,
    decide::{self, Decision},
    fallback::{self, Action, Event, Start},
    generation::{self, How},
    held::{self, Stuck},
    kept,
    plan::{self, Plan},
    start, upgrade,
};
use crate::{
    app::lifecycle::point,
    data::{
        GenerationId,
        programs::{self, Served},
        size::counted,
        state::{Held, Reason},
        tries,
        view::View,
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Source, door::Door},
    process::programs::AppProgram,
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
    // Whatever served before this: which one does is decided anew.
    instance.serve_with(&instance.programs.app);
    instance.publisher.update(|status| status.fallback = None);
    let checking = |failure| Stuck::before_a_commit(failure, "checking the data directory");
    let view = start::look(instance).await.map_err(checking)?;
    if attempt != Attempt::Requested
        && let Some(held) = held::remembered(instance).await.map_err(checking)?
    {
        return Ok(match serve_in_spite_of(instance, door, &view, &held).await? {
            Some(generation) => State::Serve(generation),
            None => State::Hold(held),
        });
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
            generation::make(instance, door, How::by_the_image(instance, Reason::FirstStart), None, doing).await?
        }
        Decision::Live(live) => {
            instance.publisher.update(|status| status.live = Some(live));
            from_live(instance, door, view, live, attempt).await?
        }
    };
    instance.publisher.update(|status| status.live = Some(generation));
    Ok(State::Serve(generation))
}

/// Serves with the last good app what an earlier start was held for, where that was this image's upgrade, and that app could not be started
/// then and can be now.
async fn serve_in_spite_of(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    view: &View,
    held: &Held,
) -> Result<Option<GenerationId>, Stuck> {
    let tried = upgrade::earlier_try(instance).await.ok().flatten();
    // Held for something else since, such as a restore or that app itself: that stays.
    let Some(tried) = tried.filter(|tried| tried.failure == held.failure) else { return Ok(None) };
    let Decision::Live(live) = decide::decide(view) else { return Ok(None) };
    let Ok((status, damage)) = look_into(instance, view, live).await else { return Ok(None) };
    match kept::last_good(instance, status.floor.as_deref()).await {
        Some(kept) => {
            let failure = Some(tried.failure);
            let generation = upgrade::serve_kept(instance, door, live, &kept, damage.is_some(), failure).await?;
            instance.publisher.update(|status| status.live = Some(generation));
            Ok(Some(generation))
        }
        None => Ok(None),
    }
}

/// Brings the live generation to this version, or has the last good one serve it.
async fn from_live(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    view: View,
    live: GenerationId,
    attempt: Attempt,
) -> Result<GenerationId, Stuck> {
    let checking = format!("checking generation {live}");
    let stuck = |failure| Stuck::before_a_commit(failure, checking.clone());
    let served = kept::readable(instance, programs::read(&instance.data)).map_err(stuck)?.served;
    let (status, damage) = match look_into(instance, &view, live).await {
        Ok(found) => found,
        Err(failure) => {
            let kept = kept_without_a_migrator(instance, live, served, &failure).await;
            return in_spite_of(instance, door, live, kept, false, Stuck { view: Some(view), ..stuck(failure) }).await;
        }
    };
    let accepted = kept::readable(instance, tries::read(&instance.data)).map_err(stuck)?.accepted;
    let planned = plan::plan(&status, &view, live, &accepted);
    if let Plan::Nothing { drift } = &planned {
        drift.iter().for_each(|drift| instance.publisher.note(drift));
        tracing::info!(target: "Migrate", "All migrations complete!");
        if damage.is_some() || view.reindex {
            return reindex(instance, door, live, damage).await;
        }
    }
    let is_same = !is_other_program(instance, &view, served).await.map_err(stuck)?;
    let mut refused = None;
    let (start, count) = match planned {
        Plan::Nothing { .. } if is_same => (Start::SameImage, 0),
        Plan::Nothing { .. } => (Start::OtherImage, 0),
        Plan::Upgrade { count } => (Start::OtherImage, count),
        Plan::Newer { is_served: true, .. } if is_same => (Start::SameImage, 0),
        Plan::Newer { is_served: true, .. } => (Start::NewerAboveFloor, 0),
        Plan::Newer { failure, .. } => {
            refused = Some(failure);
            (Start::NewerBelowFloor, 0)
        }
        Plan::Refuse(failure) => {
            let kept = kept::last_good(instance, status.floor.as_deref()).await;
            return in_spite_of(instance, door, live, kept, damage.is_some(), stuck(failure)).await;
        }
    };
    let earlier = match start {
        Start::OtherImage if attempt != Attempt::Requested => {
            upgrade::earlier_try(instance).await.map_err(stuck)?.filter(|tried| !tried.passes)
        }
        _ => None,
    };
    let start = if earlier.is_some() { Start::Tried } else { start };
    let kept = match start {
        Start::OtherImage | Start::Tried => kept::last_good(instance, status.floor.as_deref()).await,
        _ => None,
    };
    match (fallback::decide(Event::Start(start), kept.is_some()).0, kept) {
        (Action::ServeKept | Action::ServeKeptAndRehearse, Some(kept)) => {
            let failure = earlier.map(|tried| tried.failure);
            upgrade::serve_kept(instance, door, live, &kept, damage.is_some(), failure).await
        }
        (Action::Upgrade, _) => {
            let doing = match count {
                0 => format!("trying v{VERSION} on generation {live}"),
                count => {
                    let migrations = counted(count as u64, "migration", "migrations");
                    format!("upgrading generation {live} to v{VERSION} ({migrations})")
                }
            };
            let mut how = How::by_the_image(instance, Reason::Upgrade);
            how.migrate = status.unknown.is_empty();
            how.accepted = accepted;
            let made = generation::make(instance, door, how, Some((live, Source::Generation(live))), doing).await;
            if start == Start::OtherImage {
                upgrade::remember_attempt(instance, made.as_ref().err()).await;
            }
            made
        }
        (Action::Hold, _) => {
            let held = match (refused, earlier) {
                (None, Some(tried)) => {
                    let doing = format!("upgrading generation {live} to v{VERSION}");
                    Stuck { earlier: Some(tried.step), ..Stuck::before_a_commit(tried.failure, doing) }
                }
                (refused, _) => {
                    stuck(refused.unwrap_or_else(|| Failure::new(Cause::Unproven, "this version was tried and failed")))
                }
            };
            Err(Stuck { view: Some(view), ..held })
        }
        _ => Ok(live),
    }
}

/// Whether another app than the image's served last: as it was written down, or as state.json has it, which also a version writes that keeps
/// nothing. Where nobody wrote it down, none did.
async fn is_other_program(instance: &Instance, view: &View, served: Option<Served>) -> Result<bool, Failure> {
    let Some(served) = served.filter(|_| kept::is_on(instance)) else { return Ok(false) };
    let is_last = view.state.as_ref().is_none_or(|state| state.version == served.version);
    Ok(!is_last || !kept::served_last(instance, &served).await?)
}

/// Returns the last good app where the image's migrator could not even say what is pending: that app served this very data last, so that its
/// floor was looked at then. What is said of the data itself is for the operator.
async fn kept_without_a_migrator(
    instance: &Instance,
    live: GenerationId,
    served: Option<Served>,
    failure: &Failure,
) -> Option<Rc<AppProgram>> {
    let is_its_own = matches!(failure.cause, Cause::Launch | Cause::Interrupted | Cause::UnknownFormat);
    let served = served.filter(|served| is_its_own && served.generation == live)?;
    let kept = kept::last_good(instance, None).await?;
    kept.kept().is_some_and(|kept| kept.blake3 == served.blake3).then_some(kept)
}

/// Serves with the last good app what the image cannot be tried on; without one, it is held.
async fn in_spite_of(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    live: GenerationId,
    kept: Option<Rc<AppProgram>>,
    is_damaged: bool,
    stuck: Stuck,
) -> Result<GenerationId, Stuck> {
    let event = Event::AttemptFailed(fallback::class(stuck.failure.cause));
    match (fallback::decide(event, kept.is_some()).0, kept) {
        (Action::ServeKept, Some(kept)) => {
            upgrade::serve_kept(instance, door, live, &kept, is_damaged, Some(stuck.failure)).await
        }
        _ => Err(stuck),
    }
}

/// Finds out what is pending on the live generation, and what is damaged in it, perhaps only its indexes.
async fn look_into(
    instance: &Instance,
    view: &View,
    live: GenerationId,
) -> Result<(plan::Status, Option<Failure>), Failure> {
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
    Ok((status, damage))
}

/// Goes over to a clone of the live generation with new indexes, though nothing is pending. Where that was only because a backup
/// found the indexes damaged (no `damage` of the database itself), and it cannot be done, the live one serves on.
async fn reindex(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    live: GenerationId,
    damage: Option<Failure>,
) -> Result<GenerationId, Stuck> {
    tracing::warn!(target: "Supervisor", "generation {live} is damaged, perhaps only in its indexes: checking a clone of it");
    let doing = format!("checking generation {live}");
    let how = How::by_the_image(instance, Reason::Upgrade);
    match generation::make(instance, door, how, Some((live, Source::Generation(live))), doing).await {
        Err(stuck) if damage.is_none() && !stuck.commit_unknown => {
            instance
                .publisher
                .note(format!("the indexes of generation {live} could not be built anew: {}", stuck.failure));
            Ok(live)
        }
        made => made,
    }
}
