//! What happens while the supervisor is held?
//!
//! The container stays up, page and log and `status` say the way out, and it waits: for the operator, or for a
//! cause that passes by itself.

use std::rc::Rc;

use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::{
    Next, Try, held,
    ordered::{Desk, Event},
};
use crate::{
    control::orders::Order,
    data::state::{Held, WayOut},
    failure::{Cause, Failure},
    instance::Instance,
    jobs::door::Door,
    status::{Initiator, Phase},
};

/// How soon a cause that passes (space, permissions) is looked at again.
const AGAIN: Duration = Duration::from_secs(60);
/// How long a stop waits until it is written down why it was held.
const REMEMBER: Duration = Duration::from_secs(2);

/// Holds until something leads out.
pub(super) async fn hold(instance: &Rc<Instance>, door: &Rc<Door>, held: Box<Held>, desk: &mut Desk) -> Next {
    instance.board.enter(Initiator::Boot, Phase::Held);
    instance.board.update(|status| {
        status.held = Some((*held).clone());
        status.live = held.live;
    });
    // A further look that found the same is not told again.
    if !instance.board.is_recheck() {
        tell(&held);
    }
    instance.board.recheck(false);
    door.open().await;
    {
        let mut remember = std::pin::pin!(held::remember(instance, &held));
        tokio::select! {
            biased;
            () = instance.stopping() => {
                // Without it the same image would try again at its next start, so it is worth a moment.
                let _ = timeout(REMEMBER, remember).await;
                return Next::Exit(0);
            }
            () = &mut remember => {}
        }
    }
    let until = Instant::now() + AGAIN;
    loop {
        tokio::select! {
            biased;
            () = instance.stopping() => return Next::Exit(0),
            event = desk.next() => match event {
                Event::Order(Order::Resume(reply)) if desk.is_at_work() => reply.says(Err(desk.under_way(instance))),
                Event::Order(Order::Resume(reply)) => {
                    reply.done();
                    tracing::info!(target: "Supervisor", "trying again, as the operator asked");
                    return Next::Boot(Try::Asked);
                }
                Event::Order(Order::Restart(reply)) => reply.says(Err(Failure::new(
                    Cause::Busy,
                    "the supervisor is held, so there is no app to restart",
                ).hint("try again with: supervisor resume"))),
                Event::Order(order) => desk.take(instance, order),
                Event::Prepared(prepared) => return Next::Switch(prepared, Box::new(Next::Hold(held))),
                Event::Ended(outcome) => desk.finish(instance, outcome),
            },
            () = sleep_until(until), if held.failure.cause.passes() && !desk.is_at_work() => {
                return Next::Boot(Try::Recheck(held));
            }
        }
    }
}

/// Tells the log what happened and the ways out.
fn tell(held: &Held) {
    super::tell(&held.failure);
    let data = match held.live {
        Some(live) => format!("the data is safe in generation {live}, as it was"),
        None => "nothing was changed".to_owned(),
    };
    tracing::error!(target: "Supervisor", "held while {}; {data}. The ways out:", held.doing);
    for way in held.ways_out.iter().map(WayOut::on_the_machine) {
        tracing::error!(target: "Supervisor", "  {}  ({})", way.command, way.effect);
    }
}
