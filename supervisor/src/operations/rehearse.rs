//! What would an upgrade come to?
//!
//! It is tried on a copy of the live database, in a directory of its own, while the app serves: the migrations, the new app, and whether
//! people would see there what they see now. Nothing else is touched, so that it may also be tried from another container.

use std::{
    fs::File,
    rc::Rc,
    time::{Duration, Instant},
};

use nix::fcntl::{Flock, FlockArg};

use super::{
    kept, migrate, plan,
    prove::{self, Comparison},
};
use crate::{
    app::lifecycle::{Mode, point},
    data::{
        DATABASE, GenerationId, programs,
        size::Size,
        tries,
        view::{self, Live},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Job, Rehearsal, child},
    process::programs::AppProgram,
    status::{Phase, VERSION},
};

/// What a rehearsal has shown.
pub enum Rehearsed {
    /// The upgrade would go well.
    Well {
        /// So long it took.
        took: Duration,
        /// So many bytes the database has.
        bytes: u64,
        /// Whether what people see was compared.
        is_compared: bool,
    },
    /// There is nothing to do for this version.
    Nothing,
    /// There is no room for a copy.
    NoRoom(Failure),
}

impl Rehearsed {
    /// Says it in a sentence.
    pub fn sentence(&self) -> String {
        match self {
            Self::Nothing => format!("there is nothing to upgrade: v{VERSION} serves this data as it is"),
            Self::NoRoom(failure) => failure.message.clone(),
            Self::Well { took, bytes, is_compared } => {
                let compared = if *is_compared { "people see the same" } else { "what people see was not compared" };
                format!(
                    "the upgrade to v{VERSION} would go well: {:.1} s on a copy of {}; {compared}",
                    took.as_secs_f64(),
                    Size(*bytes)
                )
            }
        }
    }
}

/// Rehearses the upgrade of the live generation.
///
/// # Errors
/// Why it would fail; what kept it from being tried.
pub async fn rehearse(instance: &Rc<Instance>, compared_with: Option<&Rc<AppProgram>>) -> Result<Rehearsed, Failure> {
    let _alone = lock(instance)?;
    let live = live(instance)?;
    instance.publisher.enter(Phase::Rehearsing);
    let began = Instant::now();
    let rehearsed = match child::run::<Rehearsal>(instance, Job::Rehearse { generation: live }).await {
        Err(failure) if failure.cause == Cause::NoSpace => Ok(Rehearsed::NoRoom(failure)),
        Err(failure) => Err(failure),
        Ok(Rehearsal { bytes }) => {
            let done = on_the_copy(instance, live, compared_with).await;
            done.map(|is_compared| Rehearsed::Well { took: began.elapsed(), bytes, is_compared })
        }
    };
    // Also where it failed. What cannot be removed goes with the next one.
    if let Err(failure) = child::run::<()>(instance, Job::EndRehearsal).await
        && *instance.stop.borrow() == 0
    {
        instance.publisher.note(format!("what the upgrade was rehearsed on could not be removed: {failure}"));
    }
    rehearsed
}

async fn on_the_copy(
    instance: &Rc<Instance>,
    live: GenerationId,
    compared_with: Option<&Rc<AppProgram>>,
) -> Result<bool, Failure> {
    let database = instance.data.rehearsal().join(DATABASE);
    let accepted = tries::read(&instance.data).unwrap_or_default().accepted;
    let status = plan::ask_of(instance, &database, false).await?;
    if let plan::Plan::Refuse(failure) | plan::Plan::Newer { failure, is_served: false } =
        plan::plan(&status, &view::look(&instance.data)?, live, &accepted)
    {
        return Err(failure);
    }
    let before = match compared_with {
        Some(app) => {
            let comparison = Comparison::new(app, &status.differences, &accepted);
            prove::before(instance, comparison, &database, Mode::Rehearsal).await
        }
        None => None,
    };
    if status.unknown.is_empty() {
        migrate::up(instance, &database, Mode::Rehearsal, &accepted).await?;
    }
    point("rehearse.migrated")?;
    prove::prove(instance, &instance.programs.app, &database, Mode::Rehearsal, before.as_ref()).await?;
    point("rehearse.proven")?;
    Ok(before.is_some())
}

fn live(instance: &Instance) -> Result<GenerationId, Failure> {
    match view::live(&instance.data)? {
        Live::Generation(live) => Ok(live),
        _ => {
            let message = "there is no live generation, so there is nothing to rehearse an upgrade of";
            Err(Failure::new(Cause::Live, message))
        }
    }
}

/// Takes the lock of the one rehearsal, also against one of another container.
fn lock(instance: &Instance) -> Result<Flock<File>, Failure> {
    let path = instance.data.rehearsal_lock();
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(|error| Failure::io(format!("cannot open {}", path.display()), &error))?;
    Flock::lock(file, FlockArg::LockExclusiveNonblock).map_err(|_| {
        Failure::new(Cause::Busy, "another upgrade is rehearsed on this data").hint("try again when it is done")
    })
}

/// As `supervisor rehearse` does it: beside whatever runs on this data, and compared with what was kept of it.
///
/// # Errors
/// As [`rehearse`].
pub async fn by_itself(instance: &Rc<Instance>) -> Result<Rehearsed, Failure> {
    let live = live(instance)?;
    let status = plan::ask(instance, live, false).await?;
    let last = programs::read(&instance.data)?.served;
    let is_same = match &last {
        Some(served) => kept::served_last(instance, served).await?,
        None => false,
    };
    if status.pending.is_empty() && is_same {
        return Ok(Rehearsed::Nothing);
    }
    let kept = kept::last_good(instance, status.floor.as_deref()).await;
    rehearse(instance, kept.as_ref()).await
}
