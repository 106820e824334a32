//! Does the new app work on the new generation?
//!
//! It runs there in probation, on the private socket only: it tests itself, says that it is ready, answers a few
//! health checks, and ends when told to. Only then may the generation become the live one.

use std::{path::Path, rc::Rc, time::Duration};

use nix::sys::signal::Signal;
use tokio::time::sleep;

use crate::{
    app::{
        cause,
        health::Verdict,
        lifecycle::{App, Mode, point},
    },
    data::state::Reason,
    failure::Failure,
    instance::Instance,
    process::reaper::Exit,
};

/// How many health checks in a row it must answer well.
const CHECKS: u32 = 3;
/// How long between them: long enough to see an app that falls over right after its start.
const BETWEEN: Duration = Duration::from_millis(100);

/// Returns how long to wait after a health check. On a first start there is nothing to lose that a later start would not
/// find: good answers follow each other. An app that is not well is always given the time.
fn pause(mode: Mode, well: bool) -> Duration {
    if well && mode == Mode::Probation(Reason::FirstStart) { Duration::ZERO } else { BETWEEN }
}

/// Proves the app on this database.
///
/// # Errors
/// [`crate::failure::Cause::Unproven`] with what the app did, or why it could not be started; a cause that passes, if there is one.
pub async fn prove(instance: &Rc<Instance>, database: &Path, mode: Mode) -> Result<(), Failure> {
    match tried(instance, database, mode).await {
        Ok(()) => Ok(()),
        Err(failure) => Err(cause::passing(instance, failure).await),
    }
}

async fn tried(instance: &Rc<Instance>, database: &Path, mode: Mode) -> Result<(), Failure> {
    let app = App::start(instance, database, mode).await?;
    point("prove.launched")?;
    app.until_ready().await?;
    point("prove.ready")?;
    let mut well = 0;
    let mut badly = 0;
    while well < CHECKS {
        let verdict = tokio::select! {
            biased;
            exit = app.child.wait() => {
                let (how, words) = app.ended(exit).await;
                return Err(Failure::new(app.shown_by(exit), format!("the app {how} right after it had said that it was ready{words}")));
            }
            verdict = App::ask(Rc::clone(&app.private), Rc::clone(instance)) => verdict?,
        };
        let (cause, why) = match verdict {
            Verdict::Serving(..) => {
                well += 1;
                sleep(pause(mode, true)).await;
                continue;
            }
            Verdict::Silent(why) => (app.shown(false), why),
            Verdict::Unfit { why, damaged } => (app.shown(damaged), why),
        };
        well = 0;
        badly += 1;
        if badly >= instance.config.health.failures {
            app.stop(Signal::SIGTERM).await;
            return Err(Failure::new(cause, format!("the app says that it is ready, but is not healthy: {why}")));
        }
        sleep(pause(mode, false)).await;
    }
    let exit = app.stop(Signal::SIGTERM).await;
    if exit != Exit::Code(0) {
        return Err(Failure::new(
            app.shown_by(exit),
            format!("the app {exit} when it was told to end after its probation"),
        ));
    }
    point("prove.stopped")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_good_answers_of_a_first_start_follow_each_other_without_a_pause() {
        let upgrade = Mode::Probation(Reason::Upgrade);
        let restore = Mode::Probation(Reason::Restore);
        assert_eq!(pause(Mode::Probation(Reason::FirstStart), true), Duration::ZERO);
        assert_eq!(pause(Mode::Probation(Reason::FirstStart), false), BETWEEN);
        for mode in [upgrade, restore, Mode::Drill] {
            assert_eq!((pause(mode, true), pause(mode, false)), (BETWEEN, BETWEEN), "{mode:?}");
        }
    }
}
