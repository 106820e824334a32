//! What happens while the supervisor is held?
//!
//! The container stays up, and the page, the log and `status` show the ways out. It waits for the operator, or until the cause has
//! passed by itself.

use std::rc::Rc;

use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::{
    State, held,
    ordered::{Event, Operations},
    upgrade,
};
use crate::{
    data::state::{DataState, Held, WayOut},
    failure::{Cause, Failure},
    fault,
    instance::Instance,
    jobs::door::Door,
    status::{Attempt, Phase},
};

/// How soon a cause that passes (space, permissions) is looked at again.
const AGAIN: Duration = Duration::from_secs(60);
/// How long a stop waits until it is written down why it was held.
const REMEMBER: Duration = Duration::from_secs(2);

/// Holds until something leads out.
pub(super) async fn hold(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    held: Box<Held>,
    operations: &mut Operations,
) -> State {
    // A further look that found the same is not told again.
    if instance.publisher.status().held.as_ref() != Some(&held) {
        tell(&held);
    }
    instance.publisher.enter(Phase::Held(held.clone()));
    door.open().await;
    {
        let mut remember = std::pin::pin!(held::remember(instance, &held));
        tokio::select! {
            biased;
            () = instance.stopping() => {
                // Without it the same image would try again at its next start, so it is worth a moment.
                let _ = timeout(REMEMBER, remember).await;
                return State::Exit(0);
            }
            () = &mut remember => {}
        }
    }
    let mut until = Instant::now() + again();
    loop {
        tokio::select! {
            biased;
            () = instance.stopping() => return State::Exit(0),
            event = operations.next() => match event {
                Event::Resume(_, reply) if operations.is_under_way() => reply.says(Err(operations.under_way())),
                Event::Resume(accept, reply) => {
                    if !accept.is_empty() && let Err(failure) = upgrade::accept(instance, accept).await {
                        reply.says(Err(failure));
                        continue;
                    }
                    reply.done();
                    tracing::info!(target: "Supervisor", "trying again, as the operator asked");
                    return State::Boot(Attempt::Requested);
                }
                Event::Restart(reply) => reply.says(Err(Failure::new(
                    Cause::Busy,
                    "the supervisor is held, so there is no app to restart",
                ).hint("try again with: supervisor resume"))),
                // Nothing serves that it could take over from.
                Event::Upgrade(_) => {}
                Event::Prepared(prepared) => return State::Switch(prepared, Box::new(State::Hold(held))),
            },
            () = sleep_until(until), if held.failure.cause.passes() => {
                // Recovering would remove what a restore is staging.
                if !operations.is_under_way() {
                    return State::Boot(Attempt::Recheck);
                }
                until = Instant::now() + again();
            }
        }
    }
}

/// Returns how long it is until a cause that passes is looked at again.
fn again() -> Duration {
    fault::time("TEST_RECHECK", AGAIN)
}

/// Tells the log what happened and the ways out.
fn tell(held: &Held) {
    tracing::error!(target: "Supervisor", hint = held.failure.hint, "{}", held.failure.message);
    tracing::error!(target: "Supervisor", "held while {}; {}. The ways out:", held.doing, data(held));
    for way in held.ways_out.iter().map(WayOut::on_the_machine) {
        tracing::error!(target: "Supervisor", "  {}  ({})", way.command, way.effect);
    }
}

/// Says what is known of the data.
fn data(held: &Held) -> String {
    match (held.data.unwrap_or(DataState::Unchanged), held.live) {
        (DataState::Unknown, _) => "nothing was removed, but which generation is live is not known yet".to_owned(),
        (DataState::Written, Some(live)) => {
            format!("the data is safe in generation {live}, with everything that was written")
        }
        (_, Some(live)) => format!("the data is safe in generation {live}, as it was"),
        (_, None) => "nothing was changed".to_owned(),
    }
}
