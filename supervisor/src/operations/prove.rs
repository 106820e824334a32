//! Does the new app work on the new generation?
//!
//! It runs there in probation, on the private socket only: it tests itself, says that it is ready, answers a few
//! health checks, and ends when told to. Only then may the generation become the live one.

use std::{path::Path, rc::Rc, time::Duration};

use nix::sys::signal::Signal;
use tokio::time::sleep;

use crate::{
    app::{
        health::Verdict,
        lifecycle::{App, Mode, point},
    },
    failure::{Cause, Failure},
    instance::Instance,
    process::reaper::Exit,
};

/// How many health checks in a row it must answer well.
const CHECKS: u32 = 3;
/// How long between them: long enough to see an app that falls over right after its start.
const BETWEEN: Duration = Duration::from_millis(100);

/// Proves the app on this database.
///
/// # Errors
/// [`Cause::Unproven`] with what the app did, or why it could not be started.
pub async fn prove(instance: &Rc<Instance>, database: &Path, mode: Mode) -> Result<(), Failure> {
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
                let how = app.ended(exit).await;
                return Err(Failure::new(app.shown_by(exit), format!("the app {how} right after it had said that it was ready")));
            }
            verdict = App::ask(Rc::clone(&app.private), Rc::clone(instance)) => verdict,
        };
        match verdict {
            Verdict::Serving(_) => well += 1,
            verdict @ (Verdict::Unfit(_) | Verdict::Silent(_)) => {
                well = 0;
                badly += 1;
                let (cause, why) = match verdict {
                    Verdict::Silent(why) => (app.shown_by_silence(), why),
                    Verdict::Unfit(why) | Verdict::Serving(why) => (Cause::Unproven, why),
                };
                if badly >= instance.config.health.failures {
                    app.stop(Signal::SIGTERM).await;
                    return Err(Failure::new(
                        cause,
                        format!("the app says that it is ready, but is not healthy: {why}"),
                    ));
                }
            }
        }
        sleep(BETWEEN).await;
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
