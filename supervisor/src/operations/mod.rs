//! How does a supervisor run from its first signal to its last exit status?
//!
//! As one state machine. What is done to the data is an *operation*: a boot (a first start, an upgrade, or nothing to do), a
//! restore, a backup, a verification, a pruning. Each is a row of steps, and [`Phase`] has all of them, and says of each whether it
//! is the supervisor's own or of an operation beside the serving app:
//!
//! | operation | its steps |
//! |---|---|
//! | boot | starting, recovering, planning; where something is pending: staging, migrating, proving, committing; serving |
//! | rehearsal | rehearsing, beside the app of the last good version; then, where it went well, the steps of a boot from staging on |
//! | restore | staging and migrating beside the serving app; the app stops; proving, committing; serving |
//! | backup | backing-up, drilling (where that is due), pruning, copying (to each destination) |
//! | verify | verifying, drilling (where that was asked for) |
//! | prune | pruning |
//! | remove | pruning, copying (to each destination, where the same is removed) |
//!
//! [`ordered::carry_out`] does an operation, for the supervisor and for a command without one ([`alone`]), and holds the data's mutex
//! meanwhile. The loop in `daemon` owns the `State`: it boots, serves, holds, goes over to what a restore has
//! prepared, or ends; each of these returns the state that follows. A transition is one call of [`crate::status::StatusPublisher::enter`], which logs and publishes it:
//! `status`, the maintenance page, systemd and the progress of commands are read off that.
//!
//! *Held* is the step that was reached, with the failure, what is known of the data, and the fingerprints of image and
//! settings ([`held`]). Until *staging* a boot only looks, so that the next start looks again; from there on it was an attempt,
//! which the same image with the same settings does not repeat by itself. One field of the status says whether the supervisor is held
//! and why; a boot that serves has cleared it.
//!
//! Which program serves, and what becomes of an upgrade that fails, is decided in [`fallback`], and carried out in [`upgrade`] with what
//! [`kept`] knows.
//!
//! Decisions are functions without I/O: [`decide`], [`plan`], [`fallback`], `held::is_repeated`, `held::ways_out`,
//! [`crate::app::policy`].

pub mod alone;
pub mod backup;
pub mod backup_scheduler;
pub mod backup_trial;
pub mod boot;
pub mod clean_up;
pub mod decide;
pub mod fallback;
pub mod generation;
pub mod held;
pub mod hold;
pub mod kept;
pub mod migrate;
pub mod ordered;
pub mod plan;
pub mod prove;
pub mod rehearse;
pub mod restore;
pub mod serve;
pub mod start;
pub mod systemd;
pub mod update_check;
pub mod upgrade;

use std::{rc::Rc, time::Duration};

use nix::unistd::Pid;
use serde_json::Value;
use tokio::task::LocalSet;

use crate::{
    app::lifecycle::point,
    config::Config,
    control::{orders::Orders, server},
    data::{GenerationId, state::Held},
    failure::{Cause, Failure},
    instance::Instance,
    jobs::door::Door,
    process::{
        sandbox::rules,
        signals::{Request, Signals},
        spawn,
    },
    status::{Attempt, Phase, VERSION},
};

use generation::Prepared;
use ordered::Operations;
use update_check::UpdateCheck;

/// What the supervisor does at a time.
enum State {
    /// Brings the data to this version.
    Boot(Attempt),
    /// Serves this generation.
    Serve(GenerationId),
    /// Waits for the operator.
    Hold(Box<Held>),
    /// Goes over to what a restore has prepared; if that fails, goes back.
    Switch(Prepared, Box<State>),
    /// Makes the next generation by the image's programs, which was rehearsed, and may take so long; the kept app, which served this one,
    /// has stopped for it.
    Upgrade(GenerationId, Duration),
    /// Ends, with this status.
    Exit(u8),
}

/// Runs the supervisor until it is told to stop; returns its exit status.
///
/// # Errors
/// A sentence when it could not even begin: no runtime, the lock in another's hands, the address taken.
pub fn run(config: Config, shown: Value) -> Result<u8, Failure> {
    on_this_thread(async move {
        let instance = Rc::new(Instance::new(config));
        take_signals(&instance)?;
        daemon(&instance, shown).await
    })
}

/// Runs a future on this thread alone, which also becomes the one that children hang on.
pub fn on_this_thread<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start the runtime", &error))?;
    LocalSet::new().block_on(&runtime, work)
}

/// Becomes the subreaper, and takes signals from here on.
pub fn take_signals(instance: &Rc<Instance>) -> Result<(), Failure> {
    spawn::check_descriptors()?;
    // Outside a container orphans would go to the init of the system, out of our sight. PID 1 gets them anyway.
    if let Err(errno) = nix::sys::prctl::set_child_subreaper(true) {
        instance.publisher.note(format!("orphans of the app cannot be adopted: {}", errno.desc()));
    }
    let signals = Signals::open().map_err(|error| Failure::io("cannot take signals", &error))?;
    let instance = Rc::clone(instance);
    tokio::task::spawn_local(async move {
        loop {
            match signals.next().await {
                Ok(Request::Child) => {
                    let orphans = instance.reaper.reap();
                    if orphans > 0 {
                        tracing::trace!(orphans, "reaped orphans");
                    }
                }
                Ok(Request::Stop(signal)) => {
                    if *instance.stop.borrow() == 0 {
                        tracing::info!(target: "Supervisor", "{} received, stopping", signal.as_str());
                        instance.stop_signal.set(signal);
                    }
                    instance.stop.send_modify(|level| *level += 1);
                }
                Ok(Request::Forward(signal)) => {
                    if let Some(app) = instance.publisher.status().app.pid {
                        let _ = nix::sys::signal::kill(Pid::from_raw(app), signal);
                    }
                }
                Err(error) => {
                    tracing::error!(target: "Supervisor", "signals cannot be read any more: {error}");
                    return;
                }
            }
        }
    });
    Ok(())
}

async fn daemon(instance: &Rc<Instance>, shown: Value) -> Result<u8, Failure> {
    point("run.started")?;
    start::see_processes()?;
    tracing::info!(
        target: "Supervisor",
        "Hearth v{VERSION}, data in {}, as uid {} gid {}",
        instance.data.path().display(), nix::unistd::geteuid(), nix::unistd::getegid()
    );
    instance.programs.notes().into_iter().for_each(|note| instance.publisher.note(note));
    start::warn_of_wished_ids();
    tokio::select! {
        biased;
        () = instance.stopping() => return Ok(0),
        checked = start::check_settings(instance) => checked?,
    }
    let locked = tokio::select! {
        biased;
        () = instance.stopping() => return Ok(0),
        locked = start::lock(instance) => locked,
    };
    match locked {
        Err(failure) if matches!(failure.cause, Cause::Busy | Cause::Configuration) => return Err(failure),
        // Without the lock nothing is touched, and boot comes to the same failure and holds.
        Ok(()) | Err(_) => {}
    }
    start::bind(instance)?;
    systemd::tell(instance);
    let (orders, taken) = Orders::channel();
    let mut control = Some((orders.clone(), shown));
    let door = Door::new(instance);
    let update_check = Rc::new(UpdateCheck::default());
    let mut operations = Operations::new(instance, &update_check, taken);
    tokio::task::spawn_local(backup_scheduler::keep(Rc::clone(instance), orders.clone()));
    tokio::task::spawn_local(upgrade::keep(Rc::clone(instance), orders));
    tokio::task::spawn_local(backup_trial::keep(Rc::clone(instance)));
    tokio::task::spawn_local(update_check.keep(Rc::clone(instance)));
    let mut state = State::Boot(Attempt::First);
    loop {
        state = match state {
            State::Boot(attempt) => {
                open_control(instance, &mut control);
                door.open_after(serve::GAP);
                let state = tokio::select! {
                    biased;
                    () = instance.stopping() => State::Exit(0),
                    state = boot::boot(instance, &door, attempt) => state,
                };
                // The lock may have been taken only now.
                open_control(instance, &mut control);
                state
            }
            State::Serve(generation) => serve::serve(instance, &door, generation, &mut operations).await,
            State::Hold(held) => {
                let held = if control.is_some() { held::out_of_reach(held) } else { held };
                hold::hold(instance, &door, held, &mut operations).await
            }
            State::Switch(prepared, back) => {
                tokio::select! {
                    biased;
                    () = instance.stopping() => State::Exit(0),
                    state = restore::switch(instance, &door, prepared, *back) => state,
                }
            }
            State::Upgrade(live, limit) => {
                tokio::select! {
                    biased;
                    () = instance.stopping() => State::Exit(0),
                    state = upgrade::switch(instance, &door, live, limit) => state,
                }
            }
            State::Exit(status) => {
                instance.publisher.enter(Phase::Stopping);
                drop(operations);
                door.close().await;
                leave_nothing(instance).await;
                rules::forget_temporary(&instance.data);
                instance.listeners.take().into_iter().for_each(|(_, socket)| socket.forget());
                tracing::info!(target: "Supervisor", "stopped");
                return Ok(status);
            }
        };
    }
}

/// Opens the control socket, once the lock is held: without it, a socket that lies there is another supervisor's.
fn open_control(instance: &Rc<Instance>, control: &mut Option<(Orders, Value)>) {
    if instance.lock.get().is_none() {
        return;
    }
    let Some((orders, shown)) = control.take() else { return };
    if let Err(failure) = server::open(instance, orders.clone(), shown.clone()) {
        instance.publisher.note(failure.to_string());
        *control = Some((orders, shown));
    }
}

/// Waits until what was killed on the way is gone, so that "stopped" means that nothing runs any more.
async fn leave_nothing(instance: &Instance) {
    let gone = async {
        while !instance.reaper.children().is_empty() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        crate::app::lifecycle::end_strays(instance).await;
    };
    // A process that hangs in the kernel (a disk that does not answer) is not waited for.
    let _ = crate::process::deadline::within(Duration::from_secs(2), gone).await;
}
