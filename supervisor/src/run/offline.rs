//! How is a snapshot restored while no supervisor runs?
//!
//! By the command itself, under the lock: the same four steps.

use std::rc::Rc;

use crate::{
    boot::{decide, start, steps},
    config::Config,
    data::{
        GenerationId,
        state::Reason,
        view::{self, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Job, child},
    phase::Course,
};

/// Restores; returns the number of the new live generation.
///
/// # Errors
/// What went wrong; everything is as it was then.
pub fn restore(config: Config, snapshot: GenerationId) -> Result<GenerationId, Failure> {
    super::on_this_thread(async move {
        let instance = Rc::new(Instance::new(config));
        super::take_signals(&instance)?;
        tokio::select! {
            biased;
            () = instance.stopping() => Err(interrupted(&instance)),
            restored = under_the_lock(&instance, snapshot) => restored,
        }
    })
}

async fn under_the_lock(instance: &Rc<Instance>, snapshot: GenerationId) -> Result<GenerationId, Failure> {
    start::preflight(instance).await?;
    let view: View = child::run(instance, Job::Recover).await?;
    super::desk::restorable(&view, snapshot)?;
    let restored = async {
        let target = decide::next(&view)?;
        let prepared = steps::prepare(instance, Course::Boot, Reason::Restore, Some(snapshot), target).await?;
        super::go_over(instance, &prepared).await
    }
    .await;
    match restored {
        Ok(generation) => {
            steps::tidy(Rc::clone(instance)).await;
            Ok(generation)
        }
        Err(incomplete) => Err(steps::discard(instance, incomplete).await.failure()),
    }
}

/// Says what a Ctrl-C came to: before the commit everything is as it was, and after it nothing takes it back.
fn interrupted(instance: &Instance) -> Failure {
    let live = match view::live(&instance.data) {
        Ok(Live::Generation(live)) => format!("generation {live} is live"),
        _ => "there is no live generation".to_owned(),
    };
    Failure::new(Cause::Interrupted, format!("interrupted; {live}"))
        .hint("what was not finished goes at the next start; restore again if that is not the generation you wanted")
}
