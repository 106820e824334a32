//! How does a command carry out an operation while no supervisor runs?
//!
//! By itself, under the lock, in the same steps.

use std::{
    ffi::{CString, OsStr, OsString},
    os::unix::ffi::OsStrExt,
    rc::Rc,
    time::Duration,
};

use nix::unistd::{execv, fexecve};

use super::{
    clean_up::clean_up,
    generation, kept, on_this_thread,
    ordered::{Ending, Operations},
    rehearse::{self, Rehearsed},
    restore, start, take_signals,
    update_check::UpdateCheck,
};
use crate::{
    app::lifecycle::end_strays,
    config::Config,
    control::orders::{Operation, Orders},
    data::view::{self, Live},
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Job, child},
    process::signals,
    status::Status,
};

/// How often what nothing is told of is told that it goes on.
const LOOK: Duration = Duration::from_secs(1);

/// Has a job done that only looks: without the lock, beside a supervisor that may be running, confined like one of its own.
pub fn look<T: serde::de::DeserializeOwned>(config: Config, job: Job) -> Result<T, Failure> {
    beside(config, async move |instance: &Instance| {
        start::confinement(instance).await?;
        child::run(instance, job).await
    })
}

/// Checks the settings of a configuration as a start does, and starts nothing with it.
///
/// # Errors
/// [`Cause::Configuration`], with all that is wrong.
pub fn check_settings(config: Config) -> Result<(), Failure> {
    beside(config, async |instance: &Instance| start::check_settings(instance).await)
}

/// Tries the upgrade to this version on a copy of the live database, beside whatever runs on it.
///
/// # Errors
/// Why it would fail; what keeps it from being tried. Nothing was changed.
pub fn rehearse(config: Config) -> Result<Rehearsed, Failure> {
    let signals = |done: std::io::Result<()>| done.map_err(|error| Failure::io("cannot block signals", &error));
    signals(signals::block())?;
    let rehearsed = on_this_thread(async move {
        let instance = Rc::new(Instance::new(config));
        take_signals(&instance)?;
        let work = async {
            start::check_settings(&instance).await?;
            start::confinement(&instance).await?;
            rehearse::by_itself(&instance).await
        };
        let rehearsed = tokio::select! {
            biased;
            () = instance.stopping() => None,
            rehearsed = work => Some(rehearsed),
        };
        if let Some(rehearsed) = rehearsed {
            return rehearsed;
        }
        super::leave_nothing(&instance).await;
        let _ = child::run::<()>(&instance, Job::EndRehearsal).await;
        Err(Failure::new(Cause::Interrupted, "interrupted; nothing was changed"))
    });
    signals(signals::unblock())?;
    rehearsed
}

/// Becomes the app that serves this data: the image's, or the kept one of an earlier version. Returns only why it could not.
pub fn become_the_app<T>(config: Config, words: Vec<OsString>) -> Result<T, Failure> {
    let app = beside(config, async |instance: &Instance| {
        start::confinement(instance).await?;
        Ok(kept::that_served_last(instance).await?.unwrap_or_else(|| Rc::clone(&instance.programs.app)))
    })?;
    let path = app.program.path().display().to_string();
    let failed = |error: std::io::Error| Failure::io(format!("cannot start {path}"), &error);
    let zeroed = |word: &OsStr| CString::new(word.as_bytes()).map_err(|error| failed(error.into()));
    let arguments: Vec<CString> = std::iter::once(Ok(c"app".to_owned()))
        .chain(words.iter().map(|word| zeroed(word)))
        .collect::<Result<_, _>>()?;
    let done = match app.program.descriptor() {
        Some(descriptor) => {
            let environment: Vec<CString> = std::env::vars_os()
                .map(|(name, value)| zeroed(&[name.as_os_str(), value.as_os_str()].join(OsStr::new("="))))
                .collect::<Result<_, _>>()?;
            fexecve(descriptor, &arguments, &environment)
        }
        None => execv(&zeroed(app.program.path().as_os_str())?, &arguments),
    };
    match done {
        Err(errno) => Err(failed(errno.into())),
        Ok(never) => match never {},
    }
}

/// Has something done that touches no data, until a signal comes.
fn beside<T>(config: Config, work: impl AsyncFnOnce(&Instance) -> Result<T, Failure>) -> Result<T, Failure> {
    let signals = |done: std::io::Result<()>| done.map_err(|error| Failure::io("cannot block signals", &error));
    signals(signals::block())?;
    let found = super::on_this_thread(async move {
        let instance = Rc::new(Instance::new(config));
        super::take_signals(&instance)?;
        tokio::select! {
            biased;
            () = instance.stopping() => Err(Failure::new(Cause::Interrupted, "interrupted; nothing was changed")),
            found = work(&instance) => found,
        }
    });
    signals(signals::unblock())?;
    found
}

/// Does an operation; returns what came of it, and the document for programs. `tell` is called with each step and how far it
/// is.
///
/// # Errors
/// What went wrong, and what is done nonetheless.
pub fn run(
    config: Config,
    operation: Operation,
    tell: impl Fn(&Status) + 'static,
) -> (Result<String, Failure>, Option<serde_json::Value>) {
    let done = on_this_thread(async move {
        let instance = Rc::new(Instance::new(config));
        take_signals(&instance)?;
        let is_restore = matches!(operation, Operation::Restore(_));
        let told = async {
            let mut changes = instance.publisher.watch();
            // Also where nothing changes for long: that it goes on is worth telling.
            loop {
                if let Ok(Err(_)) = tokio::time::timeout(LOOK, changes.changed()).await {
                    return std::future::pending().await;
                }
                tell(&instance.publisher.status());
            }
        };
        let done = tokio::select! {
            biased;
            () = instance.stopping() => None,
            done = under_the_lock(&instance, operation) => Some(done),
            () = told => None,
        };
        let done = match done {
            Some(done) => done,
            None => Err(interrupted(&instance, is_restore).await),
        };
        Ok((done, instance.publisher.status().operation.and_then(|operation| operation.result)))
    });
    done.unwrap_or_else(|failure| (Err(failure), None))
}

async fn under_the_lock(instance: &Rc<Instance>, operation: Operation) -> Result<String, Failure> {
    start::check_settings(instance).await?;
    start::look(instance).await?;
    end_strays(instance).await;
    let mut operations = Operations::new(instance, &Rc::new(UpdateCheck::default()), Orders::channel().1);
    operations.begin(operation)?;
    match operations.ending().await {
        Ending::Ended(outcome) => outcome,
        Ending::Unprepared(failure) => Err(failure),
        Ending::Rehearsed(_, sentence) => Ok(sentence),
        Ending::Prepared(prepared) => match restore::go_over(instance, &prepared).await {
            Ok(live) => {
                clean_up(Rc::clone(instance)).await;
                Ok(format!("generation {live} is live; start the supervisor to serve it"))
            }
            Err(incomplete) => Err(generation::clean_up(instance, incomplete).await),
        },
    }
}

/// Says what a Ctrl-C came to: of a restore, what the link says once nothing works on it any more.
async fn interrupted(instance: &Instance, is_restore: bool) -> Failure {
    if !is_restore {
        return Failure::new(
            Cause::Interrupted,
            "interrupted; what was not finished counts for nothing, and goes with the next backup or start",
        );
    }
    super::leave_nothing(instance).await;
    let live = match view::live(&instance.data) {
        Ok(Live::Generation(live)) => format!("generation {live} is live"),
        _ => "there is no live generation".to_owned(),
    };
    Failure::new(Cause::Interrupted, format!("interrupted; {live}"))
        .hint("what was not finished goes at the next start; restore again if that is not the generation you wanted")
}
