//! How does a household's data come to this version, or stay exactly as it was?
//!
//! [`super::start`] takes the lock and the socket; [`super::decide`] says, purely, what the data directory asks for; [`super::plan`] asks
//! the migrator what is pending; [`super::generation`] are the four steps to a new generation (stage, [`super::migrate`], [`super::prove`],
//! commit), the same for a first start, an upgrade and a restore; [`super::held`] finds the words when one of them fails.

use std::rc::Rc;

use super::{decide, generation, held, plan, start};
use crate::{
    app::lifecycle::point,
    data::{
        GenerationId,
        state::{Held, Reason},
        view::View,
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{
        Source,
        door::{Door, SOON},
    },
    process::clone3,
    status::{Initiator, Phase},
};

use decide::Decision;
use generation::Incomplete;
use plan::Plan;

/// What a boot came to.
pub enum Booted {
    /// This generation is to be served.
    Serve(GenerationId),
    /// The operator is needed; nothing was changed.
    Hold(Box<Held>),
}

/// Boots: from whatever is on disk to the generation to serve, or to *held*. Dropped at any moment (the
/// supervisor was told to stop), the next boot finds its way.
///
/// `again`: the operator, or time for a cause that passes, asks for another try in spite of a remembered *held*.
pub async fn boot(instance: &Rc<Instance>, door: &Rc<Door>, again: bool) -> Booted {
    let _at_work = instance.data_mutex.lock().await;
    match attempt(instance, door, again).await {
        Ok(booted) => booted,
        Err(stuck) => {
            let view = stuck.view.or_else(|| crate::data::view::look(&instance.data).ok());
            Booted::Hold(Box::new(held::held(instance, stuck.failure, stuck.doing, view.as_ref()).await))
        }
    }
}

/// Where a boot got stuck.
struct Stuck {
    failure: Failure,
    doing: String,
    view: Option<View>,
}

async fn attempt(instance: &Rc<Instance>, door: &Rc<Door>, again: bool) -> Result<Booted, Stuck> {
    let stuck = |doing: &str| {
        let doing = doing.to_owned();
        move |failure| Stuck { failure, doing, view: None }
    };
    instance.board.begin();
    let checking = "checking the data directory";
    let findings = start::preflight(instance).await.map_err(stuck(checking))?;
    tracing::debug!(filesystem = findings.filesystem, free_bytes = findings.free_bytes, "preflight done");
    if findings.means.is_whole() {
        tracing::info!(target: "Supervisor", "sandbox: {}", findings.means);
    }
    for note in findings.notes {
        instance.board.note(note);
    }
    if clone3::is_masked() {
        instance.board.note(clone3::NOTE);
    }

    instance.board.enter(Initiator::Boot, Phase::Recovering);
    // What a killed supervisor left running may still have the old database open.
    crate::app::lifecycle::end_strays(instance).await;
    let view: View = generation::recovered(instance).await.map_err(stuck("recovering from the last stop"))?;
    for trouble in view.trouble.iter().chain(&view.state_trouble) {
        instance.board.note(trouble.clone());
    }
    if !again && let Some(held) = held::remembered(instance).await.map_err(stuck(checking))? {
        return Ok(Booted::Hold(Box::new(held)));
    }

    instance.board.enter(Initiator::Boot, Phase::Planning);
    tracing::info!(target: "Migrate", "Checking database state...");
    let decision = decide::decide(&view);
    let with_view = |doing: String| {
        let view = view.clone();
        move |failure| Stuck { failure, doing, view: Some(view) }
    };
    let generation = match decision {
        Decision::Hold(failure) => return Err(with_view("finding the live generation".into())(failure)),
        Decision::FirstStart => {
            let doing = "setting up the first generation".to_owned();
            let made = upgrade(instance, door, &view, Reason::FirstStart, None).await;
            made.map_err(Incomplete::failure).map_err(with_view(doing))?
        }
        Decision::Live(live) => {
            instance.board.update(|status| status.live = Some(live));
            let unclean = view.generations.iter().any(|generation| generation.id == live && generation.unclean);
            let checking = || with_view(format!("checking generation {live}"));
            let (status, damage) = match plan::ask(instance, live, unclean).await {
                // Perhaps only its indexes are damaged: a clone of it shows that.
                Err(damage) if unclean && damage.cause == Cause::Damaged => {
                    (plan::ask(instance, live, false).await.map_err(|_| checking()(damage.clone()))?, Some(damage))
                }
                asked => (asked.map_err(checking())?, None),
            };
            point("plan.status").map_err(with_view(format!("checking generation {live}")))?;
            for migration in &status.applied {
                tracing::info!(target: "Migrate", "Skipping: {}", migration.name);
            }
            match plan::plan(&status, &view, live) {
                Plan::Nothing { drift } => {
                    drift.into_iter().for_each(|drift| instance.board.note(drift));
                    tracing::info!(target: "Migrate", "All migrations complete!");
                    match damage.is_some() || view.reindex {
                        true => reindex(instance, door, &view, live, damage).await.map_err(checking())?,
                        false => live,
                    }
                }
                Plan::Refuse(failure) => return Err(with_view(format!("checking generation {live}"))(failure)),
                Plan::Upgrade { count } => {
                    let migrations = if count == 1 { "migration" } else { "migrations" };
                    let doing =
                        format!("upgrading generation {live} to v{} ({count} {migrations})", crate::status::VERSION);
                    let made = upgrade(instance, door, &view, Reason::Upgrade, Some(live)).await;
                    made.map_err(Incomplete::failure).map_err(with_view(doing))?
                }
            }
        }
    };
    instance.board.update(|status| status.live = Some(generation));
    Ok(Booted::Serve(generation))
}

/// Goes over to a clone of the live generation with new indexes, though nothing is pending. Where that was only because a backup
/// found the indexes damaged (no `damage` of the database itself), and it cannot be done, the live one serves on.
async fn reindex(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    view: &View,
    live: GenerationId,
    damage: Option<Failure>,
) -> Result<GenerationId, Failure> {
    tracing::warn!(target: "Supervisor", "generation {live} is damaged, perhaps only in its indexes: checking a clone of it");
    match upgrade(instance, door, view, Reason::Upgrade, Some(live)).await {
        Err(Incomplete::Undone(failure)) if damage.is_none() => {
            instance.board.note(format!("the indexes of generation {live} could not be built anew: {failure}"));
            Ok(live)
        }
        made => made.map_err(Incomplete::failure),
    }
}

/// Makes the next generation, from the live one or from nothing, and commits it.
async fn upgrade(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    view: &View,
    reason: Reason,
    live: Option<GenerationId>,
) -> Result<GenerationId, Incomplete> {
    door.open_after(SOON);
    let made = async {
        let checkpointed = match live {
            Some(live) => Some(generation::checkpoint(instance, live, false).await?),
            None => None,
        };
        let source = live.map_or(Source::Nothing, Source::Generation);
        let prepared = generation::prepare(instance, Initiator::Boot, reason, source, decide::next(view)?).await?;
        generation::complete(instance, &prepared, live, checkpointed).await
    }
    .await;
    match made {
        Ok(generation) => Ok(generation),
        Err(incomplete) => Err(generation::discard(instance, incomplete).await),
    }
}
