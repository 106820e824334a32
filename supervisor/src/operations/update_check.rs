//! When is the registry asked for a newer version, and who is told?
//!
//! PID 1 only waits; a job reads what comes from the network. Whatever goes wrong is a field of the status, and nothing
//! waits for the check.

use std::{rc::Rc, time::SystemTime};

use tokio::{
    sync::Mutex,
    time::{Duration, sleep},
};

use super::backup_scheduler::until_serving;
use crate::{
    app::policy::jitter,
    config::Switch,
    data::state,
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{
        Document, Job, child,
        update::{self, Known, Question, known},
    },
    process::deadline::within,
};

/// How long a check's job may take; it bounds itself, so this is for one that hangs. A command waits for 30 s.
const PATIENCE: Duration = update::WITHIN.saturating_add(Duration::from_secs(5));

/// Asks the registry: one question at a time.
#[derive(Default)]
pub struct UpdateCheck(Mutex<()>);

impl UpdateCheck {
    /// Asks once a day, if it is to be asked, for as long as the supervisor runs.
    pub async fn keep(self: Rc<Self>, instance: Rc<Instance>) {
        let settings = &instance.config.update;
        let (Switch::On, Ok(image)) = (settings.check, update::image(&settings.image)) else { return };
        let known = state::read::<Known>(&instance.data.update()).ok().flatten();
        let last = known.map(|known| known.status(&image)).unwrap_or_default();
        let checked = last.checked.as_ref().and_then(|checked| humantime::parse_rfc3339(checked).ok());
        // It was told to the log when it was found.
        instance.publisher.update(|status| status.update = last);
        let mut wait = known::first_wait(checked, SystemTime::now(), jitter());
        loop {
            sleep(wait).await;
            until_serving(&instance).await;
            // What went wrong is in the status.
            let _ = self.now(&instance).await;
            wait = known::next_wait(jitter());
        }
    }

    /// Asks now; says what was found.
    pub async fn now(&self, instance: &Instance) -> Result<String, Failure> {
        tokio::select! {
            biased;
            () = instance.stopping() => Err(Failure::new(Cause::Interrupted, "the supervisor is stopping")),
            checked = ask(instance, &self.0) => checked,
        }
    }
}

async fn ask(instance: &Instance, asking: &Mutex<()>) -> Result<String, Failure> {
    let image = update::image(&instance.config.update.image)?;
    let Ok(_asking) = asking.try_lock() else {
        return Err(Failure::new(Cause::Busy, "the registry is being asked already")
            .hint("in half a minute supervisor status shows what it said"));
    };
    let asked = child::run(instance, Job::Update(Question::about(&image.to_string())));
    let found: Result<Option<String>, Failure> = within(PATIENCE, asked)
        .await
        .unwrap_or_else(|| Err(Failure::new(Cause::Interrupted, "the check for a newer version has not ended")));
    let (newest, trouble) = match &found {
        Ok(newest) => (newest.clone(), None),
        // What was found before is still true.
        Err(failure) => (instance.publisher.status().update.newest, Some(failure.message.clone())),
    };
    let known = Known::now(&image, newest, trouble);
    instance.publisher.publish_update(known.status(&image));
    let saved: Result<(), Failure> = child::run(instance, Job::Save(Document::Update(known))).await;
    if let Err(failure) = found.as_ref().map(drop).and(saved.as_ref().map(drop)) {
        tracing::debug!(target: "Update", "{failure}");
    }
    found.map(|_| instance.publisher.status().update.news().unwrap_or_else(|| "there is no newer version".to_owned()))
}
