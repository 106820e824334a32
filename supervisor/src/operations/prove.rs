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
        proof::{Meant, Proof},
    },
    data::state::Reason,
    failure::{Cause, Failure},
    instance::Instance,
    process::{programs::AppProgram, reaper::Exit},
    status::{VERSION, now},
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

/// With what an upgrade is compared.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The last good app.
    app: Rc<AppProgram>,
    /// The differences in what people see that the release or the operator means.
    meant: Vec<Meant>,
}

impl Comparison {
    /// Compares with this app, but for what the release and the operator mean.
    pub fn new(app: &Rc<AppProgram>, release: &[Meant], accepted: &[String]) -> Self {
        let by_the_operator =
            accepted.iter().map(|figure| Meant { figure: figure.clone(), reason: "accepted by the operator".into() });
        Self { app: Rc::clone(app), meant: release.iter().cloned().chain(by_the_operator).collect() }
    }
}

/// What people saw before an upgrade, as the last good app says it.
#[derive(Clone, Debug)]
pub struct Before {
    at: String,
    proof: Proof,
    /// The differences that are none.
    meant: Vec<Meant>,
}

/// Asks the last good app what people see in this database, which is not migrated yet. Where it cannot say, nothing is compared, and that
/// is noted: it says nothing of the upgrade.
pub async fn before(instance: &Rc<Instance>, comparison: Comparison, database: &Path, mode: Mode) -> Option<Before> {
    let Comparison { app, meant } = comparison;
    let at = now();
    let asked = async {
        let app = App::start(instance, &app, database, mode).await?;
        app.until_ready().await?;
        let proof = app.proof(&at).await;
        app.stop(Signal::SIGTERM).await;
        proof
    };
    match asked.await {
        Ok(proof) => proof.map(|proof| Before { at, proof, meant }),
        Err(failure) => {
            let version = app.version(VERSION);
            instance.publisher.note(format!(
                "v{version} could not say what people see before the upgrade, so nothing is compared: {failure}"
            ));
            None
        }
    }
}

/// Proves the app on this database, and that people see there what they saw before.
///
/// # Errors
/// [`crate::failure::Cause::Unproven`] with what the app did, or why it could not be started; a cause that passes, if there is one.
pub async fn prove(
    instance: &Rc<Instance>,
    app: &Rc<AppProgram>,
    database: &Path,
    mode: Mode,
    before: Option<&Before>,
) -> Result<(), Failure> {
    match tried(instance, app, database, mode, before).await {
        Ok(()) => Ok(()),
        Err(failure) => Err(cause::passing(instance, failure).await),
    }
}

async fn tried(
    instance: &Rc<Instance>,
    program: &Rc<AppProgram>,
    database: &Path,
    mode: Mode,
    before: Option<&Before>,
) -> Result<(), Failure> {
    let app = App::start(instance, program, database, mode).await?;
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
            verdict = app.question() => verdict?,
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
    if let Some(before) = before {
        let compared = tokio::select! {
            biased;
            exit = app.child.wait() => {
                let (how, words) = app.ended(exit).await;
                Err(Failure::new(app.shown_by(exit), format!("the app {how} while it said what people see{words}")))
            }
            compared = compare(&app, before) => compared,
        };
        if let Err(failure) = compared {
            app.stop(Signal::SIGTERM).await;
            return Err(failure);
        }
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

/// Compares what people see with what they saw before.
///
/// # Errors
/// [`Cause::Unproven`], with the first difference and how many more there are.
async fn compare(app: &App, before: &Before) -> Result<(), Failure> {
    let Some(after) = app.proof(&before.at).await? else { return Ok(()) };
    let differences = before.proof.differences(&after, &before.meant);
    let Some(first) = differences.first() else {
        tracing::info!(target: "Supervisor", "v{} and v{} agree in {} figures of what people see", before.proof.version, after.version, before.proof.len());
        return Ok(());
    };
    differences
        .iter()
        .for_each(|difference| tracing::warn!(target: "Supervisor", "people would see something else: {difference}"));
    let more = match differences.len() - 1 {
        0 => String::new(),
        more => format!(" (and {more} more)"),
    };
    Err(Failure::new(
        Cause::Unproven,
        format!("people would not see what v{} shows them: {first}{more}", before.proof.version),
    )
    .hint("if it is meant: supervisor resume --accept '<what differs>'; the log has all of them"))
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
