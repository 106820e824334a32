//! How does a supervisor run from its first signal to its last exit status?
//!
//! One loop over `Next`: boot, serve, hold, or go over to a restored generation. Whatever it does, a stop that
//! is wanted ends it.

pub mod alone;
pub mod backup;
pub mod backup_scheduler;
pub mod boot;
pub mod decide;
pub mod generation;
pub mod held;
pub mod hold;
pub mod migrate;
pub mod ordered;
pub mod plan;
pub mod prove;
pub mod serve;
pub mod start;
pub mod systemd;
pub mod update_check;

use std::rc::Rc;

use serde_json::Value;
use tokio::task::LocalSet;

use crate::{
    app::lifecycle::point,
    config::Config,
    control::{orders::Orders, server},
    data::{
        GenerationId,
        state::Held,
        view::{self, Live},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::door::Door,
    process::{
        sandbox::rules,
        signals::{Request, Signals},
        spawn,
    },
    status::{Initiator, Phase, VERSION},
};

use boot::Booted;
use generation::Incomplete;
use ordered::Desk;
use serve::Outcome;

/// Which try a boot is.
enum Try {
    /// The first one of this start.
    First,
    /// The operator asked for another.
    Asked,
    /// The cause may have passed; until it has, this stays what is told.
    Recheck(Box<Held>),
}

/// What the loop does next.
enum Next {
    Boot(Try),
    Serve(GenerationId),
    Hold(Box<Held>),
    /// Go over to what a restore has prepared; if that fails, go back.
    Switch(generation::Prepared, Box<Next>),
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
///
/// # Errors
/// The future's own, or that there is no runtime to be had.
pub fn on_this_thread<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::io("cannot start the runtime", &error))?;
    LocalSet::new().block_on(&runtime, work)
}

/// Becomes the subreaper, and takes signals from here on.
///
/// # Errors
/// When there is no descriptor for them.
pub fn take_signals(instance: &Rc<Instance>) -> Result<(), Failure> {
    spawn::check_descriptors()?;
    // Outside a container orphans would go to the init of the system, out of our sight. PID 1 gets them anyway.
    if let Err(errno) = nix::sys::prctl::set_child_subreaper(true) {
        instance.board.note(format!("orphans of the app cannot be adopted: {}", errno.desc()));
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
                    if let Some(app) = instance.app.get() {
                        let _ = nix::sys::signal::kill(app, signal);
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
    see_processes()?;
    tracing::info!(
        target: "Supervisor",
        "Hearth v{VERSION}, data in {}, as uid {} gid {}",
        instance.data.path().display(), nix::unistd::geteuid(), nix::unistd::getegid()
    );
    instance.programs.notes().into_iter().for_each(|note| instance.board.note(note));
    let own = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    if let Some(warning) = wished_ids(std::env::var("PUID").ok(), std::env::var("PGID").ok(), own) {
        tracing::warn!(target: "Supervisor", "{warning}");
    }
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
    let mut desk = Desk::new(taken);
    tokio::task::spawn_local(backup_scheduler::keep(Rc::clone(instance), orders.clone()));
    tokio::task::spawn_local(update_check::keep(Rc::clone(instance)));
    let mut next = Next::Boot(Try::First);
    loop {
        next = match next {
            Next::Boot(which) => {
                open_control(instance, &mut control);
                door.open_after(serve::GAP);
                let again = !matches!(which, Try::First);
                instance.board.recheck(matches!(which, Try::Recheck(_)));
                let next = tokio::select! {
                    biased;
                    () = instance.stopping() => Next::Exit(0),
                    booted = boot::boot(instance, &door, again) => match (booted, which) {
                        (Booted::Serve(generation), _) => Next::Serve(generation),
                        // The same as before, since when it was held.
                        (Booted::Hold(held), Try::Recheck(before)) if held.failure == before.failure => Next::Hold(before),
                        (Booted::Hold(held), _) => Next::Hold(held),
                    },
                };
                // The lock may have been taken only now.
                open_control(instance, &mut control);
                next
            }
            Next::Serve(generation) => serve(instance, &door, generation, &mut desk).await,
            Next::Hold(held) => hold::hold(instance, &door, held, &mut desk).await,
            Next::Switch(prepared, back) => {
                tokio::select! {
                    biased;
                    () = instance.stopping() => Next::Exit(0),
                    next = switch(instance, &door, &mut desk, prepared, *back) => next,
                }
            }
            Next::Exit(status) => {
                instance.board.enter(Initiator::Boot, Phase::Stopping);
                drop(desk);
                door.close().await;
                leave_nothing(instance).await;
                rules::forget_temporary(&instance.data);
                if let Some(socket) = instance.identity.take() {
                    socket.forget();
                }
                tracing::info!(target: "Supervisor", "stopped");
                return Ok(status);
            }
        };
    }
}

/// Returns what to say to whoever sets `PUID` or `PGID`, as images want it that start as root and go over to another
/// user: this one never does. Nothing, where it runs as that user anyway.
fn wished_ids(uid: Option<String>, gid: Option<String>, own: (u32, u32)) -> Option<String> {
    let names = match (&uid, &gid) {
        (None, None) => return None,
        (Some(_), Some(_)) => "PUID and PGID are",
        (Some(_), None) => "PUID is",
        (None, Some(_)) => "PGID is",
    };
    let number = |id: Option<String>| id.and_then(|id| id.parse::<u32>().ok());
    let (uid, gid) = (number(uid), number(gid));
    if (uid.unwrap_or(own.0), gid.unwrap_or(own.1)) == own {
        return None;
    }
    let user = match (uid, gid) {
        (Some(uid), Some(gid)) => format!("{uid}:{gid}"),
        (Some(uid), None) => uid.to_string(),
        (None, gid) => format!("{}:{}", own.0, gid.unwrap_or(own.1)),
    };
    Some(format!(
        "{names} not used, since Hearth never runs as root to become another user; give the container its user with: \
         user: \"{user}\" (docker run: --user {user})"
    ))
}

/// Checks that /proc shows this process's own PID namespace: processes are looked up there, and signalled by what is
/// found.
fn see_processes() -> Result<(), Failure> {
    let seen = std::fs::read_link("/proc/self").ok().and_then(|link| link.to_str()?.parse().ok());
    if seen == Some(std::process::id()) {
        return Ok(());
    }
    Err(Failure::new(Cause::Configuration, "/proc is not mounted, or shows the processes of another PID namespace")
        .hint("mount it for this namespace: mount -t proc proc /proc (unshare does it with --mount-proc)"))
}

/// Opens the control socket, once the lock is held: without it, a socket that lies there is another supervisor's.
fn open_control(instance: &Rc<Instance>, control: &mut Option<(Orders, Value)>) {
    if instance.lock.get().is_none() {
        return;
    }
    let Some((orders, shown)) = control.take() else { return };
    if let Err(failure) = server::open(instance, orders.clone(), shown.clone()) {
        instance.board.note(failure.to_string());
        *control = Some((orders, shown));
    }
}

/// Waits until what was killed on the way is gone, so that "stopped" means that nothing runs any more.
async fn leave_nothing(instance: &Instance) {
    let gone = async {
        while !instance.reaper.children().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        crate::app::lifecycle::end_strays(instance).await;
    };
    // A process that hangs in the kernel (a disk that does not answer) is not waited for.
    let _ = crate::process::deadline::within(std::time::Duration::from_secs(2), gone).await;
}

async fn serve(instance: &Rc<Instance>, door: &Rc<Door>, generation: GenerationId, desk: &mut Desk) -> Next {
    let tidy = {
        let instance = Rc::clone(instance);
        move || {
            let instance = Rc::clone(&instance);
            drop(tokio::task::spawn_local(async move {
                generation::tidy(instance).await;
            }));
        }
    };
    match serve::serve(instance, door, generation, desk, tidy).await {
        Outcome::Stopped(status) => Next::Exit(status),
        Outcome::Switch(prepared) => Next::Switch(prepared, Box::new(Next::Serve(generation))),
        Outcome::CrashLoop(failure) => {
            let view = view::look(&instance.data).ok();
            let doing = format!("serving generation {generation}");
            Next::Hold(Box::new(held::held(instance, failure, doing, view.as_ref()).await))
        }
    }
}

/// Goes over to a restored generation; the app is stopped. If it fails, what served before serves on.
async fn switch(
    instance: &Rc<Instance>,
    door: &Rc<Door>,
    desk: &mut Desk,
    prepared: generation::Prepared,
    back: Next,
) -> Next {
    door.open().await;
    let data_mutex = instance.data_mutex.lock().await;
    match go_over(instance, &prepared).await {
        Ok(generation) => {
            drop(data_mutex);
            instance.board.update(|status| status.live = Some(generation));
            desk.finish(instance, Ok(format!("generation {generation} is live")));
            Next::Serve(generation)
        }
        Err(incomplete) => {
            let incomplete = generation::discard(instance, incomplete).await;
            drop(data_mutex);
            let known = matches!(incomplete, Incomplete::Undone(_));
            let failure = incomplete.failure();
            desk.finish(instance, Err(failure.clone()));
            let view = view::look(&instance.data).ok();
            match back {
                // What the link says is served, and nothing else.
                Next::Serve(generation)
                    if known && view.as_ref().is_some_and(|view| view.live == Live::Generation(generation)) =>
                {
                    Next::Serve(generation)
                }
                Next::Hold(held) if known => Next::Hold(held),
                _ => {
                    let doing = format!("restoring generation {}", prepared.target);
                    Next::Hold(Box::new(held::held(instance, failure, doing, view.as_ref()).await))
                }
            }
        }
    }
}

async fn go_over(instance: &Rc<Instance>, prepared: &generation::Prepared) -> Result<GenerationId, Incomplete> {
    let live = match view::look(&instance.data)?.live {
        Live::Generation(live) => Some(live),
        _ => None,
    };
    let checkpointed = match live {
        None => None,
        Some(live) => match generation::checkpoint(instance, live, true).await {
            Ok(checkpointed) => Some(checkpointed),
            Err(failure) if failure.cause == Cause::Busy => return Err(failure.into()),
            // A damaged database is a reason to restore, not one against it. It stays behind as it is.
            Err(failure) => {
                tracing::warn!(target: "Supervisor", "generation {live} is left behind as it is: {failure}");
                None
            }
        },
    };
    generation::complete(instance, prepared, live, checkpointed).await
}

/// Tells a failure to the log: its sentence, and its hint on a line of its own.
pub fn tell(failure: &Failure) {
    tracing::error!(target: "Supervisor", hint = failure.hint, "{}", failure.message);
}

#[cfg(test)]
mod tests {
    use super::wished_ids;

    #[test]
    fn whoever_sets_puid_and_pgid_is_told_of_user() {
        let told = |uid: Option<&str>, gid: Option<&str>| {
            wished_ids(uid.map(str::to_owned), gid.map(str::to_owned), (1001, 1001))
        };
        assert_eq!(told(None, None), None);
        let both = told(Some("99"), Some("100")).unwrap();
        assert!(both.starts_with("PUID and PGID are not used, "), "{both}");
        assert!(both.contains("user: \"99:100\"") && both.contains("--user 99:100"), "{both}");
        assert!(told(Some("99"), None).unwrap().contains("PUID is not used"));
        assert!(told(Some("99"), None).unwrap().contains("user: \"99\""));
        assert!(told(None, Some("100")).unwrap().contains("user: \"1001:100\""));
        assert_eq!(told(Some("1001"), Some("1001")), None, "it is so already");
    }
}
