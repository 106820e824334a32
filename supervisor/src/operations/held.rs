//! What does the operator see when the supervisor cannot go on by itself?
//!
//! What happened, what is known of the data, and the exact commands that lead out. `supervisor/held.json` remembers it, with the
//! step that was reached and the fingerprints of image and settings. The same image with the same settings does not repeat an
//! attempt that failed, so that a watcher that restarts red containers does no harm; another image, or a changed setting,
//! tries. A failure before any attempt is not remembered: each start looks again.

use crate::{
    config::Config,
    data::{
        GenerationId, access,
        programs::Identity,
        state::{self, DataState, FORMAT, Held, Step, WayOut},
        view::{self, Generation, Live, View},
    },
    failure::{Cause, Failure},
    instance::Instance,
    jobs::{Document, Job, child},
    status::{VERSION, now},
};

/// Where the supervisor cannot go on by itself.
pub struct Stuck {
    /// What happened.
    pub failure: Failure,
    /// What the supervisor was doing ("upgrading generation 0006 to v0.2.0").
    pub doing: String,
    /// Whether a commit failed, and so did finding out whether it is done.
    pub commit_unknown: bool,
    /// What the data directory held, if that was seen.
    pub view: Option<View>,
    /// The step in which an earlier start failed; `None` where this one did, in the step that the status has reached.
    pub earlier: Option<Step>,
}

impl Stuck {
    /// Returns where a boot that has not come to a commit is stuck.
    pub fn before_a_commit(failure: Failure, doing: impl Into<String>) -> Self {
        Self { failure, doing: doing.into(), commit_unknown: false, view: None, earlier: None }
    }
}

/// Makes the document for what has just failed, in the step that the status has reached.
pub async fn held(instance: &Instance, stuck: Stuck) -> Box<Held> {
    let Stuck { failure, doing, commit_unknown, view, earlier } = stuck;
    let step = earlier.unwrap_or_else(|| instance.publisher.step());
    let view = view.or_else(|| view::look(&instance.data).ok());
    let live = match view.as_ref().map(|view| &view.live) {
        Some(Live::Generation(live)) if !commit_unknown => Some(*live),
        _ => None,
    };
    let data = match step {
        _ if commit_unknown => DataState::Unknown,
        // This start has done nothing.
        _ if earlier.is_some() => DataState::Unchanged,
        Step::Serving => DataState::Written,
        _ => DataState::Unchanged,
    };
    let identity = identity(instance).await.ok();
    let mut ways_out = match earlier {
        Some(_) => upgrade_ways(view.as_ref()),
        None => ways_out(step, data, failure.cause, view.as_ref(), live),
    };
    if failure.cause == Cause::Permission
        && let Some((command, effect)) = access::way_in(&instance.data)
    {
        ways_out.insert(0, WayOut { command, effect });
    }
    Box::new(Held {
        format: FORMAT,
        ways_out,
        failure,
        doing,
        since: now(),
        version: VERSION.to_owned(),
        image: identity.as_ref().map(|identity| identity.image.clone()).unwrap_or_default(),
        live,
        step: Some(step),
        settings: identity.and_then(|identity| identity.settings),
        data: Some(data),
    })
}

/// Leaves of the ways out those that work while the control socket could not be opened, so that no command reaches this supervisor.
pub fn out_of_reach(mut held: Box<Held>) -> Box<Held> {
    let command = match access::in_container() {
        true => "docker compose restart web",
        false => "stop this supervisor and start it again",
    };
    let effect = match held.failure.cause.passes() {
        true => "tries again at once, when that is mended (by itself it tries every minute)",
        false => "tries again, once the cause is gone",
    };
    let again = WayOut { command: command.into(), effect: effect.into() };
    held.ways_out.retain(|way| !way.command.starts_with("supervisor ") && *way != again);
    held.ways_out.push(again);
    held
}

/// Remembers it on disk, if it can; else it is kept in memory alone, and said.
pub async fn remember(instance: &Instance, held: &Held) {
    // Without the lock, and beside documents of a later version, nothing is touched.
    if instance.lock.get().is_none() || held.failure.cause == Cause::UnknownFormat {
        return;
    }
    // A failure of looking says nothing of the attempt that an earlier start was held for.
    if !is_attempt_failure(held)
        && state::read_held(&instance.data).is_ok_and(|told| told.is_some_and(|told| is_attempt_failure(&told)))
    {
        return;
    }
    let save = Job::Save(Document::Held(Some(Box::new(held.clone()))));
    if let Err(failure) = child::run::<()>(instance, save).await {
        instance.publisher.note(format!(
            "supervisor/held.json could not be written, so this is not remembered over a restart: {failure}"
        ));
    }
}

/// Returns what an earlier start was held for, if this one would only repeat its attempt.
///
/// # Errors
/// [`Cause::UnknownFormat`] when a newer supervisor wrote the document.
pub async fn remembered(instance: &Instance) -> Result<Option<Box<Held>>, Failure> {
    let held = match state::read_held(&instance.data) {
        Ok(Some(held)) => held,
        Ok(None) => return Ok(None),
        Err(failure) if failure.cause == Cause::UnknownFormat => {
            return Err(failure.hint(format!(
                "a newer version was held on this data; start that version again, or remove {} to try with this one",
                instance.data.held().display()
            )));
        }
        // Half a document cannot be, for it is renamed into place; so this is somebody's edit. Then it is tried again.
        Err(failure) => {
            instance.publisher.note(failure.message);
            return Ok(None);
        }
    };
    if !is_attempt_failure(&held) || !is_repeated(&held, identity(instance).await.ok().as_ref()) {
        return Ok(None);
    }
    tracing::info!(target: "Supervisor", "this same image was held on {}; not trying again by itself", held.since);
    Ok(Some(Box::new(held)))
}

/// Whether a further look found what the one before had found. How much is free of a full disk changes from look to look.
pub fn is_same_failure(now: &Failure, before: &Failure) -> bool {
    now == before || (now.cause == Cause::NoSpace && before.cause == Cause::NoSpace)
}

/// Whether it came of an attempt: of a new generation, or of an app that served. A cause that passes by itself is none.
fn is_attempt_failure(held: &Held) -> bool {
    match held.step {
        // That what it is made from is damaged is seen, too, while it is staged.
        Some(Step::Staging) => !held.failure.cause.passes() && held.failure.cause != Cause::Damaged,
        Some(step) => step > Step::Staging && !held.failure.cause.passes(),
        // As the version that wrote it, 0.4.0 or older, had it.
        None => held.failure.cause.is_attempt_failure(),
    }
}

/// Whether another attempt would be made with the same programs and settings. What cannot be told apart counts as the same.
fn is_repeated(held: &Held, now: Option<&Identity>) -> bool {
    // The image could not be identified: its version is known all the same.
    let Some(now) = now else { return held.version == VERSION };
    let same_settings = match (&held.settings, &now.settings) {
        (Some(before), Some(now)) => before == now,
        _ => true,
    };
    now.image == held.image && same_settings
}

/// Returns what tells this image, as its programs were opened at the start, and these settings from others.
pub(super) async fn identity(instance: &Instance) -> Result<Identity, Failure> {
    // Neither changes while the supervisor runs.
    if let Some(identity) = instance.identity.get() {
        return Ok(identity.clone());
    }
    let (programs, descriptors) = instance.programs.to_read();
    let job = Job::Identify { programs, settings: all_settings(&instance.config) };
    let identity: Identity = child::run_with(instance, job, descriptors).await?;
    let identity = Identity { image: format!("{VERSION}+{}", identity.image), ..identity };
    // Before there is a token, nothing is known of the settings yet.
    if identity.settings.is_some() {
        let _ = instance.identity.set(identity.clone());
    }
    Ok(identity)
}

/// Returns all settings in force as one text, secrets included: what the fingerprint is made of.
fn all_settings(config: &Config) -> String {
    // The secrets are left out of the first; they are in the others.
    let backup = serde_json::to_string(&config.backup).unwrap_or_default();
    format!("{config:?}\n{:?}\n{backup}", config.for_the_app.variables())
}

/// Returns the commands that lead out, best first.
fn ways_out(step: Step, data: DataState, cause: Cause, view: Option<&View>, live: Option<GenerationId>) -> Vec<WayOut> {
    let way = |command: String, effect: String| WayOut { command, effect };
    let snapshots: Vec<&Generation> = view.map(|view| view.snapshots().collect()).unwrap_or_default();
    let is_attempt = (Step::Staging..Step::Serving).contains(&step);
    let mut ways = Vec::new();
    match cause {
        _ if data == DataState::Unknown => ways.push(way(
            "supervisor resume".into(),
            "looks which generation is live, and serves it, once the file system is put right".into(),
        )),
        cause if cause.passes() => {
            ways.push(way("supervisor resume".into(), "tries again, now (it is also tried every minute)".into()));
        }
        Cause::Live => {
            // A name that is no link would not be replaced by `ln`, but get the link inside of it.
            let aside = match view.map(|view| &view.live) {
                Some(Live::NotALink) => "mv live live.old && ",
                _ => "",
            };
            for snapshot in &snapshots {
                ways.push(way(
                    format!("{aside}ln -sfn generations/{} live", snapshot.id),
                    format!(
                        "in the data directory: makes generation {} the live one as it is{}; then: supervisor resume",
                        snapshot.id,
                        when(snapshot)
                    ),
                ));
            }
            ways.extend(restore_backup(view, live));
            ways.push(way(
                "supervisor resume".into(),
                "looks again, once the data is back in its place (an unmounted volume?)".into(),
            ));
        }
        Cause::Newer | Cause::Damaged | Cause::NotADatabase | Cause::Foreign => {
            ways.extend(snapshots.iter().map(|snapshot| restore(snapshot, view, live)));
            ways.extend(restore_backup(view, live));
            ways.push(way("supervisor resume".into(), "checks again, once the database has been put right".into()));
        }
        Cause::CrashLoop => {
            ways.push(way(
                "supervisor resume".into(),
                "starts the app again on the same data, with everything that was written".into(),
            ));
            if let Some(snapshot) = snapshots.first() {
                ways.push(restore(snapshot, view, live));
            }
        }
        // A supervisor reads its settings when it is started.
        Cause::Configuration => {
            ways.push(start_again());
            ways.extend(version_before(view).filter(|_| is_attempt));
        }
        Cause::Drift => ways.extend(upgrade_ways(view)),
        _ if is_attempt && is_first_start(view) => {
            ways.push(start_again());
            ways.push(way(
                "supervisor resume".into(),
                "tries the first start again with the same settings, now".into(),
            ));
        }
        _ if is_attempt => ways.extend(upgrade_ways(view)),
        _ => ways.push(way("supervisor resume".into(), "tries again, once the cause is gone".into())),
    }
    ways
}

/// Returns what leads out of an upgrade that failed.
fn upgrade_ways(view: Option<&View>) -> Vec<WayOut> {
    let again = WayOut { command: "supervisor resume".into(), effect: "tries the upgrade again, now".into() };
    version_before(view).into_iter().chain([again]).collect()
}

/// Goes back to the version that served last.
fn version_before(view: Option<&View>) -> Option<WayOut> {
    let state = view.and_then(|view| view.state.as_ref())?;
    Some(WayOut {
        command: format!("start the image of v{} again", state.version),
        effect: "serves the data exactly as it was before this upgrade".into(),
    })
}

/// Starts anew, with the settings as they are then.
fn start_again() -> WayOut {
    let command = match access::in_container() {
        true => "docker compose up --detach",
        false => "start the supervisor again",
    };
    WayOut {
        command: command.into(),
        effect: "tries again with a setting that was changed; with the same settings it stays held".into(),
    }
}

/// Whether there has been nothing before.
fn is_first_start(view: Option<&View>) -> bool {
    view.is_some_and(|view| view.live == Live::Missing && view.state.is_none() && view.snapshots().next().is_none())
}

fn restore_backup(view: Option<&View>, live: Option<GenerationId>) -> Option<WayOut> {
    let kept = live.map(|live| format!("; what is there now stays in snapshot {live}")).unwrap_or_default();
    view.filter(|view| view.backups).map(|_| WayOut {
        command: "supervisor restore latest".into(),
        effect: format!("makes a new generation from the newest backup{kept} (supervisor backup list shows them all)"),
    })
}

fn restore(snapshot: &Generation, view: Option<&View>, live: Option<GenerationId>) -> WayOut {
    let left = view
        .and_then(|view| view.state.as_ref())
        .and_then(|state| state.snapshots.iter().find(|known| known.generation == snapshot.id))
        .map(|known| known.left_at.clone());
    let since = match left {
        Some(left) => format!("what was written since {left} is then not in use"),
        None => "what was written since is then not in use".to_owned(),
    };
    let kept = live.map(|live| format!(", and stays in snapshot {live}")).unwrap_or_default();
    WayOut {
        command: format!("supervisor restore {}", snapshot.id),
        effect: format!("goes back to generation {}{}; {since}{kept}", snapshot.id, when(snapshot)),
    }
}

fn when(generation: &Generation) -> String {
    match &generation.description {
        Some(description) => format!(" (made on {} by v{})", description.sealed_at, description.version),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn held(step: Option<Step>, cause: Cause) -> Held {
        Held {
            format: FORMAT,
            failure: Failure::new(cause, "it failed"),
            doing: "upgrading".into(),
            since: now(),
            version: VERSION.into(),
            image: "0.4.0+aa".into(),
            live: None,
            ways_out: Vec::new(),
            step,
            settings: Some("one".into()),
            data: None,
        }
    }

    #[test]
    fn only_an_attempt_is_remembered_as_one_and_not_what_was_found_by_looking() {
        for (step, cause, attempt) in [
            (Some(Step::Starting), Cause::Interrupted, false),
            (Some(Step::Recovering), Cause::Io, false),
            (Some(Step::Planning), Cause::Interrupted, false),
            (Some(Step::Planning), Cause::Launch, false),
            (Some(Step::Staging), Cause::Io, true),
            (Some(Step::Staging), Cause::NoSpace, false),
            (Some(Step::Staging), Cause::Damaged, false),
            (Some(Step::Migrating), Cause::Migration, true),
            (Some(Step::Migrating), Cause::Interrupted, true),
            (Some(Step::Proving), Cause::Unproven, true),
            (Some(Step::Committing), Cause::Io, true),
            (Some(Step::Serving), Cause::CrashLoop, true),
            // What 0.4.0 has written has no step.
            (None, Cause::Migration, true),
            (None, Cause::Interrupted, true),
            (None, Cause::Drift, false),
            (None, Cause::NoSpace, false),
        ] {
            assert_eq!(is_attempt_failure(&held(step, cause)), attempt, "{step:?}, {cause:?}");
        }
    }

    #[test]
    fn another_image_or_a_changed_setting_is_something_new_to_try() {
        let identity = |image: &str, settings: Option<&str>| {
            Some(Identity { image: image.into(), app: String::new(), settings: settings.map(str::to_owned) })
        };
        for (now, repeated) in [
            (identity("0.4.0+aa", Some("one")), true),
            (identity("0.4.0+bb", Some("one")), false),
            (identity("0.4.0+aa", Some("two")), false),
            (identity("0.4.0+aa", None), true),
            (None, true),
        ] {
            assert_eq!(is_repeated(&held(Some(Step::Proving), Cause::Unproven), now.as_ref()), repeated, "{now:?}");
        }
        let of_an_earlier_version = Held { settings: None, ..held(None, Cause::Unproven) };
        assert!(is_repeated(&of_an_earlier_version, identity("0.4.0+aa", Some("one")).as_ref()));
    }

    #[test]
    fn where_a_commit_is_unknown_nothing_is_said_of_the_data_before_the_upgrade() {
        let ways = ways_out(Step::Committing, DataState::Unknown, Cause::Io, None, None);
        assert_eq!(ways.len(), 1);
        assert!(ways[0].effect.starts_with("looks which generation is live"), "{ways:?}");
    }
}
