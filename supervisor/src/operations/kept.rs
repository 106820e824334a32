//! Which earlier app is kept, and may it serve?
//!
//! The app is kept when it is first ready, and is the last good one once it has served in good health for an hour; the one before stays
//! until then. It is started only from a sealed copy in memory whose hash was right, and only after it has said who it is from there.

use std::{fs, os::fd::AsFd, rc::Rc, time::Duration};

use nix::errno::Errno;
use tokio::time::sleep;

use super::{held, plan, start};
use crate::{
    config::{self, Switch},
    data::{
        GenerationId,
        programs::{self, Contract, KeptProgram, KeptPrograms, Served},
        state::FORMAT,
    },
    failure::{Cause, Failure},
    fault,
    instance::Instance,
    jobs::{Document, Job, Kept, child},
    process::{
        deadline::within,
        programs::{AppProgram, executable_memory},
        spawn::Launch,
    },
    status::{Health, VERSION, now},
};

/// The lowest version that this release ever starts in its own place, whatever is kept: a release that mends a hole names itself here.
const SECURITY_FLOOR: Option<&str> = None;
/// How long an app serves in good health until it is the last good one.
const TRIAL: Duration = Duration::from_secs(60 * 60);
/// How long an app may take to say who it is.
const PATIENCE: Duration = Duration::from_secs(30);
/// The file beside the supervisor that lists the apps which may be started without Landlock: a BLAKE3 a line.
const KNOWN: &str = "known-apps";

/// Returns what a document says; one that is damaged, as by somebody's edit, is noted, and counts as none.
///
/// # Errors
/// [`Cause::UnknownFormat`]: a newer version wrote it.
pub fn readable<T: Default>(instance: &Instance, document: Result<T, Failure>) -> Result<T, Failure> {
    match document {
        Err(failure) if failure.cause != Cause::UnknownFormat => {
            instance.publisher.note(failure.message);
            Ok(T::default())
        }
        document => document,
    }
}

/// Whether anything is kept and anything falls back: with Hearth's own app, unless the operator does not want it.
pub fn is_on(instance: &Instance) -> bool {
    instance.config.upgrade.fallback == Switch::On && instance.programs.app.is_own()
}

/// Returns the app of the last good version, ready to be started, if it may serve a database with this floor. Why it may not is noted.
pub async fn last_good(instance: &Instance, floor: Option<&str>) -> Option<Rc<AppProgram>> {
    let kept = kept_programs(instance)?.good?;
    let version = kept.contract.version.clone();
    // The process that serves has it in memory already.
    let app = instance.app();
    let is_loaded = app.kept() == Some(&kept);
    let loaded = match may_serve(instance, &kept, floor) {
        Ok(()) if is_loaded => Ok(app),
        Ok(()) => reachable(instance, kept).await.map(Rc::new),
        Err(failure) => Err(failure),
    };
    match loaded {
        Ok(app) => Some(app),
        Err(failure) => {
            instance
                .publisher
                .note(format!("the app of v{version}, which was kept, cannot serve: {}", failure.with_hint()));
            None
        }
    }
}

/// Returns what is kept, where anything falls back. A document that cannot be read is like none: it was said when the start read it.
fn kept_programs(instance: &Instance) -> Option<KeptPrograms> {
    programs::read(&instance.data).ok().filter(|_| is_on(instance))
}

/// Says whether a kept program may serve in place of the image's.
///
/// # Errors
/// Why not.
fn may_serve(instance: &Instance, kept: &KeptProgram, floor: Option<&str>) -> Result<(), Failure> {
    let refuse = |message: String| Err(Failure::new(Cause::Newer, message));
    let version = &kept.contract.version;
    if kept.contract.fallback != Some(FORMAT) {
        return refuse(format!("v{version} does not know how to serve in place of a newer one"));
    }
    if !plan::reaches(version, floor) {
        return refuse(format!("the database is for v{} and newer", floor.unwrap_or_default()));
    }
    let security_floor = security_floor();
    if !plan::reaches(version, security_floor.as_deref()) {
        let floor = security_floor.unwrap_or_default();
        return refuse(format!("this release starts none before v{floor} in its place, for security"));
    }
    if instance.support.get().landlock == 0 && !is_known(&kept.blake3) {
        let message =
            "without Landlock an app could have changed what is kept, and this image does not know the program";
        return Err(Failure::new(Cause::Permission, message).hint("docs/SECURITY.md says which kernels have Landlock"));
    }
    Ok(())
}

fn security_floor() -> Option<String> {
    let of_a_test = std::env::var("TEST_SECURITY_FLOOR").ok().filter(|_| cfg!(feature = "faults"));
    of_a_test.or(SECURITY_FLOOR.map(str::to_owned))
}

/// Whether the image lists this program.
fn is_known(blake3: &str) -> bool {
    let beside = std::env::current_exe().map(|own| own.with_file_name(KNOWN));
    let list = beside.and_then(fs::read_to_string).unwrap_or_default();
    list.lines().any(|line| line.split_whitespace().next() == Some(blake3))
}

/// Loads a kept program, and has it say who it is.
///
/// # Errors
/// As [`in_memory`]; that it says something else than when it was kept.
async fn load(instance: &Instance, kept: KeptProgram) -> Result<AppProgram, Failure> {
    let expected = kept.contract.clone();
    let (app, said) = in_memory(instance, kept).await?;
    match said == expected {
        true => Ok(app),
        false => Err(Failure::new(Cause::Launch, format!("it says now that it is v{}", said.version))),
    }
}

/// Loads a kept program that people would reach with the settings of today: those that it does not know are not passed to it.
///
/// # Errors
/// As [`load`]; that it takes a setting for wrong, or refuses a name that people reach Hearth by.
async fn reachable(instance: &Instance, kept: KeptProgram) -> Result<AppProgram, Failure> {
    let app = load(instance, kept).await?;
    let asked = start::mistakes(instance, &app, instance.config.for_the_app.hosts());
    let unclear = || Failure::new(Cause::Launch, "it does not say whether it takes the settings (app check-settings)");
    match within(PATIENCE, asked).await.ok_or_else(unclear)?? {
        wrong if wrong.is_empty() => Ok(app),
        wrong => Err(config::all(wrong)),
    }
}

/// Returns a kept program as a sealed file in memory, and what it says of itself from there.
///
/// # Errors
/// [`Cause::Damaged`] when it is not what was kept; why it cannot be started.
async fn in_memory(instance: &Instance, kept: KeptProgram) -> Result<(AppProgram, Contract), Failure> {
    let memory = executable_memory().map_err(|error| match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES) => {
            Failure::new(Cause::Permission, "this system starts no program from memory (vm.memfd_noexec=2)")
                .hint("allow it with: sysctl vm.memfd_noexec=1")
        }
        _ => Failure::io("there is no memory to start it from", &error),
    })?;
    let job = Job::Load { blake3: kept.blake3.clone(), bytes: kept.bytes };
    let () = child::run_with(instance, job, vec![("program", memory.as_fd())]).await?;
    let path = instance.data.kept_program(&kept.blake3);
    let app = AppProgram::of_memory(memory, path, kept).map_err(|error| Failure::io("it cannot be started", &error))?;
    let said = contract(instance, &app).await?;
    Ok((app, said))
}

/// Asks an app what it is.
async fn contract(instance: &Instance, app: &AppProgram) -> Result<Contract, Failure> {
    let command = vec![app.program.path().display().to_string(), "contract".to_owned(), "--json".to_owned()];
    let launch = Launch::new(&app.program, command, instance.environment(), Vec::new());
    let mut contract = None;
    let asked = child::lines(instance, launch, |line| {
        contract = contract.take().or(serde_json::from_slice::<Contract>(line).ok());
        Ok(())
    });
    let unclear =
        |how: String| Failure::new(Cause::Launch, format!("it does not say what it is (app contract): it {how}"));
    let exit = within(PATIENCE, asked).await.ok_or_else(|| unclear("did not end".into()))??;
    contract.filter(|_| exit.status() == 0).ok_or_else(|| unclear(exit.to_string()))
}

/// Returns the kept app, if it is what served last, and not the image's.
///
/// # Errors
/// What keeps it from being told, or from being started.
pub async fn that_served_last(instance: &Instance) -> Result<Option<Rc<AppProgram>>, Failure> {
    let programs = programs::read(&instance.data)?;
    let Some(served) = &programs.served else { return Ok(None) };
    let Some(kept) = programs.programs().find(|kept| kept.blake3 == served.blake3).cloned() else { return Ok(None) };
    match served_last(instance, served).await? {
        true => Ok(None),
        false => load(instance, kept).await.map(|app| Some(Rc::new(app))),
    }
}

/// Whether this image's app is the one that served last.
pub async fn served_last(instance: &Instance, served: &Served) -> Result<bool, Failure> {
    let stamp = instance.programs.app.program.stamp();
    if stamp.is_some() && served.stamp == stamp {
        return Ok(true);
    }
    Ok(held::identity(instance).await?.app == served.blake3)
}

/// Whether the image's app is on trial: it has taken over from one that was good, and is not good itself yet.
pub async fn is_on_trial(instance: &Instance) -> bool {
    if instance.app().kept().is_some() {
        return false;
    }
    let Some(KeptPrograms { good: Some(good), served, .. }) = kept_programs(instance) else { return false };
    let stamp = instance.programs.app.program.stamp();
    if served.is_some_and(|served| served.stamp == stamp && served.blake3 == good.blake3) {
        return false;
    }
    held::identity(instance).await.is_ok_and(|identity| identity.app != good.blake3)
}

/// Keeps the app that has just become ready on this generation, and makes it the last good one once it has proved to be. What keeps it
/// from that is noted: the next upgrade then goes without.
pub async fn keep(instance: Rc<Instance>, generation: GenerationId) {
    if !is_on(&instance) {
        return;
    }
    let app = instance.app();
    let kept = remember(&instance, &app, generation).await;
    if let Err(failure) = kept {
        // The supervisor was told to stop meanwhile; the next start does it.
        if *instance.stop.borrow() == 0 {
            instance.publisher.note(format!(
                "the app is not kept, so that nothing can take its place if the next upgrade fails: {}",
                failure.with_hint()
            ));
        }
        return;
    }
    if app.kept().is_none() {
        sleep(trial()).await;
        let status = instance.publisher.status();
        let is_well = matches!(status.health, Health::Healthy | Health::Degraded) && status.live == Some(generation);
        if is_well && Rc::ptr_eq(&app, &instance.app()) {
            let _ = promote(&instance).await.map_err(|failure| instance.publisher.note(failure.message));
        }
    }
}

/// Returns how long the trial is.
fn trial() -> Duration {
    fault::time("TEST_TRIAL", TRIAL)
}

async fn remember(instance: &Instance, app: &AppProgram, generation: GenerationId) -> Result<(), Failure> {
    let _data = instance.data_mutex.lock().await;
    let before = programs::read(&instance.data)?;
    let mut programs = before.clone();
    let (blake3, stamp) = match app.kept() {
        Some(kept) => {
            // What was on trial has failed.
            programs.trial = None;
            (kept.blake3.clone(), None)
        }
        None => {
            let stamp = app.program.stamp();
            let known = before.served.as_ref().filter(|served| stamp.is_some() && served.stamp == stamp);
            let blake3 = match known {
                Some(served) => served.blake3.clone(),
                None => held::identity(instance).await?.app,
            };
            let is_good = before.good.as_ref().is_some_and(|good| good.blake3 == blake3);
            if is_good {
                programs.trial = None;
            } else if before.trial.as_ref().is_none_or(|trial| trial.blake3 != blake3) {
                let kept = keep_image(instance).await?;
                // Where there is none yet, it is the best there is.
                match programs.good {
                    Some(_) => programs.trial = Some(kept),
                    None => programs.good = Some(kept),
                }
            }
            (blake3, stamp)
        }
    };
    programs.served = Some(Served { generation, blake3, version: app.version(VERSION).to_owned(), stamp });
    if programs != before {
        return save(instance, programs).await;
    }
    // Saving also removes what was kept by a supervisor that was killed before it could name it. If it cannot, the next start does it.
    if !programs::unnamed(&instance.data, &programs).is_empty() {
        let _ = save(instance, programs).await;
    }
    Ok(())
}

/// Copies the image's app, and tries the copy.
async fn keep_image(instance: &Instance) -> Result<KeptProgram, Failure> {
    let program = &instance.programs.app.program;
    let descriptor = program.descriptor().ok_or_else(|| {
        Failure::new(
            Cause::Launch,
            format!("{} cannot be kept: it is a script, or cannot be read", program.path().display()),
        )
    })?;
    let job = Job::Keep { program: format!("/proc/self/fd/{}", crate::process::launch::FIRST).into() };
    let Kept { blake3, bytes } = child::run_with(instance, job, vec![("program", descriptor)]).await?;
    let kept = KeptProgram { blake3, bytes, kept_at: now(), contract: Contract::default() };
    let (_, contract) = in_memory(instance, kept.clone()).await?;
    tracing::info!(target: "Supervisor", "kept the app of v{}, which serves on if the next upgrade fails", contract.version);
    Ok(KeptProgram { contract, ..kept })
}

/// Makes what was on trial the last good one.
async fn promote(instance: &Instance) -> Result<(), Failure> {
    let _data = instance.data_mutex.lock().await;
    let before = programs::read(&instance.data)?;
    let Some(trial) = before.trial.clone() else { return Ok(()) };
    tracing::info!(target: "Supervisor", "v{} has served in good health for {}: it is the last good version now", trial.contract.version, humantime::format_duration(self::trial()));
    save(instance, KeptPrograms { good: Some(trial), trial: None, ..before }).await
}

async fn save(instance: &Instance, programs: KeptPrograms) -> Result<(), Failure> {
    child::run(instance, Job::Save(Document::Programs(Box::new(programs)))).await
}
